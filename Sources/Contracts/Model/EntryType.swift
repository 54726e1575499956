/// The types of entries that fold 1 knows.
public enum EntryType: String, Sendable, CaseIterable {
    case genesis
    case tick
    case rootRotate = "root.rotate"
    case ledgerKeys = "ledger.keys"
    case policySet = "policy.set"
    case protocolUpgrade = "protocol.upgrade"
    case twinCreate = "twin.create"
    case twinKeys = "twin.keys"
    case twinDelegate = "twin.delegate"
    case twinUndelegate = "twin.undelegate"
    case farmCreate = "farm.create"
    case farmUpdate = "farm.update"
    case nodeRegister = "node.register"
    case nodeUpdate = "node.update"
    case nodeRetire = "node.retire"
    case nameCreate = "name.create"
    case nameRelease = "name.release"
    case nameTransfer = "name.transfer"
    case contractCreate = "contract.create"
    case contractUpdate = "contract.update"
    case contractCancel = "contract.cancel"
    case contractReport = "contract.report"
    case usageReport = "usage.report"
    case billSettle = "bill.settle"
    case stateAttest = "state.attest"
    case evidenceFork = "evidence.fork"

    /// Whether the entry creates its own account, so that `account` is empty and `seq` is 0.
    var hasNoAccount: Bool { self == .genesis || self == .twinCreate }
}

/// Who may act in an entry of a type (section 3.3).
enum ActorKind {
    /// A key of the root set in a genesis entry, or an owner key of the twin that the entry creates.
    case itself
    /// A ledger key, for the ledger.
    case ledger
    /// A root key, for the ledger.
    case root
    /// An owner key of the account.
    case owner
    /// An owner key, an operator key or a delegate of the account.
    case anyOperator
}

extension EntryType {
    /// The actor of the type. A contract.cancel by the ledger itself is a root action instead.
    var actor: ActorKind {
        switch self {
        case .genesis, .twinCreate: .itself
        case .tick: .ledger
        case .rootRotate, .ledgerKeys, .policySet, .protocolUpgrade: .root
        case .twinKeys, .twinDelegate, .twinUndelegate, .farmCreate, .farmUpdate, .nodeRegister, .nodeRetire,
            .nameTransfer:
            .owner
        case .nodeUpdate, .nameCreate, .nameRelease, .contractCreate, .contractUpdate, .contractCancel,
            .contractReport, .usageReport, .billSettle, .stateAttest, .evidenceFork:
            .anyOperator
        }
    }
}

/// The types that a delegate may be allowed to sign, in the order of their bytes.
public enum DelegatedType: String, Sendable, CaseIterable {
    case contractCancel = "contract.cancel"
    case contractCreate = "contract.create"
    case contractUpdate = "contract.update"
    case nameCreate = "name.create"
    case nameRelease = "name.release"
}
