import ArgumentParser
import Contracts

extension ContractCommand {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Print a contract of the verified ledger, and what each gateway reported about it.",
            discussion: """
                Example:
                  gw-node contract show ID
                """
        )

        @Argument(help: "Id of the contract.") var id: String
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let id = try IdentifierArgument.read(id, "contract")
            try await LedgerSession.run(ledger, nil, common, key: .none) { session in
                let state = try await session.state()
                let view = ContractView(id: id, row: try ContractCommand.row(id, in: state), state: state)
                common.output.result(view.json, text: view.text)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Print contracts of the verified ledger: those of the acting twin, or all.",
            discussion: """
                Example:
                  gw-node contract list --key user.key
                  gw-node contract list --all
                """
        )

        @Flag(name: .customLong("all"), help: "Contracts of every twin.") var isForEveryone = false
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await LedgerSession.run(ledger, signing, common, key: isForEveryone ? .none : .required) { session in
                let state = try await session.state()
                let owner = isForEveryone ? nil : try session.actor(in: state).twin
                let views = state.contracts
                    .map { ContractView(id: $0.0, row: $0.1, state: state) }
                    .filter { owner == nil || $0.row.owner == owner }
                    .sorted { $0.row.index < $1.row.index }
                common.output.result(
                    .object([("contracts", .array(views.map(\.json)))]),
                    text: views.isEmpty ? "no contracts" : views.map(\.line).joined(separator: "\n")
                )
            }
        }
    }
}

/// A contract as people and programs see it.
struct ContractView {
    let id: Identifier
    let row: ContractRow
    let state: ContractState

    private var stateWord: String {
        switch row.phase {
        case .created: "Created"
        case .grace: "GracePeriod"
        case .deleted: "Deleted"
        }
    }

    private var hosts: [String] {
        row.spec?.expose.flatMap {
            $0.hosts ?? $0.ports?.map { "port \($0.from)" + ($0.to == $0.from ? "" : "-\($0.to)") } ?? []
        } ?? []
    }

    var line: String {
        "\(id.hex)  \(stateWord)  version \(row.version)  \(hosts.joined(separator: " "))"
    }

    var json: JSONText {
        var members: [(String, JSONText)] = [
            ("id", .string(id.hex)), ("owner", .string(row.owner.hex)), ("state", .string(stateWord)),
            ("version", .integer(row.version)), ("created", .integer(row.created)), ("index", .integer(row.index)),
        ]
        if case .deleted(let cause, let time) = row.phase {
            members += [("cause", .string(cause.rawValue)), ("deleted", .integer(time))]
        }
        if let spec = row.spec {
            members.append(("gateways", .array(spec.gateways.map(gatewayJSON))))
            let body = EntryBody.contractCreate(ContractCreateBody(spec: spec)).json
            members.append(("spec", .encoded(body.canonical)))
        }
        return .object(members)
    }

    private func gatewayJSON(_ node: Identifier) -> JSONText {
        var members: [(String, JSONText)] = [("node", .string(node.hex))]
        if let name = state.node(node)?.live?.name { members.append(("name", .string(name))) }
        if let status = state.status(contract: id, node: node) {
            members += [
                ("state", .string(status.state.rawValue)), ("code", .string(status.code.rawValue)),
                ("message", .string(status.message)), ("time", .integer(status.time)),
            ]
        }
        return .object(members)
    }

    var text: String {
        var lines = [
            "contract \(id.hex)",
            "owner     \(row.owner.hex)",
            "state     \(stateWord), version \(row.version), created \(CalendarTime.text(row.created))",
        ]
        if case .deleted(let cause, let time) = row.phase {
            lines.append("ended     \(CalendarTime.text(time)), \(cause.rawValue)")
        }
        guard let spec = row.spec else { return lines.joined(separator: "\n") }
        lines.append("window    \(CalendarTime.text(spec.notBefore)) to \(CalendarTime.text(spec.notAfter))")
        for expose in spec.expose {
            let places = expose.hosts ?? expose.ports?.map { "\($0.from)-\($0.to)" } ?? []
            lines.append("expose    \(expose.id) \(expose.kind.rawValue) \(places.joined(separator: " "))")
        }
        for node in spec.gateways {
            let name = state.node(node)?.live?.name ?? "retired"
            let status = state.status(contract: id, node: node)
            let words = status.map { "\($0.state.rawValue) \($0.code.rawValue) \($0.message)" } ?? "no report"
            lines.append("gateway   \(node.hex) \(name): \(words)")
        }
        return lines.joined(separator: "\n")
    }
}
