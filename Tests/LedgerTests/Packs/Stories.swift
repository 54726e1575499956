import Contracts

/// What the packs of this project tell.
enum Stories {
    static let all: [(name: String, ledger: StoryLedger, key: Int, witnesses: [Int])] = [
        ("farmer", farmer, 1, [1, 2, 4]), ("user", user, 1, [1, 2, 4]), ("rotation", rotation, 2, [2, 3, 5]),
    ]

    // MARK: A farmer registers a node

    private static var farmer: StoryLedger {
        var story = StoryLedger("farmer")
        story.tick()
        let farmer = story.twin("farmer")
        let machine = story.twin("machine")
        let stranger = story.twin("stranger")
        let farm = story.sign(.farmCreate(FarmCreateBody(name: "north")), as: farmer.id, by: farmer.owner)
        story.sign(
            .farmCreate(FarmCreateBody(name: "north")),
            as: stranger.id,
            by: stranger.owner,
            expect: .farmNameTaken
        )
        let node = node("one", of: machine, farm: farm)
        // The machine's twin has to agree.
        story.sign(.nodeRegister(node), as: farmer.id, by: farmer.owner, expect: .signatureMissing)
        let first = story.sign(.nodeRegister(node), as: farmer.id, by: farmer.owner, with: [machine.operators])
        story.sign(
            .nodeRegister(self.node("two", of: stranger, farm: farm)),
            as: stranger.id,
            by: stranger.owner,
            expect: .farmForbidden
        )
        story.tick()
        var details = node.details
        details.endpoints.append(Endpoint(host: "2001:db8::1", port: 443, proto: .https))
        story.sign(
            .nodeUpdate(NodeUpdateBody(details: details, node: first, version: 2)),
            as: machine.id,
            by: machine.operators
        )
        story.sign(
            .nodeUpdate(NodeUpdateBody(details: details, node: first, version: 2)),
            as: machine.id,
            by: machine.operators,
            expect: .versionMismatch
        )
        story.sign(
            .nodeUpdate(NodeUpdateBody(details: details, node: first, version: 3)),
            as: stranger.id,
            by: stranger.owner,
            expect: .nodeForbidden
        )
        story.sign(
            .farmUpdate(FarmUpdateBody(farm: farm, name: "north-sea", version: 2, contact: "noc@example.org")),
            as: farmer.id,
            by: farmer.owner
        )
        let second = story.sign(
            .nodeRegister(self.node("two", of: machine, farm: farm)),
            as: farmer.id,
            by: farmer.owner,
            with: [machine.owner]
        )
        story.tick()
        story.sign(.nodeRetire(NodeRetireBody(node: second)), as: farmer.id, by: farmer.owner)
        story.sign(.nodeRetire(NodeRetireBody(node: second)), as: farmer.id, by: farmer.owner, expect: .nodeRetired)
        story.tick()
        return story
    }

    // MARK: A user deploys, updates and cancels

