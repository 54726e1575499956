import Contracts

/// A valid body of each type, with every optional member present where one body can have them all.
enum SchemaBodies {
    static let id = Digest.sha256([1])
    static let other = Digest.sha256([2])
    static let keys = (1...4).map { FoldLedger.key($0).publicKey }.sorted()
    static let noteKey = VerifierKey(name: "ledger.example.org", type: 1, key: FoldLedger.key(1).publicKey)
    static let policy = WitnessPolicy("quorum none\n")!

    static let web = Expose(
        id: "web",
        kind: .http,
        backends: ["b"],
        hosts: ["*.example.net", "a.example.net"],
        tls: .terminate,
        path: "/a/b",
        allow: [CIDR("10.0.0.0/8")!, CIDR("::/0")!],
        deny: [CIDR("10.1.0.0/16")!],
        balance: .clientIP,
        proxy: 1,
        redirect: true
    )

    static let spec = ContractSpec(
        backends: [
            Backend(id: "b", target: .key(keys[0]), weight: 10), Backend(id: "c", target: .key(keys[1]), weight: 1),
        ],
        conn: .reverseTLS,
        expose: [
            Expose(id: "dns", kind: .udp, backends: ["b"], ports: [PortRange(from: 53, to: 53)], proxy: 2),
            Expose(id: "sni", kind: .tls, backends: ["b", "c"], hosts: ["tls.example.net"]),
            Expose(
                id: "ssh",
                kind: .tcp,
                backends: ["c"],
                ports: [PortRange(from: 22, to: 22), PortRange(from: 1000, to: 2023)]
            ),
            web,
        ],
        gateways: [id, other].sorted(),
        limits: ContractLimits(bps: 1, conns: 1, connRate: 1, bytesPeriod: 1, period: 3600),
        nameContracts: [id],
        notBefore: 1,
        notAfter: 2,
        drain: 0,
        maxStale: 300
    )

    static let details = NodeDetails(
        contact: "noc",
        domains: ["gw.example.org"],
        endpoints: [
            Endpoint(host: "gw.example.org", port: 1, proto: .http),
            Endpoint(host: "192.0.2.1", port: 65_535, proto: .tunnel),
            Endpoint(host: "2001:db8::1", port: 443, proto: .https),
        ],
        offer: FoldLedger.offer(),
        region: Region(country: "BE", place: "Gent"),
        transportKey: keys[0]
    )

    static func spec(version: Int64) -> ContractSpec {
        var spec = spec
        spec.version = version
        return spec
    }

    static let all: [EntryBody] = [
        .genesis(
            GenesisBody(
                keys: [noteKey],
                limits: LedgerLimits(),
                name: "n",
                origin: "ledger.example.org",
                policy: policy,
                reserved: ["wpad", "www"],
                root: Quorum(keys, threshold: 4),
                time: 0
            )
        ),
        .tick(TickBody(time: 0)),
        .rootRotate(RootRotateBody(root: Quorum(keys, threshold: 1), version: 2)),
        .ledgerKeys(LedgerKeysBody(keys: [noteKey], version: 2)),
        .policySet(
            PolicySetBody(
                auditorQuorum: 1,
                auditors: [Auditor(twin: id, key: noteKey)],
                billing: [id],
                policy: policy,
                version: 2
            )
        ),
        .protocolUpgrade(ProtocolUpgradeBody(activate: 0, fold: 2, version: 1)),
        .twinCreate(TwinCreateBody(keys: TwinKeys(owner: [keys[0]], operators: [keys[1]]))),
        .twinKeys(TwinKeysBody(keys: TwinKeys(owner: [keys[0], keys[1]], threshold: 2), version: 2)),
        .twinDelegate(
            Delegation(key: keys[0], types: DelegatedType.allCases, notAfter: 0, contracts: [id], names: [id])
        ),
        .twinUndelegate(TwinUndelegateBody(key: id)),
        .farmCreate(FarmCreateBody(name: "farm", contact: "mail")),
        .farmUpdate(FarmUpdateBody(farm: id, name: "farm", version: 2, contact: "mail")),
        .nodeRegister(NodeRegisterBody(details: details, farm: id, name: "node", twin: id)),
        .nodeUpdate(NodeUpdateBody(details: details, node: id, version: 2)),
        .nodeRetire(NodeRetireBody(node: id)),
        .nameCreate(NameCreateBody(name: "shop")),
        .nameRelease(NameReleaseBody(name: id)),
        .nameTransfer(NameTransferBody(name: id, to: other)),
        .contractCreate(ContractCreateBody(spec: spec)),
        .contractUpdate(ContractUpdateBody(contract: id, spec: spec(version: 2))),
        .contractCancel(ContractCancelBody(contract: id)),
        .contractReport(
            ContractReportBody(
                code: .hostnameConflict,
                state: .rejected,
                contract: id,
                node: id,
                version: 1,
                conflict: id
            )
        ),
        .usageReport(
            UsageReportBody(usage: UsageRow(bytesIn: 0, bytesOut: 0, conns: 0, until: 0), contract: id, node: id)
        ),
        .billSettle(
            BillSettleBody(
                bill: BillRow(amount: "0", currency: "EUR", from: 0, funded: true, period: 1, to: 1),
                contract: id
            )
        ),
        .stateAttest(Attestation(outcomeRoot: id, root: id, size: 1, stateRoot: id)),
        .evidenceFork(EvidenceForkBody(a: TreeHead(root: id, size: 0), b: TreeHead(root: id, size: 0), digest: id)),
    ]

