internal import Contracts

/// How proven leaves become entries, and entries outcomes: a parameter of the follower, so that a simulation in which many
/// nodes read the same log does the work once.
struct EntryEngine: Sendable {
    typealias Prepared = (ParsedEntry, SignatureVerdicts)

    /// Parses the leaves of a page and verifies their signatures under known and announced keys. Any task.
    typealias Prepare =
        @Sendable (
            _ leaves: [[UInt8]], _ page: Int, _ keys: KeyRing, _ announced: AnnouncedKeys
        ) -> [Prepared]

    /// Folds leaves that were prepared.
    typealias Fold =
        @Sendable (
            _ fold: inout EntryFold, _ leaves: ArraySlice<[UInt8]>, _ entries: ArraySlice<Prepared>
        ) -> [Outcome]

    var prepare: Prepare
    var fold: Fold

    static let standard = EntryEngine(
        prepare: { leaves, page, keys, announced in
            let parsed = leaves.map { ParsedEntry(leaf: $0) }
            announced.add(parsed, page: page)
            return parsed.map { entry in
                (entry, SignatureVerdicts.compute(for: entry) { keys[$0] ?? announced[$0] })
            }
        },
        fold: { fold, _, entries in fold.append(prepared: entries) }
    )
}