    private static var user: StoryLedger {
        var story = StoryLedger("user")
        let farmer = story.twin("farmer")
        let user = story.twin("user")
        let rival = story.twin("rival")
        let bank = story.twin("bank")
        let farm = story.sign(.farmCreate(FarmCreateBody(name: "north")), as: farmer.id, by: farmer.owner)
        let node = story.sign(.nodeRegister(node("one", of: farmer, farm: farm)), as: farmer.id, by: farmer.owner)
        let billing = PolicySetBody(
            auditorQuorum: 0,
            auditors: [],
            billing: [bank.id],
            policy: story.policy(1...4),
            version: 2
        )
        story.sign(.policySet(billing), as: nil, by: story.key("root 1"), with: [story.key("root 3")])
        story.tick()
        // Deploy.
        let shop = story.sign(.nameCreate(NameCreateBody(name: "shop")), as: user.id, by: user.operators)
        story.sign(.nameCreate(NameCreateBody(name: "shop")), as: rival.id, by: rival.owner, expect: .nameTaken)
        story.sign(.nameCreate(NameCreateBody(name: "www")), as: rival.id, by: rival.owner, expect: .nameReserved)
        var spec = story.spec(node, web("shop.gw.example.org"), names: [shop])
        spec.expose.insert(redis(6379), at: 0)
        let contract = story.sign(.contractCreate(ContractCreateBody(spec: spec)), as: user.id, by: user.operators)
        story.report(contract, .accepted, .deployed, at: node, by: farmer)
        let squat = story.spec(node, web("shop.gw.example.org"))
        story.sign(
            .contractCreate(ContractCreateBody(spec: squat)),
            as: rival.id,
            by: rival.owner,
            expect: .nameRequired
        )
        let port = story.spec(node, redis(6379))
        story.sign(.contractCreate(ContractCreateBody(spec: port)), as: rival.id, by: rival.owner, expect: .portTaken)
        story.sign(.nameRelease(NameReleaseBody(name: shop)), as: user.id, by: user.owner, expect: .nameInUse)
        // Update.
        story.tick(after: 600)
        spec.version = 2
        spec.expose[0] = redis(6380)
        let update = EntryBody.contractUpdate(ContractUpdateBody(contract: contract, spec: spec))
        story.sign(update, as: rival.id, by: rival.owner, expect: .contractForbidden)
        story.sign(update, as: user.id, by: user.operators)
        story.sign(update, as: user.id, by: user.operators, expect: .versionMismatch)
        story.report(contract, .suspendedForLaw, .suspended, at: node, version: 2, by: farmer)
        story.tick()
        story.report(contract, .accepted, .deployed, at: node, version: 2, by: farmer)
        story.report(contract, .accepted, .deployed, at: node, version: 2, by: farmer, expect: .reportUnchanged)
        let usage = UsageRow(bytesIn: 1_000, bytesOut: 90_000, conns: 12, until: story.now)
        story.sign(
            .usageReport(UsageReportBody(usage: usage, contract: contract, node: node)),
            as: farmer.id,
            by: farmer.operators
        )
        // A period that nobody paid for, and the next one that somebody did.
        story.settle(contract, 1, isFunded: false, by: bank)
        story.tick()
        spec.version = 3
        spec.expose[0] = redis(6381)
        story.sign(
            .contractUpdate(ContractUpdateBody(contract: contract, spec: spec)),
            as: user.id,
            by: user.operators,
            expect: .contractGrace
        )
        story.settle(contract, 2, isFunded: true, by: bank)
        // Cancel; a second contract expires by itself.
        var short = story.spec(node, redis(6390))
        short.notAfter = story.now + 3600
        let brief = story.sign(.contractCreate(ContractCreateBody(spec: short)), as: user.id, by: user.operators)
        story.sign(.contractCancel(ContractCancelBody(contract: contract)), as: user.id, by: user.operators)
        story.report(contract, .removed, .removed, at: node, version: 2, by: farmer)
        story.sign(
            .contractCancel(ContractCancelBody(contract: contract)),
            as: user.id,
            by: user.operators,
            expect: .contractDeleted
        )
        story.tick(after: 7200)
        story.report(brief, .removed, .removed, at: node, by: farmer)
        story.sign(.nameRelease(NameReleaseBody(name: shop)), as: user.id, by: user.operators)
        return story
    }

    // MARK: Root, ledger, witness and twin keys rotate

