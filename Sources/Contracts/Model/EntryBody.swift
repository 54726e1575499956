/// The body of an entry, one case for each type.
public enum EntryBody: Sendable {
    indirect case genesis(GenesisBody)
    case tick(TickBody)
    case rootRotate(RootRotateBody)
    case ledgerKeys(LedgerKeysBody)
    indirect case policySet(PolicySetBody)
    case protocolUpgrade(ProtocolUpgradeBody)
    case twinCreate(TwinCreateBody)
    case twinKeys(TwinKeysBody)
    indirect case twinDelegate(Delegation)
    case twinUndelegate(TwinUndelegateBody)
    case farmCreate(FarmCreateBody)
    indirect case farmUpdate(FarmUpdateBody)
    indirect case nodeRegister(NodeRegisterBody)
    indirect case nodeUpdate(NodeUpdateBody)
    case nodeRetire(NodeRetireBody)
    case nameCreate(NameCreateBody)
    case nameRelease(NameReleaseBody)
    case nameTransfer(NameTransferBody)
    indirect case contractCreate(ContractCreateBody)
    indirect case contractUpdate(ContractUpdateBody)
    case contractCancel(ContractCancelBody)
    indirect case contractReport(ContractReportBody)
    indirect case usageReport(UsageReportBody)
    indirect case billSettle(BillSettleBody)
    indirect case stateAttest(Attestation)
    indirect case evidenceFork(EvidenceForkBody)

    init(reading value: JSONValue, type: EntryType, account: Identifier?) throws(SchemaViolation) {
        switch type {
        case .genesis: self = .genesis(try GenesisBody(reading: value))
        case .tick: self = .tick(try TickBody(reading: value))
        case .rootRotate: self = .rootRotate(try RootRotateBody(reading: value))
        case .ledgerKeys: self = .ledgerKeys(try LedgerKeysBody(reading: value))
        case .policySet: self = .policySet(try PolicySetBody(reading: value))
        case .protocolUpgrade: self = .protocolUpgrade(try ProtocolUpgradeBody(reading: value))
        case .twinCreate: self = .twinCreate(try TwinCreateBody(reading: value))
        case .twinKeys: self = .twinKeys(try TwinKeysBody(reading: value))
        case .twinDelegate: self = .twinDelegate(try Delegation(reading: value))
        case .twinUndelegate: self = .twinUndelegate(try TwinUndelegateBody(reading: value))
        case .farmCreate: self = .farmCreate(try FarmCreateBody(reading: value))
        case .farmUpdate: self = .farmUpdate(try FarmUpdateBody(reading: value))
        case .nodeRegister: self = .nodeRegister(try NodeRegisterBody(reading: value))
        case .nodeUpdate: self = .nodeUpdate(try NodeUpdateBody(reading: value))
        case .nodeRetire: self = .nodeRetire(try NodeRetireBody(reading: value))
        case .nameCreate: self = .nameCreate(try NameCreateBody(reading: value))
        case .nameRelease: self = .nameRelease(try NameReleaseBody(reading: value))
        case .nameTransfer: self = .nameTransfer(try NameTransferBody(reading: value, account: account))
        case .contractCreate: self = .contractCreate(try ContractCreateBody(reading: value))
        case .contractUpdate: self = .contractUpdate(try ContractUpdateBody(reading: value))
        case .contractCancel: self = .contractCancel(try ContractCancelBody(reading: value))
        case .contractReport: self = .contractReport(try ContractReportBody(reading: value))
        case .usageReport: self = .usageReport(try UsageReportBody(reading: value))
        case .billSettle: self = .billSettle(try BillSettleBody(reading: value))
        case .stateAttest: self = .stateAttest(try Attestation(reading: value))
        case .evidenceFork: self = .evidenceFork(try EvidenceForkBody(reading: value))
        }
    }

    /// The type that the body belongs to.
    public var type: EntryType {
        switch self {
        case .genesis: .genesis
        case .tick: .tick
        case .rootRotate: .rootRotate
        case .ledgerKeys: .ledgerKeys
        case .policySet: .policySet
        case .protocolUpgrade: .protocolUpgrade
        case .twinCreate: .twinCreate
        case .twinKeys: .twinKeys
        case .twinDelegate: .twinDelegate
        case .twinUndelegate: .twinUndelegate
        case .farmCreate: .farmCreate
        case .farmUpdate: .farmUpdate
        case .nodeRegister: .nodeRegister
        case .nodeUpdate: .nodeUpdate
        case .nodeRetire: .nodeRetire
        case .nameCreate: .nameCreate
        case .nameRelease: .nameRelease
        case .nameTransfer: .nameTransfer
        case .contractCreate: .contractCreate
        case .contractUpdate: .contractUpdate
        case .contractCancel: .contractCancel
        case .contractReport: .contractReport
        case .usageReport: .usageReport
        case .billSettle: .billSettle
        case .stateAttest: .stateAttest
        case .evidenceFork: .evidenceFork
        }
    }

    /// The body as it stands in a payload.
    public var json: JSONValue {
        switch self {
        case .genesis(let body): body.json
        case .tick(let body): body.json
        case .rootRotate(let body): body.json
        case .ledgerKeys(let body): body.json
        case .policySet(let body): body.json
        case .protocolUpgrade(let body): body.json
        case .twinCreate(let body): body.json
        case .twinKeys(let body): body.json
        case .twinDelegate(let body): body.json
        case .twinUndelegate(let body): body.json
        case .farmCreate(let body): body.json
        case .farmUpdate(let body): body.json
        case .nodeRegister(let body): body.json
        case .nodeUpdate(let body): body.json
        case .nodeRetire(let body): body.json
        case .nameCreate(let body): body.json
        case .nameRelease(let body): body.json
        case .nameTransfer(let body): body.json
        case .contractCreate(let body): body.json
        case .contractUpdate(let body): body.json
        case .contractCancel(let body): body.json
        case .contractReport(let body): body.json
        case .usageReport(let body): body.json
        case .billSettle(let body): body.json
        case .stateAttest(let body): body.json
        case .evidenceFork(let body): body.json
        }
    }
}
