/// The key of a row of the state (section 3.1).
enum RowKey: Hashable, Sendable {
    case meta
    case time
    case root
    case keys
    case policy
    case upgrade
    case twin(Identifier)
    case lane(LaneKey)
    case delegate(Identifier, KeyID)
    case farm(Identifier)
    case node(Identifier)
    case name(Identifier)
    case contract(Identifier)
    case status(Identifier, Identifier)
    case usage(Identifier, Identifier)
    case bill(Identifier)
    case attest(Identifier)
    case evidence(Digest)

    /// The ASCII bytes of the key.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(140)
        func append(_ kind: String, _ first: Digest, _ second: Digest? = nil) {
            bytes.append(contentsOf: kind.utf8)
            bytes.append(0x2F)
            first.appendHex(to: &bytes)
            guard let second else { return }
            bytes.append(0x2F)
            second.appendHex(to: &bytes)
        }
        switch self {
        case .meta: bytes.append(contentsOf: "ledger/meta".utf8)
        case .time: bytes.append(contentsOf: "ledger/time".utf8)
        case .root: bytes.append(contentsOf: "ledger/root".utf8)
        case .keys: bytes.append(contentsOf: "ledger/keys".utf8)
        case .policy: bytes.append(contentsOf: "ledger/policy".utf8)
        case .upgrade: bytes.append(contentsOf: "ledger/upgrade".utf8)
        case .twin(let id): append("twin", id)
        case .lane(let lane): append("lane", lane.account, lane.key)
        case .delegate(let twin, let key): append("delegate", twin, key)
        case .farm(let id): append("farm", id)
        case .node(let id): append("node", id)
        case .name(let id): append("name", id)
        case .contract(let id): append("contract", id)
        case .status(let contract, let node): append("status", contract, node)
        case .usage(let contract, let node): append("usage", contract, node)
        case .bill(let contract): append("bill", contract)
        case .attest(let twin): append("attest", twin)
        case .evidence(let digest): append("evidence", digest)
        }
        return bytes
    }

    /// Parses the text of a key; nil for anything else.
    init?(_ text: String) {
        let parts = text.utf8.split(separator: 0x2F, omittingEmptySubsequences: false).map { String($0) ?? "" }
        switch parts.count {
        case 2 where parts[0] == "ledger":
            switch parts[1] {
            case "meta": self = .meta
            case "time": self = .time
            case "root": self = .root
            case "keys": self = .keys
            case "policy": self = .policy
            case "upgrade": self = .upgrade
            default: return nil
            }
        case 2:
            guard let id = Identifier(hex: parts[1]) else { return nil }
            switch parts[0] {
            case "twin": self = .twin(id)
            case "farm": self = .farm(id)
            case "node": self = .node(id)
            case "name": self = .name(id)
            case "contract": self = .contract(id)
            case "bill": self = .bill(id)
            case "attest": self = .attest(id)
            case "evidence": self = .evidence(id)
            default: return nil
            }
        case 3:
            guard let first = Identifier(hex: parts[1]), let second = Identifier(hex: parts[2]) else { return nil }
            switch parts[0] {
            case "lane": self = .lane(LaneKey(account: first, key: second))
            case "delegate": self = .delegate(first, second)
            case "status": self = .status(first, second)
            case "usage": self = .usage(first, second)
            default: return nil
            }
        default:
            return nil
        }
    }
}

/// A sequence lane: of each key in each account.
struct LaneKey: Hashable, Comparable, Sendable {
    var account: Identifier
    var key: KeyID

    static func < (left: LaneKey, right: LaneKey) -> Bool {
        left.account == right.account ? left.key < right.key : left.account < right.account
    }
}
