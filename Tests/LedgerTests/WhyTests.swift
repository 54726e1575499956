import Contracts
import Ledger
import Testing

@Suite("Why something is served or refused")
struct WhyTests {
    /// A story of which each chapter is asked about at its own height.
    private var story = StoryLedger("why")
    private let farmer: StoryLedger.Twin
    private let user: StoryLedger.Twin
    private let rival: StoryLedger.Twin
    private let node: Identifier
    private let shop: Identifier

    init() {
        farmer = story.twin("farmer")
        user = story.twin("user")
        rival = story.twin("rival")
        let farm = story.sign(.farmCreate(FarmCreateBody(name: "north")), as: farmer.id, by: farmer.owner)
        let offer = Offer(
            bps: 1_000_000_000,
            conns: 1000,
            kinds: [.http, .tcp],
            modes: [.reverseTLS],
            price: Price(currency: "EUR", gib: "0", hour: "0"),
            tcp: [PortRange(from: 6000, to: 6999)]
        )
        let details = NodeDetails(
            domains: ["gw.example.org"],
            endpoints: [Endpoint(host: "192.0.2.7", port: 7443, proto: .tunnel)],
            offer: offer,
            region: Region(country: "BE"),
            transportKey: farmer.operators.publicKey
        )
        let register = NodeRegisterBody(details: details, farm: farm, name: "gw1", twin: farmer.id)
        node = story.sign(.nodeRegister(register), as: farmer.id, by: farmer.owner)
        let policy = PolicySetBody(
            auditorQuorum: 0,
            auditors: [],
            billing: [farmer.id],
            policy: story.policy(1...4),
            version: 2
        )
        story.sign(.policySet(policy), as: nil, by: story.key("root 1"), with: [story.key("root 2")])
        shop = story.sign(.nameCreate(NameCreateBody(name: "shop")), as: user.id, by: user.operators)
    }

    private func web(_ host: String, deny: [String] = []) -> Expose {
        let networks = deny.compactMap { CIDR($0) }
        return Expose(
            id: "web",
            kind: .http,
            backends: ["b1"],
            hosts: [host],
            tls: HTTPTLS.none,
            deny: networks.isEmpty ? nil : networks
        )
    }

    private func port(_ number: UInt16) -> Expose {
        Expose(id: "port", kind: .tcp, backends: ["b1"], ports: [PortRange(from: number, to: number)])
    }

