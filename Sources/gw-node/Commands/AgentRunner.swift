import Contracts
import Gateway
import Ledger
import Logging

/// Joins an agent with the verified ledger, which says where the gateways of its contracts are and which keys they have.
struct AgentRunner {
    let agent: TunnelAgent
    let key: PublicKey
    let contracts: Set<Identifier>
    let targets: [Identifier: [String: ForwardTarget]]
    /// Whether the network wall is proven again and again.
    let isWalled: Bool
    /// What visitors have to end what they do when the process is told to end.
    let drain: Duration
    let output: Output
    let logger: Logger
    /// Meters of an earlier run, and where they are kept.
    let keeper: UsageKeeper

    /// As gateways have it.
    static let defaultDrain = Duration.seconds(30)
    static let longestDrain: Int64 = 3600

    init(
        key: SigningKey,
        contracts: [Identifier: [String: ForwardTarget]],
        slots: Int,
        isWalled: Bool = false,
        drain: Duration = Self.defaultDrain,
        folder: String,
        output: Output,
        logger: Logger
    ) throws {
        keeper = try UsageKeeper(folder: folder, logger: logger)
        var configuration = AgentConfiguration(
            key: key,
            contracts: contracts,
            slots: slots
        )
        configuration.usage = keeper.book
        // Gateways show it in their `status`.
        if isWalled { configuration.agent = "gw-node, walled" }
        self.isWalled = isWalled
        self.drain = drain
        agent = try TunnelAgent(configuration: configuration, logger: logger)
        self.key = key.publicKey
        self.contracts = Set(contracts.keys)
        targets = contracts
        self.output = output
        self.logger = logger
    }

