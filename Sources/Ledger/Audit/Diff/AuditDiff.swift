public import Contracts

/// Whether two logs are one: where they part, what stands there, and which of the two holds under the ledger's own rules.
public struct AuditDiff: Sendable {
    public enum Relation: String, Sendable {
        /// The same entries.
        case equal
        /// All entries of one log are the first ones of the other.
        case prefix
        /// The logs part: one of them is not the ledger's history.
        case different
    }

    /// What is known about one of the two logs.
    public struct Side: Sendable {
        public let size: UInt64
        public let root: Digest

        /// Quorum time of the checkpoint, when it holds under the keys and the policy that its log leads to.
        public internal(set) var quorumTime: Timestamp?

        /// Why the checkpoint or the log does not hold; nil also before it was judged.
        public internal(set) var failure: AuditFailure?

        /// The entry at the place where the logs part; nil behind the end of this log.
        public internal(set) var entry: EntrySummary?

        /// The outcome at the first index at which the outcomes differ.
        public internal(set) var outcome: String?

        /// Whether the log was folded and its checkpoint judged.
        public var isJudged: Bool { quorumTime != nil || failure != nil }
    }

    public internal(set) var relation: Relation

    /// First entries that both logs have.
    public let shared: UInt64

    public internal(set) var a: Side
    public internal(set) var b: Side

    /// The first index at which the outcomes differ, as packs recorded them or as the fold computed them.
    public internal(set) var firstBadOutcome: UInt64?

    /// Proof that the ledger signed both histories; nil when it did not.
    public internal(set) var evidence: ForkEvidence?

    init(relation: Relation, shared: UInt64, a: Side, b: Side) {
        self.relation = relation
        self.shared = shared
        self.a = a
        self.b = b
    }

    /// Equal or a prefix, with equal outcomes, and nothing wrong with either log.
    public var isAgreement: Bool {
        relation != .different && firstBadOutcome == nil && a.failure == nil && b.failure == nil
    }

    /// The document of `audit diff --json`.
    public var json: JSONValue {
        var object: JSONObject = [
            "a": a.json, "b": b.json, "relation": .string(relation.rawValue), "shared": .integer(Int64(shared)),
        ]
        if relation == .different { object["first_bad_index"] = .integer(Int64(shared)) }
        object["first_bad_outcome"] = firstBadOutcome.map { .integer(Int64($0)) }
        object["evidence"] = evidence.map { .string(Digest.sha256($0.bytes).hex) }
        return .object(object)
    }
}

extension AuditDiff.Side {
    init(_ tree: LogTree) {
        size = tree.size
        root = tree.checkpoint.root
    }

    var json: JSONValue {
        var object: JSONObject = ["size": .integer(Int64(size)), "root": .string(root.hex)]
        object["condition"] = failure.map { .string($0.code) } ?? quorumTime.map { _ in "ok" }
        object["message"] = failure.map { .string($0.message) }
        object["quorum_time"] = quorumTime.map { .integer($0) }
        object["entry"] = entry?.json
        object["outcome"] = outcome.map { .string($0) }
        return .object(object)
    }
}
