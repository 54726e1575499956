import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@testable import Gateway

@Suite(
    "A gateway with a thousand agents",
    .serialized,
    .enabled(if: More.heavy, "`scripts/test-more.sh heavy` runs it")
)
struct ManyAgentsTests {
    /// 1,000 agents with keys of their own, each with two sessions, on four loops of this process.
    private final class Agents: Sendable {
        private let loops: [Loop]
        private let cores: [LoopBound<AgentCore>]

        init(_ keys: [(key: SigningKey, contract: Identifier)], _ endpoint: GatewayEndpoint) throws {
            loops = try (0..<4).map { _ in try Loop() }
            var cores: [LoopBound<AgentCore>] = []
            for (number, item) in keys.enumerated() {
                let loop = loops[number % loops.count]
                let configuration = AgentConfiguration(
                    key: item.key,
                    contracts: [item.contract: ["raw": ForwardTarget("127.0.0.1:9")!]]
                )
                let core = AgentCore(
                    loop: loop,
                    context: try TLSContext(tunnel: .client, identity: TLSIdentity(seed: item.key.seed)),
                    instance: Hex.encode(Array(Digest.sha256(item.key.seed).bytes.prefix(16))),
                    configuration: configuration,
                    events: AsyncStream<AgentEvent>.makeStream(bufferingPolicy: .bufferingNewest(1)).continuation
                )
                cores.append(LoopBound(core, on: loop))
            }
            self.cores = cores
            for loop in loops { loop.start(name: "agents") }
            for core in cores { core.submit { $0.update(endpoints: [endpoint]) } }
        }

        func stop() async {
            for core in cores { core.submit { $0.stop() } }
            for loop in loops { await loop.stop() }
        }
    }

    @Test("1,000 agents that come back at once after a restart are there within 15 s, and visitors are not starved")
    func comeBack() async throws {
        let (perContract, contracts) = (32, 32)
        let deployment = try await Deployment()
        let gateway = try await deployment.furnish(reserving: "shop", leases: contracts)
        // All of them come from one address here, which no thousand agents do.
        try deployment.writeConfiguration(of: gateway, more: "limits: { handshakes_per_second: 100000 }")
        let origin = try await Origin.start(.http(text: "page"))
        let host = "shop.gw.test.example"
        let web = try await deployment.makeContract(
            "user",
            gateways: [gateway],
            expose: ["{ id: web, kind: http, tls: none, hosts: [\(host)], backends: [b1] }"],
            names: ["shop"]
        )
        let keys = try await manyContracts(deployment, gateway, contracts, perContract)
        var process = try deployment.start(gateway)
        let agent = try deployment.startAgent(contract: web, forwards: ["web=\(origin.target)"])
        let transport = try deployment.key("gw1.key").publicKey
        let endpoint = GatewayEndpoint(
            node: Identifier(hex: gateway.node)!,
            host: gateway.address,
            port: gateway.tunnel,
            transportKey: transport
        )
        let agents = try Agents(keys, endpoint)
        let all = 2 * keys.count + 2
        func count() async throws -> Int {
            try await deployment.sessions(of: gateway).count { ($0["contracts"] as? [String])?.isEmpty == false }
        }
        try await eventually(within: 90, "all agents are there") { (try? await count()) == all }
        print("\(keys.count) agents, \(all) sessions: \(try process.usage().residentKiB / 1024) MiB")

        for _ in 0..<2 {
            try await process.killHard()
            process = try deployment.start(gateway)
            let probe = try await awaited("the gateway listens", within: 20) {
                try? await Visitor(gateway.address, gateway.tunnel)
            }
            await probe.close()
            let start = ContinuousClock.now
            let crowd = Task { await pages(host, gateway, until: start + .seconds(15)) }
            try await eventually(within: 60, "all agents are back") { (try? await count()) == all }
            let lasted = ContinuousClock.now - start
            let report = await crowd.value
            print("all sessions back after \(lasted); the page: \(report)")
            #expect(lasted < .seconds(15))
            #expect(report.first < .seconds(10) && report.slowest < .seconds(2) && report.failures == 0)
        }
        await agents.stop()
        withExtendedLifetime(agent) {}
    }

    private struct Pages: Sendable {
        /// When the page was served for the first time.
        var first = Duration.seconds(99)
        /// From then on.
        var slowest = Duration.zero
        var answers = 0
        var failures = 0
    }

    /// Visitors who ask one after the other.
    private func pages(_ host: String, _ gateway: Deployment.Gateway, until end: ContinuousClock.Instant) async -> Pages
    {
        var pages = Pages()
        let start = ContinuousClock.now
        while ContinuousClock.now < end {
            let asked = ContinuousClock.now
            let isServed = await fetch("/", host: host, at: gateway.address, gateway.http)?.status == 200
            let now = ContinuousClock.now
            if isServed {
                if pages.answers == 0 {
                    pages.first = now - start
                } else {
                    pages.slowest = max(pages.slowest, now - asked)
                }
                pages.answers += 1
            } else if pages.answers > 0 {
                pages.failures += 1
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return pages
    }

    /// Contracts of a user of their own, each with a leased port and as many agents as a contract may have.
    private func manyContracts(
        _ deployment: Deployment,
        _ gateway: Deployment.Gateway,
        _ count: Int,
        _ perContract: Int
    ) async throws -> [(key: SigningKey, contract: Identifier)] {
        let client = try LedgerClient(urls: [deployment.ledgerURL])
        defer { client.shutdown() }
        let user = try TwinMaker.freshKey()
        var (account, sequence) = (Identifier.zero, Int64(0))
        func submit(_ body: EntryBody) async throws -> Identifier {
            let envelope = EntryDraft(
                body,
                ledger: Identifier(hex: deployment.ledgerID)!,
                account: account,
                signer: user.keyID,
                seq: sequence,
                expires: Int64(Date().timeIntervalSince1970) + 3_600
            ).signed(by: [user])
            let answer = try await client.submit(envelope)
            guard case .included = answer else { throw NeverHappened(description: "\(body.type): \(answer)") }
            sequence += 1
            return envelope.id
        }
        account = try await submit(.twinCreate(TwinCreateBody(keys: TwinKeys(owner: [user.publicKey]))))
        var keys: [(key: SigningKey, contract: Identifier)] = []
        for number in 0..<count {
            let own = try (0..<perContract).map { _ in try TwinMaker.freshKey() }
            let port = gateway.leases.lowerBound + UInt16(number)
            // In the order of the ledger: two digits each.
            let names = own.indices.map { "b\(10 + $0)" }
            let now = Int64(Date().timeIntervalSince1970)
            let spec = ContractSpec(
                backends: zip(names, own).map { Contracts.Backend(id: $0, target: .key($1.publicKey)) },
                conn: .reverseTLS,
                expose: [Expose(id: "raw", kind: .tcp, backends: names, ports: [PortRange(from: port, to: port)])],
                gateways: [Identifier(hex: gateway.node)!],
                limits: ContractLimits(bps: 1_000_000, conns: 100),
                notBefore: 0,
                notAfter: now / 86_400 * 86_400 + 10 * 86_400,
                version: 1
            )
            let contract = try await submit(.contractCreate(ContractCreateBody(spec: spec)))
            keys += own.map { ($0, contract) }
        }
        return keys
    }
}
