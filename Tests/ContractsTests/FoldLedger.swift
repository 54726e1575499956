import Contracts

/// A ledger that tests write to: every entry is signed, folded and judged as one from a log would be.
struct FoldLedger {
    /// A twin with its keys.
    struct Account {
        var id: Identifier
        var owners: [SigningKey]
        var operators: [SigningKey]
        var owner: SigningKey { owners[0] }
    }

    /// Where the tests' time begins.
    static let start: Timestamp = 1_800_000_000

    let origin = "ledger.example.org"
    let roots = (1...3).map { FoldLedger.key($0) }
    var ledgerKey = FoldLedger.key(10)
    var state = ContractState()
    private var nextKey = 100

    init(limits: LedgerLimits = LedgerLimits(contracts: 4, grace: 3600, names: 3), policy: String = "quorum none\n") {
        let genesis = genesis(limits: limits, policy: policy)
        let draft = EntryDraft.genesis(genesis, signer: roots[0].keyID)
        precondition(fold(draft.signed(by: Array(roots.prefix(2)))) == .ok, "the genesis of the tests is valid")
    }

    func genesis(limits: LedgerLimits, policy: String = "quorum none\n") -> GenesisBody {
        GenesisBody(
            keys: [VerifierKey(name: origin, type: 1, key: ledgerKey.publicKey)],
            limits: limits,
            name: "test ledger",
            origin: origin,
            policy: WitnessPolicy(policy)!,
            reserved: ["www"],
            root: Quorum(roots.map(\.publicKey), threshold: 2),
            time: Self.start
        )
    }

    /// The state of a ledger with a twin of two owners, its farm and node, and one contract there.
    static func stateWithContract() -> ContractState {
        var ledger = FoldLedger()
        let twin = ledger.twin(owners: 2, threshold: 1, operators: 1)
        let node = ledger.node(of: twin, farm: ledger.farm("farm-a", of: twin))
        _ = ledger.contract(ledger.spec([node], [FoldLedger.expose(host: "a.example.net")]), of: twin)
        return ledger.state
    }