    /// Runs until the process is told to end, or a contract's terms say that there is nothing to run for.
    func run(following watcher: Watcher) async throws {
        let signals = await Signals(logger: logger, reload: {}, drain: { await drainAndStop() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await watcher.run() }
            group.addTask { await agent.run() }
            group.addTask { try await follow(watcher) }
            group.addTask { await printEvents() }
            group.addTask { await printHealth() }
            group.addTask { await printWorkloads() }
            group.addTask { await keepUsage() }
            if isWalled { group.addTask { try await watchWall() } }
            group.addTask { try await signals.run() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Lets visitors end what they do, and writes down the last usage.
    private func drainAndStop() async {
        if drain > .zero {
            output.note("gw-node: visitors have up to \(Quantities.text(drain)) to end what they do")
        }
        await agent.drain(within: drain)
        var last = keeper
        if let book = await agent.usage() { last.keep(book, at: Posix.now()) }
        await agent.stop()
    }

    // MARK: What the ledger says

    private func follow(_ watcher: Watcher) async throws {
        var lastRefusals: [Identifier: String] = [:]
        var lastMismatches: Set<String> = []
        var isHalted = false
        for await verified in watcher.changes {
            let state = verified.state
            let refusals = Dictionary(
                uniqueKeysWithValues: contracts.compactMap { id in refusal(of: id, in: state).map { (id, $0) } }
            )
            for (id, refusal) in refusals where lastRefusals[id] != refusal.message {
                output.note("gw-node: \(refusal.message)")
            }
            lastRefusals = refusals.mapValues(\.message)
            for line in mismatches(in: state).subtracting(lastMismatches).sorted(by: precedes) {
                output.note("gw-node: \(line)")
            }
            lastMismatches = mismatches(in: state)
            if case .halted(_, let message) = verified.condition {
                if !isHalted {
                    logger.error("the ledger is not followed any more, the last verified state stays: \(message)")
                }
                isHalted = true
            } else {
                isHalted = false
            }
            agent.update(proxied: proxied(in: state))
            agent.update(rawContracts: contracts.filter { state.contract($0)?.spec?.conn == .reverseRaw })
            agent.update(endpoints: endpoints(of: contracts.filter { refusals[$0] == nil }, in: state))
            // Nothing that the ledger may still bring can help an ended contract; an unknown one may yet come.
            if refusals.count == contracts.count, let final = refusals.values.first,
                refusals.values.allSatisfy(\.isFinal)
            {
                // Running streams have the contract's drain, of at most an hour; the gateways cut them.
                await agent.retire(within: .seconds(3600))
                throw CommandFailure(.refused, code: final.code, final.message)
            }
        }
    }

    private struct Refusal {
        var code: String
        var message: String
        var isFinal: Bool
    }

    private func refusal(of id: Identifier, in state: ContractState) -> Refusal? {
        guard let row = state.contract(id) else {
            let message = "the ledger does not have the contract \(id.hex) yet; waiting for it"
            return Refusal(code: Code.contractUnknown.rawValue, message: message, isFinal: false)
        }
        guard let spec = row.spec else {
            let message = "the contract \(id.hex) has ended; create a new one"
            return Refusal(code: Code.contractDeleted.rawValue, message: message, isFinal: true)
        }
        guard spec.backends.contains(where: { $0.target == .key(key) }) else {
            let message =
                "the key \(key.hex) is no backend of the contract \(id.hex); use the agent's key, or update the contract"
            return Refusal(code: "key.not_backend", message: message, isFinal: true)
        }
        return nil
    }

    /// Exposures whose workloads get a PROXY header.
    private func proxied(in state: ContractState) -> Set<ExposureName> {
        var result: Set<ExposureName> = []
        for id in contracts {
            for expose in state.contract(id)?.spec?.expose ?? [] where (expose.proxy ?? 0) > 0 {
                result.insert(ExposureName(contract: id, exposure: expose.id))
            }
        }
        return result
    }

    /// Exposures that only one side knows, the contract or this agent, and those that cannot lead where they should.
    private func mismatches(in state: ContractState) -> Set<String> {
        var lines: Set<String> = []
        for (id, targets) in targets {
            guard let spec = state.contract(id)?.spec else { continue }
            let exposed = Set(spec.expose.map(\.id))
            for name in targets.keys where !exposed.contains(name) {
                lines.insert(
                    "the contract \(id.hex) has no exposure \(name); it has \(exposed.sorted().joined(separator: ", "))"
                )
            }
            for expose in spec.expose {
                guard let target = targets[expose.id], !target.mayServe(expose.kind.rawValue) else { continue }
                lines.insert(
                    "the exposure \(expose.id) of the contract \(id.hex) is of the kind \(expose.kind.rawValue), which cannot lead to "
                        + "\(target); its visitors are refused; take HOST:PORT without tls://"
                )
            }
            for name in exposed where targets[name] == nil {
                lines.insert(
                    "the exposure \(name) of the contract \(id.hex) leads nowhere here; its visitors are refused"
                )
            }
        }
        return lines
    }

    private func endpoints(of contracts: Set<Identifier>, in state: ContractState) -> [GatewayEndpoint] {
        let nodes = Set(contracts.compactMap { state.contract($0)?.spec }.flatMap(\.gateways))
        return nodes.sorted().flatMap { id -> [GatewayEndpoint] in
            guard let details = state.node(id)?.live?.details else { return [] }
            return details.endpoints.filter { $0.proto == .tunnel }.map {
                GatewayEndpoint(node: id, host: $0.host, port: $0.port, transportKey: details.transportKey)
            }
        }
    }

    // MARK: What was carried

    private func keepUsage() async {
        var keeper = keeper
        while (try? await Task.sleep(for: .seconds(UsageKeeper.seconds))) != nil {
            guard let book = await agent.usage() else { return }
            keeper.keep(book, at: Posix.now())
        }
    }

    // MARK: What the agent says

    /// Proves the wall every few seconds; a hole ends the agent.
    private func watchWall() async throws {
        while (try? await Task.sleep(for: .seconds(NetworkWall.recheckSeconds))) != nil {
            do throws(CommandFailure) {
                _ = try NetworkWall.prove()
            } catch {
                output.event(NetworkWall.broken(error), text: "wall: broken")
                throw error
            }
        }
    }

    private func printHealth() async {
        for await news in agent.health { output.event(news.json, text: news.text) }
    }

    private func printWorkloads() async {
        for await news in agent.workloads { output.event(news.json, text: news.text) }
    }

    private func printEvents() async {
        for await event in agent.events { output.event(event.json, text: event.text) }
    }
}
