import Contracts
import Foundation

/// A ledger with one node and many contracts on it, made by the fold from valid entries.
struct TableWorld {
    private(set) var state = ContractState()
    private(set) var node = Identifier.zero
    private let user = TableWorld.key("user")
    private var account = Identifier.zero
    private var contracts: [Identifier] = []
    private var name = Identifier.zero
    private let hosts: Int
    /// The gateway compares windows with the clock of this machine.
    private static let start = Timestamp(Date().timeIntervalSince1970)

    init(contracts count: Int, hosts: Int) throws {
        self.hosts = hosts
        let root = Self.key("root")
        let genesis = GenesisBody(
            keys: [VerifierKey(name: "ledger.example.org", type: 1, key: Self.key("ledger").publicKey)],
            limits: LedgerLimits(contracts: 100_000),
            name: "bench",
            origin: "ledger.example.org",
            policy: WitnessPolicy("quorum none\n")!,
            reserved: [],
            root: Quorum([root.publicKey], threshold: 1),
            time: Self.start
        )
        _ = fold(EntryDraft.genesis(genesis, signer: root.keyID).signed(by: [root]))
        account = submit(.twinCreate(TwinCreateBody(keys: TwinKeys(owner: [user.publicKey]))))
        let farm = submit(.farmCreate(FarmCreateBody(name: "farm")))
        node = submit(.nodeRegister(Self.registration(farm, account)))
        name = submit(.nameCreate(NameCreateBody(name: "app")))
        for number in 0..<count {
            contracts.append(submit(.contractCreate(ContractCreateBody(spec: spec(number, version: 1, conns: 100)))))
        }
        _ = state.stateRoot()
    }

    static func key(_ name: String) -> SigningKey {
        guard let key = try? SigningKey(seed: Digest.sha256(Array(name.utf8)).bytes) else {
            preconditionFailure("a hash is a seed")
        }
        return key
    }

    func host(_ contract: Int, _ place: Int) -> String { "c\(contract)-\(place).app.gw.example.org" }

    /// Changes one contract, and hashes the state as a watcher does before it publishes.
    mutating func change(_ number: Int) throws {
        let version = (state.contract(contracts[number])?.version ?? 1) + 1
        let spec = spec(number, version: version, conns: 100 + version)
        submit(.contractUpdate(ContractUpdateBody(contract: contracts[number], spec: spec)))
        _ = state.stateRoot()
    }

    /// For the first contracts: the seed of the agent's key, and the contract, in hex.
    func agents(_ count: Int) -> [String] {
        (0..<min(count, contracts.count)).map { "\(Digest.sha256(Array("agent \($0)".utf8)).hex) \(contracts[$0].hex)" }
    }

    private func spec(_ number: Int, version: Int64, conns: Int64) -> ContractSpec {
        let names = (0..<hosts).map { host(number, $0) }
        let exposes = stride(from: 0, to: hosts, by: 32).map { first in
            Expose(
                id: "web\(first)",
                kind: .http,
                backends: ["b"],
                hosts: names[first..<min(first + 32, hosts)].sorted(),
                tls: HTTPTLS.none
            )
        }
        return ContractSpec(
            backends: [Backend(id: "b", target: .key(Self.key("agent \(number)").publicKey))],
            conn: .reverseTLS,
            expose: exposes.sorted { $0.id < $1.id },
            gateways: [node],
            limits: ContractLimits(bps: 1_000_000_000, conns: conns),
            nameContracts: [name],
            notBefore: Self.start,
            notAfter: Self.start + 2_592_000,
            version: version
        )
    }

    @discardableResult
    private mutating func submit(_ body: EntryBody) -> Identifier {
        let isFirst = account == .zero
        let draft = EntryDraft(
            body,
            ledger: state.ledgerID ?? .zero,
            account: isFirst ? nil : account,
            signer: user.keyID,
            seq: isFirst ? 0 : state.lane(account: account, key: user.keyID) + 1,
            expires: Self.start + 3600
        )
        return fold(draft.signed(by: [user]))
    }

    private mutating func fold(_ envelope: Envelope) -> Identifier {
        let result = state.fold(envelope.leaf)
        guard case .outcome(let outcome) = result, outcome.code == .ok else {
            fatalError("an entry of the benchmark is not valid: \(result)")
        }
        return envelope.id
    }

    private static func registration(_ farm: Identifier, _ twin: Identifier) -> NodeRegisterBody {
        let offer = Offer(
            accept: .offer,
            bps: 10_000_000_000,
            conns: 100_000,
            kinds: [.http],
            modes: [.reverseTLS],
            price: Price(currency: "EUR", gib: "0.01", hour: "0"),
            tcp: nil,
            udp: nil
        )
        let details = NodeDetails(
            domains: ["gw.example.org"],
            endpoints: [Endpoint(host: "192.0.2.1", port: 443, proto: .tunnel)],
            offer: offer,
            region: Region(country: "BE"),
            transportKey: key("transport").publicKey
        )
        return NodeRegisterBody(details: details, farm: farm, name: "node-one", twin: twin)
    }
}
