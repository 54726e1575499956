import Contracts

/// A farmer with two gateways, and users who come one after the other, deploy, update and cancel on them.
///
/// Nothing in it depends on another world, so that worlds may be mixed in any order, and each world's entries are valid
/// when they are logged in their order. Of 100 entries about 8 create twins, 8 names, 16 contracts, 10 update and 8
/// cancel them, 50 are the gateways' reports.
struct World {
    private struct Gateway {
        var twin: Principal
        var id: Identifier?
        var domain: String
        var nextPort: UInt16 = 20_000
    }

    private struct Deployment {
        var id: Identifier
        var spec: ContractSpec
        /// Steps of its life that were taken.
        var step = 0
        var bytes: Int64 = 0
    }

    private struct User {
        var twin: Principal
        var name: Identifier?
        var label: String
        var deployments: [Deployment] = []
        var left: Int
    }

    private let ledger: Identifier
    private let seed: UInt64
    private let number: UInt64
    private var random: SplitMix64
    private var farmer: Principal
    private var farm: Identifier?
    private var gateways: [Gateway]
    private var user: User?
    private var users: UInt64 = 0

    init(ledger: Identifier, seed: UInt64, number: UInt64) {
        self.ledger = ledger
        self.seed = seed
        self.number = number
        random = SplitMix64(seed: seed &* 0x1_0001 &+ number)
        farmer = Principal(seed: seed, number: number, role: "farmer")
        gateways = (0..<2).map { place in
            Gateway(
                twin: Principal(seed: seed, number: number, role: "gateway \(place)"),
                domain: "g\(place).f\(number).s\(seed).example.net"
            )
        }
    }

    /// The next entry, valid at a ledger time between `now` and a day later.
    mutating func next(now: Timestamp) -> UnsignedEntry {
        if let entry = setUp(now) { return entry }
        while true {
            if user == nil { return arrive(now) }
            if let entry = live(now) { return entry }
            user = nil
        }
    }

    // MARK: The farmer

    private mutating func setUp(_ now: Timestamp) -> UnsignedEntry? {
        if farmer.id == nil { return farmer.join(ledger, now) }
        guard let farm else {
            let entry = farmer.act(.farmCreate(FarmCreateBody(name: "farm-\(seed)-\(number)")), ledger, now)
            farm = entry.id
            return entry
        }
        for place in gateways.indices where gateways[place].id == nil {
            guard let twin = gateways[place].twin.id else { return gateways[place].twin.join(ledger, now) }
            let body = NodeRegisterBody(
                details: details(gateways[place]),
                farm: farm,
                name: "node-\(number)-\(place)",
                twin: twin
            )
            let entry = farmer.act(.nodeRegister(body), ledger, now, also: [gateways[place].twin.key])
            gateways[place].id = entry.id
            return entry
        }
        return nil
    }

    private func details(_ gateway: Gateway) -> NodeDetails {
        NodeDetails(
            domains: [gateway.domain],
            endpoints: [
                Endpoint(host: gateway.domain, port: 443, proto: .https),
                Endpoint(host: gateway.domain, port: 4443, proto: .tunnel),
            ],
            offer: Offer(
                bps: 1_000_000_000,
                conns: 10_000,
                kinds: [.http, .tcp, .tls],
                modes: [.reverseTLS],
                price: Price(currency: "TFT", gib: "0.01", hour: "0.5"),
                tcp: [PortRange(from: 20_000, to: 59_999)]
            ),
            region: Region(country: "BE", place: "Ghent"),
            transportKey: gateway.twin.key.publicKey
        )
    }

    // MARK: Users

    private mutating func arrive(_ now: Timestamp) -> UnsignedEntry {
        users += 1
        var user = User(
            twin: Principal(seed: seed, number: number, role: "user \(users)"),
            label: "app-\(seed)-\(number)-\(users)",
            left: 2
        )
        let entry = user.twin.join(ledger, now)
        self.user = user
        return entry
    }