    static func body(of type: EntryType) -> EntryBody { all.first { $0.type == type }! }

    /// Whether a payload of the type with this body passes steps 1 to 3.
    static func accepts(_ type: EntryType, _ body: JSONValue, _ change: (inout JSONObject) -> Void = { _ in }) -> Bool {
        if case .entry = parse(type, body, change) { return true }
        return false
    }

    static func parse(
        _ type: EntryType,
        _ body: JSONValue,
        _ change: (inout JSONObject) -> Void = { _ in }
    ) -> ParsedEntry {
        let isFirst = type == .genesis
        let hasAccount = type != .genesis && type != .twinCreate
        var payload: JSONObject = [
            "account": .string(hasAccount ? id.hex : ""), "body": body, "expires": .integer(isFirst ? 0 : 1),
            "ledger": .string((isFirst ? Digest.zero : other).hex), "seq": .integer(hasAccount ? 1 : 0),
            "signer": .string(id.hex), "type": .string(type.rawValue), "v": 1,
        ]
        change(&payload)
        return ParsedEntry(leaf: Envelope(payload: payload.canonical, signatures: []).leaf)
    }
}

extension JSONValue {
    /// The paths of all values in this one, the value itself first.
    var paths: [[PathStep]] {
        var paths: [[PathStep]] = [[]]
        switch self {
        case .object(let object):
            for member in object.members { paths += member.value.paths.map { [.member(member.name)] + $0 } }
        case .array(let elements):
            for (index, element) in elements.enumerated() { paths += element.paths.map { [.element(index)] + $0 } }
        default: break
        }
        return paths
    }

    enum PathStep: Hashable, CustomStringConvertible {
        case member(String)
        case element(Int)

        var description: String {
            switch self {
            case .member(let name): name
            case .element(let index): String(index)
            }
        }
    }

    /// The same value with another one at the path; nil removes it.
    func replacing(_ path: some Collection<PathStep>, with new: JSONValue?) -> JSONValue? {
        guard let step = path.first else { return new }
        let rest = path.dropFirst()
        switch (self, step) {
        case (.object(var object), .member(let name)):
            object[name] = rest.isEmpty ? new : object[name]?.replacing(rest, with: new)
            return .object(object)
        case (.array(var elements), .element(let index)):
            if let element = elements[index].replacing(rest, with: new) {
                elements[index] = element
            } else {
                elements.remove(at: index)
            }
            return .array(elements)
        default:
            return self
        }
    }

    /// The value at a path written `offer.kinds.0`.
    func at(_ path: String, _ new: JSONValue?) -> JSONValue {
        let steps = path.split(separator: ".").map { part in
            Int(part).map(PathStep.element) ?? .member(String(part))
        }
        return replacing(steps, with: new) ?? self
    }

    subscript(path path: [PathStep]) -> JSONValue? {
        guard let step = path.first else { return self }
        let rest = Array(path.dropFirst())
        switch step {
        case .member(let name): return self[name]?[path: rest]
        case .element(let index):
            guard let elements = asArray, elements.indices.contains(index) else { return nil }
            return elements[index][path: rest]
        }
    }
}