    private static var rotation: StoryLedger {
        var story = StoryLedger("rotation")
        let roots = (1...5).map { story.key("root \($0)") }
        story.tick()
        // Root keys: old and new thresholds sign, and every new key.
        let rotated = Quorum(roots[2...4].map(\.publicKey), threshold: 2)
        let rotate = EntryBody.rootRotate(RootRotateBody(root: rotated, version: 2))
        story.sign(rotate, as: nil, by: roots[0], with: [roots[1], roots[3]], expect: .signatureMissing)
        story.sign(rotate, as: nil, by: roots[0], with: [roots[1], roots[3], roots[4]])
        story.sign(rotate, as: nil, by: roots[0], with: [roots[1]], expect: .signerUnknown)
        // Ledger keys: the new one signs too; both hold for a while, then the old one goes.
        func keys(_ numbers: [Int], version: Int64) -> EntryBody {
            .ledgerKeys(LedgerKeysBody(keys: numbers.map { story.ledgerVerifierKey($0) }.sorted(), version: version))
        }
        let (both, one) = (keys([1, 2], version: 2), keys([2], version: 3))
        story.sign(both, as: nil, by: roots[2], with: [roots[3]], expect: .signatureMissing)
        story.sign(both, as: nil, by: roots[2], with: [roots[3], story.key("ledger 2")])
        story.tick(by: 1)
        story.tick(by: 2)
        story.sign(one, as: nil, by: roots[3], with: [roots[4]])
        story.tick(by: 1, expect: .signerUnknown)
        story.tick(by: 2)
        // Witnesses: one leaves, one comes.
        let policy = PolicySetBody(auditorQuorum: 0, auditors: [], billing: [], policy: story.policy(2...5), version: 2)
        story.sign(.policySet(policy), as: nil, by: roots[2], with: [roots[4]])
        let none = PolicySetBody(auditorQuorum: 0, auditors: [], billing: [], policy: .none, version: 3)
        story.sign(.policySet(none), as: nil, by: roots[2], with: [roots[4]], expect: .policyNone)
        // A person's keys, and a key for a machine that may do one thing.
        let person = story.twin("person")
        let fresh = story.key("person owner 2")
        let keysOfPerson = TwinKeys(owner: [fresh.publicKey])
        story.sign(
            .twinKeys(TwinKeysBody(keys: keysOfPerson, version: 2)),
            as: person.id,
            by: person.owner,
            with: [fresh]
        )
        story.sign(.nameCreate(NameCreateBody(name: "old")), as: person.id, by: person.owner, expect: .signerUnknown)
        let builder = story.key("builder")
        story.sign(
            .twinDelegate(Delegation(key: builder.publicKey, types: [.nameCreate], notAfter: story.now + 7200)),
            as: person.id,
            by: fresh
        )
        let name = story.sign(.nameCreate(NameCreateBody(name: "built")), as: person.id, by: builder)
        story.sign(
            .nameRelease(NameReleaseBody(name: name)),
            as: person.id,
            by: builder,
            expect: .signerForbidden
        )
        story.sign(.twinUndelegate(TwinUndelegateBody(key: builder.keyID)), as: person.id, by: fresh)
        story.sign(.nameCreate(NameCreateBody(name: "late")), as: person.id, by: builder, expect: .signerUnknown)
        story.tick(by: 2)
        return story
    }

    // MARK: Parts

    private static func node(_ name: String, of twin: StoryLedger.Twin, farm: Identifier) -> NodeRegisterBody {
        let ports = [PortRange(from: 6000, to: 6999)]
        let offer = Offer(
            bps: 1_000_000_000,
            conns: 10_000,
            kinds: [.http, .tcp, .tls],
            modes: [.reverseTLS],
            price: Price(currency: "EUR", gib: "0.01", hour: "0.001"),
            tcp: ports
        )
        let details = NodeDetails(
            contact: "noc@example.org",
            domains: ["gw.example.org"],
            endpoints: [Endpoint(host: "192.0.2.7", port: 7443, proto: .tunnel)],
            offer: offer,
            region: Region(country: "BE", place: "Oostende"),
            transportKey: twin.operators.publicKey
        )
        return NodeRegisterBody(details: details, farm: farm, name: "gw-\(name)", twin: twin.id)
    }

    private static func web(_ host: String) -> Expose {
        Expose(id: "web", kind: .http, backends: ["b1"], hosts: [host], tls: HTTPTLS.none)
    }

    private static func redis(_ port: UInt16) -> Expose {
        Expose(id: "redis", kind: .tcp, backends: ["b1"], ports: [PortRange(from: port, to: port)])
    }
}

extension StoryLedger {
    func spec(_ node: Identifier, _ expose: Expose, names: [Identifier]? = nil) -> ContractSpec {
        ContractSpec(
            backends: [Backend(id: "b1", target: .key(key("agent").publicKey), weight: 100)],
            conn: .reverseTLS,
            expose: [expose],
            gateways: [node],
            limits: ContractLimits(bps: 100_000_000, conns: 200),
            nameContracts: names,
            notBefore: Self.start,
            notAfter: Self.start + 7_776_000
        )
    }

    mutating func report(
        _ contract: Identifier,
        _ code: StatusCode,
        _ state: StatusState,
        at node: Identifier,
        version: Int64 = 1,
        by twin: Twin,
        expect expected: Code = .ok
    ) {
        let body = ContractReportBody(code: code, state: state, contract: contract, node: node, version: version)
        sign(.contractReport(body), as: twin.id, by: twin.operators, expect: expected)
    }

    mutating func settle(_ contract: Identifier, _ period: Int64, isFunded: Bool, by twin: Twin) {
        let bill = BillRow(
            amount: "1.25",
            currency: "EUR",
            from: Self.start + 10 * period,
            funded: isFunded,
            period: period,
            to: Self.start + 10 * period + 10
        )
        sign(.billSettle(BillSettleBody(bill: bill, contract: contract)), as: twin.id, by: twin.operators)
    }
}