    /// The next thing the user, or a gateway for them, does; nil when they are done.
    private mutating func live(_ now: Timestamp) -> UnsignedEntry? {
        guard var user else { return nil }
        defer { self.user = user }
        if user.name == nil {
            let entry = user.twin.act(.nameCreate(NameCreateBody(name: user.label)), ledger, now)
            user.name = entry.id
            return entry
        }
        if user.left > 0, user.deployments.allSatisfy({ $0.step > 2 }) {
            user.left -= 1
            let spec = spec(user, now)
            let entry = user.twin.act(.contractCreate(ContractCreateBody(spec: spec)), ledger, now)
            user.deployments.append(Deployment(id: entry.id, spec: spec))
            return entry
        }
        for index in user.deployments.indices {
            if let entry = advance(&user.deployments[index], &user.twin, now) { return entry }
        }
        return nil
    }

    private mutating func spec(_ user: User, _ now: Timestamp) -> ContractSpec {
        let agent = Principal(seed: seed, number: number, role: "agent \(users) \(user.left)").key.publicKey
        var expose: [Expose]
        switch random.next() % 8 {
        case 0:
            let port = max(gateways[0].nextPort, gateways[1].nextPort)
            for place in gateways.indices { gateways[place].nextPort = port == 59_999 ? 20_000 : port + 1 }
            expose = [
                Expose(id: "ssh", kind: .tcp, backends: ["a"], ports: [PortRange(from: port, to: port)])
            ]
        case 1:
            expose = [
                Expose(id: "mail", kind: .tls, backends: ["a"], hosts: ["\(user.label)-\(user.left).example.org"])
            ]
        default:
            let hosts = gateways.map { "w\(user.left).\(user.label).\($0.domain)" }.sorted()
            expose = [
                Expose(id: "web", kind: .http, backends: ["a"], hosts: hosts, tls: .terminate, redirect: true)
            ]
        }
        // Every eighth contract ends by itself.
        let life: Timestamp = random.next() % 8 == 0 ? 7_200 : 20_000_000
        return ContractSpec(
            backends: [Backend(id: "a", target: .key(agent))],
            conn: .reverseTLS,
            expose: expose,
            gateways: gateways.compactMap(\.id).sorted(),
            limits: ContractLimits(bps: 100_000_000, conns: 1_000),
            nameContracts: user.name.map { [$0] },
            notBefore: now,
            notAfter: now + life
        )
    }

    /// Deployed, reported by both gateways, used, updated, and in half of the cases cancelled and removed.
    private mutating func advance(
        _ deployment: inout Deployment,
        _ owner: inout Principal,
        _ now: Timestamp
    ) -> UnsignedEntry? {
        let cancels = deployment.id.bytes[1] < 128 && deployment.spec.notAfter > now + 100_000
        while deployment.step < 8 {
            let step = deployment.step
            deployment.step += 1
            switch step {
            case 0, 1:
                return report(deployment, .accepted, .deployed, at: step, now)
            case 2, 4:
                return usage(&deployment, at: step == 2 ? 0 : 1, now)
            case 3 where deployment.id.bytes[0] < 160:
                deployment.spec.version += 1
                deployment.spec.limits.conns += 1
                let body = ContractUpdateBody(contract: deployment.id, spec: deployment.spec)
                return owner.act(.contractUpdate(body), ledger, now)
            case 5 where cancels:
                return owner.act(.contractCancel(ContractCancelBody(contract: deployment.id)), ledger, now)
            case 6 where cancels, 7 where cancels:
                return report(deployment, .removed, .removed, at: step - 6, now)
            default:
                continue
            }
        }
        return nil
    }

    private mutating func report(
        _ deployment: Deployment,
        _ code: StatusCode,
        _ state: StatusState,
        at place: Int,
        _ now: Timestamp
    ) -> UnsignedEntry {
        let body = ContractReportBody(
            code: code,
            state: state,
            contract: deployment.id,
            node: gateways[place].id ?? .zero,
            version: deployment.spec.version
        )
        return gateways[place].twin.act(.contractReport(body), ledger, now)
    }

    private mutating func usage(_ deployment: inout Deployment, at place: Int, _ now: Timestamp) -> UnsignedEntry {
        deployment.bytes += Int64(random.next() % 1_000_000_000)
        let usage = UsageRow(bytesIn: deployment.bytes / 10, bytesOut: deployment.bytes, conns: 17, until: now)
        let body = UsageReportBody(usage: usage, contract: deployment.id, node: gateways[place].id ?? .zero)
        return gateways[place].twin.act(.usageReport(body), ledger, now)
    }
}