    static func key(_ number: Int) -> SigningKey {
        var seed = [UInt8](repeating: 7, count: 32)
        for index in 0..<4 { seed[index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
        return try! SigningKey(seed: seed)
    }

    mutating func freshKey() -> SigningKey {
        nextKey += 1
        return Self.key(nextKey)
    }

    var id: Identifier { state.ledgerID! }
    var now: Timestamp { state.now }

    /// The last entry's txid, which is the id of what it created.
    private(set) var last: Identifier = .zero

    @discardableResult
    mutating func fold(_ envelope: Envelope) -> Code {
        last = envelope.id
        guard case .outcome(let outcome) = state.fold(envelope.leaf) else { return .txUnsupported }
        return outcome.code
    }

    /// Signs by `signer` and `others`, with the next number of the signer's lane.
    @discardableResult
    mutating func submit(
        _ body: EntryBody,
        as account: Identifier?,
        by signer: SigningKey,
        with others: [SigningKey] = [],
        expires: Timestamp? = nil
    ) -> Code {
        let draft = EntryDraft(
            body,
            ledger: id,
            account: account,
            signer: signer.keyID,
            seq: account.map { state.lane(account: $0, key: signer.keyID) + 1 } ?? 0,
            expires: expires ?? now + 1000
        )
        return fold(draft.signed(by: [signer] + others))
    }

    /// Acts as a twin with its first owner key.
    @discardableResult
    mutating func submit(_ body: EntryBody, as account: Account, with others: [SigningKey] = []) -> Code {
        submit(body, as: account.id, by: account.owner, with: others)
    }

    /// Acts as the ledger with two root keys.
    @discardableResult
    mutating func submitAsRoot(_ body: EntryBody, with others: [SigningKey] = []) -> Code {
        submit(body, as: id, by: roots[0], with: [roots[1]] + others)
    }

    @discardableResult
    mutating func tick(to time: Timestamp) -> Code {
        submit(.tick(TickBody(time: time)), as: id, by: ledgerKey)
    }

    /// Ticks in steps of a day until the time.
    mutating func advance(to time: Timestamp) {
        while now < time { precondition(tick(to: min(time, now + 86_400)) == .ok, "ticks of the tests are valid") }
    }

    mutating func twin(owners: Int = 1, threshold: Int64 = 1, operators: Int = 0) -> Account {
        let owners = (0..<owners).map { _ in freshKey() }
        let operators = (0..<operators).map { _ in freshKey() }
        let keys = TwinKeys(
            owner: owners.map(\.publicKey),
            threshold: threshold,
            operators: operators.map(\.publicKey)
        )
        let code = submit(
            .twinCreate(TwinCreateBody(keys: keys)),
            as: nil,
            by: owners[0],
            with: Array(owners.dropFirst()) + operators
        )
        precondition(code == .ok, "twins of the tests are valid")
        return Account(id: last, owners: owners, operators: operators)
    }

    mutating func farm(_ name: String, of account: Account) -> Identifier {
        precondition(
            submit(.farmCreate(FarmCreateBody(name: name)), as: account) == .ok,
            "farms of the tests are valid"
        )
        return last
    }

    mutating func node(
        of account: Account,
        farm: Identifier,
        domains: [String] = ["gw.example.org"],
        offer: Offer = FoldLedger.offer()
    ) -> Identifier {
        let body = NodeRegisterBody(
            details: Self.details(domains: domains, offer: offer),
            farm: farm,
            name: "node-one",
            twin: account.id
        )
        precondition(submit(.nodeRegister(body), as: account) == .ok, "nodes of the tests are valid")
        return last
    }

    mutating func name(_ name: String, of account: Account) -> Identifier {
        precondition(
            submit(.nameCreate(NameCreateBody(name: name)), as: account) == .ok,
            "names of the tests are valid"
        )
        return last
    }

    mutating func contract(_ spec: ContractSpec, of account: Account) -> Identifier {
        let code = submit(.contractCreate(ContractCreateBody(spec: spec)), as: account)
        precondition(code == .ok, "contracts of the tests are valid, not \(code)")
        return last
    }

    @discardableResult
    mutating func update(
        _ contract: Identifier,
        to spec: ContractSpec,
        as account: Account,
        with others: [SigningKey] = []
    )
        -> Code
    {
        submit(.contractUpdate(ContractUpdateBody(contract: contract, spec: spec)), as: account, with: others)
    }

    @discardableResult
    mutating func report(
        _ code: StatusCode,
        _ status: StatusState,
        of contract: Identifier,
        at node: Identifier,
        version: Int64,
        as account: Account,
        conflict: Identifier? = nil
    ) -> Code {
        let body = ContractReportBody(
            code: code,
            state: status,
            contract: contract,
            node: node,
            version: version,
            conflict: conflict
        )
        return submit(.contractReport(body), as: account)
    }

    @discardableResult
    mutating func settle(_ contract: Identifier, period: Int64, funded: Bool, as account: Account) -> Code {
        let bill = BillRow(
            amount: "1.5",
            currency: "EUR",
            from: Self.start - 1000 + period,
            funded: funded,
            period: period,
            to: Self.start - 999 + period
        )
        return submit(.billSettle(BillSettleBody(bill: bill, contract: contract)), as: account)
    }

    // MARK: Parts of bodies

    static func offer(
        accept: Acceptance = .offer,
        conns: Int64 = 1000,
        kinds: [ExposeKind] = [.http, .tcp, .tls, .udp],
        modes: [ConnectionMode] = [.overlay, .reverseRaw, .reverseTLS],
        ports: [PortRange] = [PortRange(from: 1000, to: 1999)]
    ) -> Offer {
        Offer(
            accept: accept,
            bps: 1_000_000,
            conns: conns,
            kinds: kinds,
            modes: modes,
            price: Price(currency: "EUR", gib: "0.01", hour: "0"),
            tcp: kinds.contains(.tcp) ? ports : nil,
            udp: kinds.contains(.udp) ? ports : nil
        )
    }

    static func details(domains: [String] = ["gw.example.org"], offer: Offer = FoldLedger.offer()) -> NodeDetails {
        NodeDetails(
            domains: domains,
            endpoints: [Endpoint(host: "192.0.2.1", port: 443, proto: .tunnel)],
            offer: offer,
            region: Region(country: "BE"),
            transportKey: key(20).publicKey
        )
    }

    static func expose(tcp ports: PortRange, id: String = "ports") -> Expose {
        Expose(id: id, kind: .tcp, backends: ["b"], ports: [ports])
    }

    static func expose(host: String, id: String = "web") -> Expose {
        Expose(id: id, kind: .http, backends: ["b"], hosts: [host], tls: .terminate)
    }

    func spec(
        _ gateways: [Identifier],
        _ expose: [Expose],
        version: Int64 = 1,
        names: [Identifier]? = nil,
        conns: Int64 = 100,
        term: Timestamp = 1_000_000
    ) -> ContractSpec {
        ContractSpec(
            backends: [Backend(id: "b", target: .key(Self.key(30).publicKey))],
            conn: .reverseTLS,
            expose: expose,
            gateways: gateways.sorted(),
            limits: ContractLimits(bps: 1000, conns: conns),
            nameContracts: names,
            notBefore: Self.start,
            notAfter: Self.start + term,
            version: version
        )
    }
}
