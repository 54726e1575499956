internal import Contracts

/// The query of a list: where it begins, how long it is, and what is left out.
struct ReadModelQuery: Equatable {
    let kind: ReadModel.Kind
    private(set) var cursor: Identifier?
    private(set) var limit = ReadModelQuery.standardLimit
    private(set) var owner: Identifier?
    private(set) var node: Identifier?
    private(set) var state: String?

    static let standardLimit = 50
    static let highestLimit = 200

    /// The members that the list knows, for the sentence about a wrong query.
    var members: String { Self.filters(kind).joined(separator: ", ") }

    /// Parses a raw query; nil for a member that the list does not know, that comes twice, or whose value has another form.
    init?(_ kind: ReadModel.Kind, _ query: String) {
        self.kind = kind
        var met: Set<Substring> = []
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, Self.filters(kind).contains(String(parts[0])), met.insert(parts[0]).inserted,
                take(parts[0], String(parts[1]))
            else { return nil }
        }
    }

    private mutating func take(_ name: Substring, _ value: String) -> Bool {
        switch name {
        case "cursor":
            cursor = Identifier(hex: value)
            return cursor != nil
        case "limit":
            guard let number = Int(value), String(number) == value, (1...Self.highestLimit).contains(number) else {
                return false
            }
            limit = number
            return true
        case "owner":
            owner = Identifier(hex: value)
            return owner != nil
        case "node":
            node = Identifier(hex: value)
            return node != nil
        case "state":
            state = value
            return ["Created", "GracePeriod", "Deleted", "live", "retired"].contains(value)
        default:
            return false
        }
    }

    private static func filters(_ kind: ReadModel.Kind) -> [String] {
        switch kind {
        case .contracts: ["cursor", "limit", "owner", "node", "state"]
        case .nodes: ["cursor", "limit", "owner", "state"]
        case .names: ["cursor", "limit", "owner"]
        }
    }

    /// The path of the page behind a cursor.
    func path(after cursor: Identifier) -> String {
        var path = "/v1/\(kind.rawValue)?cursor=\(cursor.hex)&limit=\(limit)"
        if let owner { path += "&owner=\(owner.hex)" }
        if let node { path += "&node=\(node.hex)" }
        if let state { path += "&state=\(state)" }
        return path
    }

    /// Whether a row is listed. The owner of a node is its farm's owner or its twin.
    func admits(_ id: Identifier, _ ledger: ContractState) -> Bool {
        switch kind {
        case .contracts:
            guard let row = ledger.contract(id) else { return false }
            let word =
                switch row.phase {
                case .created: "Created"
                case .grace: "GracePeriod"
                case .deleted: "Deleted"
                }
            return (owner == nil || row.owner == owner) && (state == nil || word == state)
                && (node.map { row.spec?.gateways.contains($0) == true } ?? true)
        case .nodes:
            guard let row = ledger.node(id) else { return false }
            let farm: Identifier
            switch row {
            case .live(let live): farm = live.farm
            case .retired(let retired): farm = retired.farm
            }
            return (owner == nil || row.twin == owner || ledger.farm(farm)?.owner == owner)
                && (state == nil || (row.live == nil ? "retired" : "live") == state)
        case .names:
            return owner == nil || ledger.name(id)?.owner == owner
        }
    }
}
