public import Contracts

/// What an audit found.
public struct AuditReport: Sendable {
    /// The answer, which decides the exit status.
    public enum Verdict: Int32, Sendable {
        /// Everything was verified and is equal.
        case equal = 0
        /// Tampered with, or different from what was recorded.
        case different = 1
        /// Equal as far as it goes: a fold upgrade was reached.
        case unsupported = 3
    }

    public var verdict: Verdict = .equal

    /// Entries that were folded, and the digests after them.
    public var size: UInt64 = 0
    public var root = MerkleTree.emptyRoot
    public var outcomeRoot = MerkleTree.emptyRoot
    public var stateRoot: Digest

    /// Ledger time after the entries.
    public var time: Timestamp = 0

    /// How many entries had each code; codes that no entry had are absent.
    public var codes: [Code: UInt64] = [:]

    /// Quorum time of the checkpoint; nil when it did not hold.
    public var quorumTime: Timestamp?

    /// Tampered envelopes and attack files, when they were asked for.
    public var each: [CaseVerdict]?

    /// All differences, the first one first.
    public var failures: [AuditFailure] = []

    /// Before anything was folded.
    init() {
        var state = ContractState()
        stateRoot = state.stateRoot()
    }

    mutating func take(_ replay: inout LogReplay) {
        size = replay.state.size
        root = replay.tree.root
        outcomeRoot = replay.state.outcomeRoot
        stateRoot = replay.stateRoot()
        time = replay.state.now
        codes = replay.codes
        if replay.isUnsupported, failures.isEmpty { verdict = .unsupported }
    }

    mutating func take(_ found: [AuditFailure]) {
        failures += found
        if !failures.isEmpty { verdict = .different }
    }

    /// The document of `audit replay --json`.
    public var json: JSONValue {
        var object: JSONObject = [
            "size": .integer(Int64(size)),
            "root": .string(root.hex),
            "outcome_root": .string(outcomeRoot.hex),
            "state_root": .string(stateRoot.hex),
            "time": .integer(time),
            "codes": .object(JSONObject(members: codes.map { ($0.rawValue, .integer(Int64($1))) })),
        ]
        if let each {
            object["each"] = .array(
                each.map { ["name": .string($0.name), "expect": .string($0.expected), "got": .string($0.got)] }
            )
        }
        if verdict == .unsupported { object["unsupported"] = true }
        if let failure = failures.first {
            object["error"] = .string(failure.code)
            object["message"] = .string(failure.message)
        }
        if let index = failures.lazy.compactMap(\.index).first { object["first_bad_index"] = .integer(Int64(index)) }
        return .object(object)
    }
}
