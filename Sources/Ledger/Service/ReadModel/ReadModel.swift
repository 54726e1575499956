internal import Contracts
internal import NIOConcurrencyHelpers

/// What GET /v1/contracts, /v1/nodes and /v1/names list: rows of the state behind the published checkpoint, ascending by id.
///
/// For people and dashboards. Nothing in it is signed, so no gateway, client or fold reads it. Any thread.
final class ReadModel: Sendable {
    /// One list.
    enum Kind: String, Sendable, CaseIterable {
        case contracts
        case nodes
        case names

        /// Kind of the rows, as their keys begin.
        fileprivate var row: String {
            switch self {
            case .contracts: "contract"
            case .nodes: "node"
            case .names: "name"
            }
        }
    }

    /// A state with its sorted ids, which are computed when a list is first asked for.
    private struct Snapshot {
        var state = ContractState()
        var taken: ContinuousClock.Instant?
        var ids: [Kind: [Identifier]] = [:]
    }

    /// How long a list is not computed anew: as long as caches may keep it.
    private static let age = Duration.seconds(1)

    private let snapshot = NIOLockedValueBox(Snapshot())

    /// A page of a list.
    struct Page {
        /// Entries that the state follows from.
        var size: UInt64
        var items: [JSONValue]
        /// Where the next page begins; nil after the last one.
        var next: Identifier?
    }

    /// Offers a state that is published; a list that is young enough stays.
    func take(_ state: ContractState, now: ContinuousClock.Instant = .now) {
        snapshot.withLockedValue { snapshot in
            guard state.size > snapshot.state.size else { return }
            if let taken = snapshot.taken, now - taken < Self.age { return }
            snapshot = Snapshot(state: state, taken: now)
        }
    }

    /// Whether a state was ever taken.
    var isEmpty: Bool { snapshot.withLockedValue { $0.taken == nil } }

    func page(_ query: ReadModelQuery) -> Page {
        let (state, ids) = snapshot.withLockedValue { snapshot in
            let ids = snapshot.ids[query.kind] ?? Self.ids(query.kind, snapshot.state)
            snapshot.ids[query.kind] = ids
            return (snapshot.state, ids)
        }
        var page = Page(size: state.size, items: [])
        var last: Identifier?
        for id in ids[Self.start(ids, after: query.cursor)...] {
            guard query.admits(id, state) else { continue }
            if page.items.count == query.limit {
                page.next = last
                break
            }
            guard case .object(var object)? = state.row("\(query.kind.row)/\(id.hex)") else { continue }
            object["id"] = .string(id.hex)
            page.items.append(.object(object))
            last = id
        }
        return page
    }

    private static func ids(_ kind: Kind, _ state: ContractState) -> [Identifier] {
        switch kind {
        case .contracts: state.contracts.map(\.0)
        case .nodes: state.nodes.map(\.0)
        case .names: state.names.map(\.0)
        }
    }

    /// The first place whose id is above the cursor.
    private static func start(_ ids: [Identifier], after cursor: Identifier?) -> Int {
        guard let cursor else { return 0 }
        var (low, high) = (0, ids.count)
        while low < high {
            let middle = (low + high) / 2
            if ids[middle] <= cursor { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
