import ArgumentParser
import Contracts
import Gateway
import Ledger
import Logging

/// `expose`: name, contract and agent in one.
struct ExposeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "expose",
        abstract:
            "Expose a local web service under a name: reserves it, signs a contract, runs the agent, prints the URLs.",
        discussion: """
            Ctrl-C cancels the contract, unless --keep. A name that the twin holds already is used again, and so is a live
            contract of the same exposure that --keep left behind.

            Example:
              gw-node expose 127.0.0.1:8080 --name hello
              gw-node expose tls://127.0.0.1:8443 --name hello --tls-pin sha256:HEX
            """
    )

    @Argument(help: ArgumentHelp("The local service.", valueName: "[tls://]host:port")) var service: String
    @Option(
        name: .customLong("tls-ca"),
        help: ArgumentHelp(
            "PEM file of who may have issued the service's certificate, in place of the system's roots.",
            valueName: "file"
        )
    )
    var authorities: String?
    @Option(
        name: .customLong("tls-pin"),
        help: ArgumentHelp(
            "SHA-256 of the service's certificate, or of its public key, whoever issued it; repeatable.",
            valueName: "sha256:hex"
        )
    )
    var pins: [String] = []
    @Option(
        name: .customLong("tls-name"),
        help: ArgumentHelp("What the service's certificate names, when it is not its host.", valueName: "name")
    )
    var certificateName: String?
    @Option(help: "The name; the URL becomes <name>.<domain of the gateway>.") var name: String
    @Option(
        name: .customLong("gateway"),
        help: ArgumentHelp(
            "Id, farm/node or name; repeatable. Without it: every gateway that takes it.",
            valueName: "gateway"
        )
    )
    var gateways: [String] = []
    @Flag(name: .customLong("keep"), help: "Leave the contract in force at the end.") var isKept = false
    @Option(
        name: .customLong("agent-key"),
        help: ArgumentHelp("Key file of the agent; made in the state folder when absent.", valueName: "file")
    )
    var agentKey: String?
    @OptionGroup var signing: SigningOptions
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    /// Id of the backend and of the exposure in the contracts that this command makes.
    private static let label = "web"

    func validate() throws {
        _ = try target()
        guard Grammar.isName(name) else {
            throw ValidationError("--name \(name) must have 3 to 50 lower-case letters, digits and inner hyphens")
        }
    }

    private func target() throws -> ForwardTarget {
        guard var target = ForwardTarget(service) else {
            throw ValidationError("the service \(service) \(ForwardTarget.rule)")
        }
        let settings = TrustSettings(authorityFile: authorities, pins: pins, name: certificateName)
        guard !settings.isEmpty else { return target }
        guard target.trust != nil else {
            throw ValidationError("--tls-… is about a service over TLS; write tls://\(service)")
        }
        target.trust = try settings.trustOfFlags(TargetOptions.flag)
        return target
    }

    func run() async throws {
        let target = try target()
        try await LedgerSession.run(ledger, signing, common) { session in
            let key = try agentKeyFile(session.reference)
            let (contract, isFresh) = try await contract(session, key)
            if isFresh { common.output.note("contract \(contract.hex)") }
            let agent = try AgentRunner(
                key: key,
                contracts: [contract: [Self.label: target]],
                slots: 2,
                folder: session.reference.stateFolder,
                output: common.output,
                logger: common.logger("gw-node")
            )
            let state = try await session.state()
            for url in Self.urls(of: contract, in: state) {
                common.output.event(.object([("event", .string("url")), ("url", .string(url))]), text: url)
            }
            try await agent.run(following: session.watcher)
            guard !isKept else {
                common.output.note("the contract \(contract.hex) stays; run the command again, or cancel it")
                return
            }
            _ = try await session.submit { _, _ in .contractCancel(ContractCancelBody(contract: contract)) }
            common.output.note("contract \(contract.hex) canceled")
        }
    }

    // MARK: Name and contract

    /// The live contract of an earlier `--keep`, or a new one.
    private func contract(_ session: LedgerSession, _ key: SigningKey) async throws -> (Identifier, isFresh: Bool) {
        let state = try await session.state()
        let actor = try session.actor(in: state)
        let nodes = try chosenNodes(in: state)
        let hosts = hosts(of: nodes.map(\.row))
        if let existing = try await ownedName(session, actor, state),
            let contract = Self.contract(of: actor.twin, name: existing, key: key.publicKey, hosts: hosts, in: state)
        {
            return (contract, false)
        }
        let accepted = try await session.submit { state, _ in
            guard let (nameID, _) = state.name(named: name) else {
                throw CommandFailure(
                    .refused,
                    code: "name.unknown",
                    "the name \(name) was released meanwhile; try again"
                )
            }
            return .contractCreate(ContractCreateBody(spec: spec(state, nameID, key.publicKey, nodes, hosts)))
        }
        return (accepted.id, true)
    }

    /// Reserves the name unless the twin holds it; gives its id when it was held before.
    private func ownedName(
        _ session: LedgerSession,
        _ actor: LedgerSession.Actor,
        _ state: ContractState
    ) async throws -> Identifier? {
        guard let (id, row) = state.name(named: name) else {
            _ = try await session.submit { _, _ in .nameCreate(NameCreateBody(name: name)) }
            return nil
        }
        guard row.owner == actor.twin else {
            throw CommandFailure(
                .refused,
                code: Code.nameTaken.rawValue,
                "the name \(name) is taken; choose another one"
            )
        }
        return id
    }

    private static func contract(
        of owner: Identifier,
        name: Identifier,
        key: PublicKey,
        hosts: [String],
        in state: ContractState
    ) -> Identifier? {
        state.contracts.first { _, row in
            guard row.owner == owner, case .created(let spec) = row.phase else { return false }
            return spec.nameContracts == [name] && spec.notAfter > Posix.now()
                && spec.backends.contains { $0.id == label && $0.target == .key(key) }
                && spec.expose.contains { $0.id == label && $0.hosts == hosts }
        }?.0
    }

    private func chosenNodes(in state: ContractState) throws -> [(id: Identifier, row: NodeRow)] {
        if !gateways.isEmpty {
            return try gateways.map { text in
                let id: Identifier
                do throws(CommandFailure) {
                    id = try NodeReference(text).resolve(in: state)
                } catch {
                    throw CommandFailure(error.status, code: error.code, "--gateway \(error.message)")
                }
                guard let row = state.node(id)?.live else {
                    throw CommandFailure(
                        .refused,
                        code: "node.retired",
                        "--gateway \(text) is retired; choose another one"
                    )
                }
                return (id, row)
            }
        }
        let fitting = state.nodes.compactMap { id, node -> (id: Identifier, row: NodeRow)? in
            guard let row = node.live, !row.details.domains.isEmpty, row.details.offer.accept == .offer,
                row.details.offer.kinds.contains(.http), row.details.offer.modes.contains(.reverseTLS)
            else { return nil }
            return (id, row)
        }
        guard !fitting.isEmpty else {
            throw CommandFailure(
                .refused,
                code: "node.unknown",
                "no gateway of this ledger takes web services under a domain of its own; name one with --gateway"
            )
        }
        return Array(fitting.prefix(16))
    }

    private func hosts(of nodes: [NodeRow]) -> [String] {
        Set(nodes.flatMap(\.details.domains)).map { "\(name).\($0)" }.sorted(by: precedes).suffix(32)
    }

    private func spec(
        _ state: ContractState,
        _ nameID: Identifier,
        _ key: PublicKey,
        _ nodes: [(id: Identifier, row: NodeRow)],
        _ hosts: [String]
    ) -> ContractSpec {
        let offers = nodes.map(\.row.details.offer)
        return ContractSpec(
            backends: [Backend(id: Self.label, target: .key(key), weight: 100)],
            conn: .reverseTLS,
            expose: [
                Expose(id: Self.label, kind: .http, backends: [Self.label], hosts: hosts, tls: HTTPTLS.none)
            ],
            gateways: nodes.map(\.id).sorted(),
            limits: ContractLimits(
                bps: offers.map(\.bps).min() ?? 1_000_000_000,
                conns: min(1000, offers.map(\.conns).min() ?? 1000)
            ),
            nameContracts: [nameID],
            notBefore: state.now,
            notAfter: state.now + min(90 * 86_400, state.meta?.limits.term ?? 0),
            drain: 5
        )
    }

    /// Where visitors find the contract's web exposures: by each gateway's http endpoint and domains.
    static func urls(of contract: Identifier, in state: ContractState) -> [String] {
        guard let spec = state.contract(contract)?.spec else { return [] }
        var urls: [String] = []
        for node in spec.gateways {
            guard let details = state.node(node)?.live?.details else { continue }
            for endpoint in details.endpoints where endpoint.proto == .http {
                for host in spec.expose.filter({ $0.kind == .http }).flatMap({ $0.hosts ?? [] })
                where details.domains.contains(where: { host.hasSuffix(".\($0)") }) {
                    let url = endpoint.port == 80 ? "http://\(host)/" : "http://\(host):\(endpoint.port)/"
                    if !urls.contains(url) { urls.append(url) }
                }
            }
        }
        return urls
    }

    private func agentKeyFile(_ reference: LedgerReference) throws -> SigningKey {
        let path = agentKey ?? "\(reference.stateFolder)/expose.key"
        if agentKey == nil, try Posix.status(path) == nil { return try KeyFile.create(path) }
        return try KeyFile.read(path)
    }
}