    private func ask(_ subject: String, node: Identifier? = nil, height: Int? = nil, from: String? = nil) async throws
        -> WhyReport
    {
        var question = WhyQuestion(try #require(WhySubject(subject)), node: node, height: height.map { UInt64($0) })
        question.visitor = from.flatMap { IPAddress($0) }
        return try await question.answer(
            from: story.log(),
            options: AuditOptions(ledgerID: story.id, localNow: story.now)
        )
    }

    private mutating func create(_ expose: Expose, by twin: StoryLedger.Twin, names: [Identifier]? = nil) -> Identifier
    {
        let spec = story.spec(node, expose, names: names)
        return story.sign(.contractCreate(ContractCreateBody(spec: spec)), as: twin.id, by: twin.operators)
    }

    @Test("a managed host: unclaimed, served, suspended, in grace, dropped, cancelled; each time with its entry")
    mutating func managedHost() async throws {
        let host = "shop.gw.example.org"
        story.tick()
        let unclaimed = story.leaves.count
        let contract = create(web(host, deny: ["203.0.113.0/24"]), by: user, names: [shop])
        let created = story.leaves.count
        story.report(contract, .suspendedForLaw, .suspended, at: node, by: farmer)
        let suspended = story.leaves.count
        story.report(contract, .accepted, .deployed, at: node, by: farmer)
        story.settle(contract, 1, isFunded: false, by: farmer)
        let unfunded = story.leaves.count
        story.settle(contract, 2, isFunded: true, by: farmer)
        let funded = story.leaves.count
        var spec = story.spec(node, web("a.shop.gw.example.org"), names: [shop])
        spec.version = 2
        story.sign(
            .contractUpdate(ContractUpdateBody(contract: contract, spec: spec)),
            as: user.id,
            by: user.operators
        )
        let updated = story.leaves.count
        story.sign(.contractCancel(ContractCancelBody(contract: contract)), as: user.id, by: user.owner)
        #expect(story.surprises.isEmpty, "\(story.surprises)")

        #expect(try await ask(host, height: unclaimed).decisive.reason == "NoContract")
        #expect(try await ask(host, node: node, height: unclaimed).decisive.message.contains("belongs to twin"))
        let cases: [(Int?, Bool, String, EntryType, SigningKey)] = [
            (created, true, "Pending", .contractCreate, user.operators),
            (suspended, false, "Suspended:legal", .contractReport, farmer.operators),
            (unfunded, false, "GracePeriod", .billSettle, farmer.operators),
            (funded, true, "Accepted", .contractReport, farmer.operators),
            (updated, false, "NoLongerNamed", .contractUpdate, user.operators),
            (nil, false, "CanceledByUser", .contractCancel, user.owner),
        ]
        for (height, isServed, reason, type, key) in cases {
            let report = try await ask(host, height: height)
            let answer = report.decisive
            #expect(answer.isServed == isServed && answer.reason == reason, "\(report.json)")
            #expect(answer.contract == contract && answer.node == node)
            let entry = try #require(answer.entries.last { $0.type == type }, "\(reason): \(answer.message)")
            #expect(entry.signers == [key.keyID] && entry.code == .ok)
            #expect(answer.message.contains("entry \(entry.index) "))
        }
        #expect(try await ask(host, height: created, from: "203.0.113.9").decisive.reason == "VisitorDenied")
        #expect(try await ask(host, height: created, from: "198.51.100.9").decisive.isServed)
        let json = try await ask(host).json
        for member in ["subject", "verdict", "contract", "rule", "height", "reason", "message"] {
            #expect(json[member] != nil, "\(member)")
        }
    }

    @Test("a leased port until its contract expires, and the key of its agent")
    mutating func portAndKey() async throws {
        var spec = story.spec(node, port(6390))
        spec.notAfter = story.now + 3600
        let contract = story.sign(
            .contractCreate(ContractCreateBody(spec: spec)),
            as: user.id,
            by: user.operators
        )
        let created = story.leaves.count
        story.tick(after: 7200)
        #expect(story.surprises.isEmpty, "\(story.surprises)")
        let agent = story.key("agent").keyID.hex
        #expect(try await ask("tcp:6390", height: created).decisive.isServed)
        #expect(try await ask(agent, height: created).decisive.contract == contract)
        #expect(try await ask("udp:6390", height: created).decisive.reason == "NoContract")
        for subject in ["tcp:6390", agent] {
            let answer = try await ask(subject).decisive
            #expect(!answer.isServed && answer.reason == "Expired")
            #expect(answer.entries.last?.type == .tick, "\(answer.message)")
            #expect(answer.entries.last?.signers == [story.key("ledger 1").keyID])
        }
        let stranger = try await ask(story.key("somebody").keyID.hex).decisive
        #expect(!stranger.isServed && stranger.reason == "KeyNotBackend" && stranger.contract == nil)
    }

    @Test("a custom host belongs to the first contract that is not rejected, once a gateway saw the proof")
    mutating func customHost() async throws {
        let host = "www.shop.example.net"
        let first = create(web(host), by: rival)
        let second = create(web(host), by: user)
        let claimed = story.leaves.count
        story.report(first, .accepted, .deployed, at: node, by: farmer)
        let deployed = story.leaves.count
        story.report(first, .notAllowedByPolicy, .rejected, at: node, by: farmer)
        let rejected = story.leaves.count
        story.report(second, .accepted, .deployed, at: node, by: farmer)
        story.sign(.nodeRetire(NodeRetireBody(node: node)), as: farmer.id, by: farmer.owner)
        #expect(story.surprises.isEmpty, "\(story.surprises)")
        let before = try await ask(host, height: claimed).decisive
        #expect(!before.isServed && before.reason == "DNSProofMissing" && before.contract == first)
        #expect(before.message.contains("contract \(second) asks for it too"))
        let after = try await ask(host, height: deployed).decisive
        #expect(after.isServed && after.contract == first && after.rule == "12.1 auth dns")
        #expect(try await ask(host, height: rejected).decisive.contract == second)
        #expect(try await ask(host).decisive.reason == "NodeRetired")
        #expect(try await ask(host, node: .sha256([1])).decisive.reason == "NodeUnknown")
    }

    @Test("reads only hosts, ports and key ids, and refuses a height beyond the end")
    func subjects() async throws {
        for text in ["", "tcp:", "tcp:0", "tcp:65536", "tcp:06", "icmp:1", "a b", "host", "-.example.org"] {
            #expect(WhySubject(text) == nil, "\(text)")
        }
        for text in ["shop.example.org", "*.example.org", "tcp:1", "udp:65535", String(repeating: "ab", count: 32)] {
            #expect(WhySubject(text)?.description == text)
        }
        await #expect(throws: AuditRoutes.Refusal.self) { try await ask("tcp:1", height: 1000) }
    }
}
