/// Why a ledger's database was not filled up. Nothing is committed that was not proven.
public enum RecoveryError: Error, Sendable, Hashable, CustomStringConvertible {
    /// No source gave the entries, and why each did not.
    case notFound(SignedTree, seenAt: String, reasons: [String])
    /// What was signed is no continuation of what the database holds.
    case otherWay(SignedTree, seenAt: String)
    /// The largest tree that was seen is signed by no key that the log knows.
    case unsigned(SignedTree, seenAt: String)
    /// An entry needs rules that this version does not know.
    case unsupported(UInt64)

    public var description: String {
        switch self {
        case .notFound(let tree, let place, let reasons):
            "no source has the entries up to size \(tree.size), root \(tree.root), seen at \(place): "
                + (reasons.isEmpty ? "none was given" : reasons.joined(separator: "; "))
                + "; give more with --from, a mirror, a gateway's copy or a folder with the log's files"
        case .otherWay(let tree, let place):
            "size \(tree.size) was signed with root \(tree.root), seen at \(place), and this database is no beginning of "
                + "that tree: it went another way; put the right copy back"
        case .unsigned(let tree, let place):
            "size \(tree.size), root \(tree.root), seen at \(place), is signed by no key of this ledger; leave that source "
                + "away"
        case .unsupported(let index):
            "entry \(index) needs rules that this gw-node does not know; use a newer one"
        }
    }
}
