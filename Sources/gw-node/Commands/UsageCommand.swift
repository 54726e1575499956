import ArgumentParser
import Contracts
import Foundation
import Gateway

/// `usage`: what was carried for a contract, as its gateways, its agents and the ledger say.
struct UsageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage",
        abstract: "Print what was carried for contracts, as the gateway, the agents and the ledger say.",
        discussion: """
            A farmer asks the running gateway; a user asks the verified ledger, and with --agent-state the meters that the agent keeps
            beside what each gateway claims.

            Example:
              gw-node usage --config gateway.yaml
              gw-node usage --contract ID --agent-state /var/lib/gw-agent
            """
    )

    @Option(help: ArgumentHelp("The gateway configuration, for its admin socket.", valueName: "file")) var config:
        String?
    @Option(
        name: .customLong("contract"),
        help: ArgumentHelp("Id of a contract; repeatable.", valueName: "id")
    )
    var contracts: [String] = []
    @Option(
        name: .customLong("agent-state"),
        help: ArgumentHelp("The state folder of the agent, with its meters.", valueName: "dir")
    )
    var agentState: String?
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (config == nil) != contracts.isEmpty else {
            throw ValidationError("give --config FILE of a gateway, or --contract ID of a contract")
        }
        guard agentState == nil || config == nil else {
            throw ValidationError("--agent-state goes with --contract")
        }
    }

    func run() async throws {
        if let config { return try await askGateway(config) }
        let ids = try contracts.map { try IdentifierArgument.read($0, "contract") }
        var book = UsageBook()
        if let agentState { book = try UsageFile(folder: agentState).read(common.logger("gw-node")) }
        let kept = book
        try await LedgerSession.run(ledger, nil, common, key: .none) { session in
            let state = try await session.state()
            let views = try ids.map { id in
                _ = try ContractCommand.row(id, in: state)
                return UsageView(contract: id, state: state, book: kept)
            }
            common.output.result(
                .object([("contracts", .array(views.map(\.json)))]),
                text: views.flatMap(\.lines).joined(separator: "\n")
            )
        }
    }

    private func askGateway(_ config: String) async throws {
        guard let socket = try GatewayFile(config).admin else {
            throw CommandFailure(
                .configuration,
                "\(config): `bind.admin` is missing, so the gateway has no admin socket; add it"
            )
        }
        let body = try await AdminClient(path: socket).get("/usage")
        guard let document = try? JSONDecoder().decode(UsageDocument.self, from: Data(body)) else {
            throw CommandFailure(
                .unreachable,
                code: "gateway.unreachable",
                "the gateway's usage is not of this version"
            )
        }
        common.output.result(.encoded(body), text: document.text)
    }
}

/// What the admin socket answers about usage, as far as people read it.
struct UsageDocument: Decodable {
    struct Totals: Decodable {
        var bytes_in: Int64
        var bytes_out: Int64
        var conns: Int64
        var until: Int64?
        var key: String?

        var text: String {
            let time = until.map { ", until \(CalendarTime.text($0))" } ?? ""
            return "\(bytes_in) bytes in, \(bytes_out) bytes out, \(conns) connections\(time)"
        }
    }

    struct Contract: Decodable {
        var contract: String
        var gateway: Totals
        var agents: [Totals]
        var ledger: Totals?
    }

    var contracts: [Contract]

    var text: String {
        if contracts.isEmpty { return "no contract was served" }
        var lines: [String] = []
        for contract in contracts {
            lines.append("contract  \(contract.contract)")
            lines.append("gateway   \(contract.gateway.text)")
            for agent in contract.agents { lines.append("agent     \(agent.text), signed by \(agent.key ?? "")") }
            lines.append("ledger    \(contract.ledger?.text ?? "nothing reported yet")")
        }
        return lines.joined(separator: "\n")
    }
}

/// A contract's usage at each of its gateways, from the ledger and from what an agent keeps.
struct UsageView {
    let contract: Identifier
    let state: ContractState
    let book: UsageBook

    private var nodes: [Identifier] {
        let reported = state.usages(contract: contract).map(\.0)
        let counted = book.counts.keys.filter { $0.contract == contract }.map(\.node)
        let named = state.contract(contract)?.spec?.gateways ?? []
        return Set(reported + counted + named).sorted()
    }

    private func claim(_ node: Identifier) -> UsageStatement? {
        book.claims.first { $0.subject == UsageSubject(contract: contract, node: node) }
    }

    private func statement(_ node: Identifier) -> UsageBook.Signed? {
        book.statements.first { $0.statement.subject == UsageSubject(contract: contract, node: node) }
    }

    var json: JSONText {
        let gateways = nodes.map { node -> JSONText in
            var members: [(String, JSONText)] = [("node", .string(node.hex))]
            if let row = state.usage(contract: contract, node: node) {
                members.append(("ledger", Self.value(UsageTotals(row), until: row.until)))
            }
            if let claim = claim(node) { members.append(("gateway", Self.value(claim.totals, until: claim.until))) }
            if let counted = book.counts[UsageSubject(contract: contract, node: node)] {
                members.append(("agent", Self.value(counted)))
            }
            if let signed = statement(node) {
                members.append(("signed", .encoded(signed.statement.json.canonical)))
            }
            return .object(members)
        }
        return .object([("contract", .string(contract.hex)), ("gateways", .array(gateways))])
    }

    var lines: [String] {
        var lines = ["contract  \(contract.hex)"]
        for node in nodes {
            lines.append("node      \(node.hex)")
            let row = state.usage(contract: contract, node: node)
            lines.append(
                "  ledger  \(row.map { Self.text(UsageTotals($0), until: $0.until) } ?? "nothing reported yet")"
            )
            if let claim = claim(node) { lines.append("  gateway \(Self.text(claim.totals, until: claim.until))") }
            if let counted = book.counts[UsageSubject(contract: contract, node: node)] {
                lines.append("  agent   \(Self.text(counted))")
            }
        }
        return lines
    }

    private static func value(_ totals: UsageTotals, until: Timestamp? = nil) -> JSONText {
        var members: [(String, JSONText)] = [
            ("bytes_in", .integer(totals.bytesIn)), ("bytes_out", .integer(totals.bytesOut)),
            ("conns", .integer(totals.conns)),
        ]
        if let until { members.append(("until", .integer(until))) }
        return .object(members)
    }

    private static func text(_ totals: UsageTotals, until: Timestamp? = nil) -> String {
        let time = until.map { ", until \(CalendarTime.text($0))" } ?? ""
        return "\(totals.bytesIn) bytes in, \(totals.bytesOut) bytes out, \(totals.conns) connections\(time)"
    }
}
