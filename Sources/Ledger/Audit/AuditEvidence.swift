public import Contracts

/// What a file of fork evidence proves about a ledger.
public struct AuditEvidence: Sendable {
    /// The parsed file; nil when it is none.
    public let evidence: ForkEvidence?

    /// SHA-256 of the file: its name on the ledger and among auditors.
    public let digest: Digest

    /// `ok` when the ledger signed two histories.
    public let result: VerificationResult

    /// Which of the two histories the log at hand has, as far as it reaches; nil for a neither, or without a log.
    public internal(set) var historyAtHand: History?

    public enum History: String, Sendable {
        case a
        case b
    }

    /// Judges a file under keys that the caller trusts to be the ledger's.
    public init(_ bytes: [UInt8], keyChain: KeyChain) {
        evidence = try? ForkEvidence(parsing: bytes)
        digest = Digest.sha256(bytes)
        result = evidence?.verify(keyChain: keyChain) ?? .evidenceInvalid
    }

    /// Judges a file under the keys that a log leads to from the pinned genesis.
    ///
    /// The root keys vouch for each change of the ledger's keys, so the log may even be one of the two branches: its
    /// checkpoint is not judged, only its entries are.
    public static func run(
        _ bytes: [UInt8],
        log: any LogSource,
        options: AuditOptions,
        progress: (UInt64) -> Void = { _ in }
    ) async throws -> AuditEvidence {
        do {
            let parsed = try? ForkEvidence(parsing: bytes)
            let sizes = Set([parsed?.a.size, parsed?.b.size].compactMap { $0 })
            let leaves = try await LogAudit.leaves(from: log, rootSizes: sizes)
            var replay = LogReplay()
            try await LogAudit.fold(
                leaves,
                from: log,
                ledgerID: options.ledgerID,
                into: &replay,
                observe: { _, _ in },
                progress: progress
            )
            var audit = AuditEvidence(bytes, keyChain: replay.keyChain)
            // A checkpoint of another ledger proves nothing about this one, even under a key that both use.
            if let parsed, audit.result == .ok,
                !parsed.a.origin.utf8.elementsEqual((replay.state.meta?.origin ?? "").utf8)
            {
                return AuditEvidence(bytes, keyChain: KeyChain())
            }
            if let parsed {
                if leaves.roots[parsed.a.size] == parsed.a.root { audit.historyAtHand = .a }
                if leaves.roots[parsed.b.size] == parsed.b.root { audit.historyAtHand = .b }
            }
            return audit
        } catch let error as LogUnreadable {
            throw error.failure
        }
    }

    /// The document of `audit evidence --json`.
    public var json: JSONValue {
        var object: JSONObject = ["digest": .string(digest.hex), "result": .string(result.rawValue)]
        if let evidence {
            object["origin"] = .string(evidence.a.origin)
            object["a"] = ["root": .string(evidence.a.root.hex), "size": .integer(Int64(evidence.a.size))]
            object["b"] = ["root": .string(evidence.b.root.hex), "size": .integer(Int64(evidence.b.size))]
            object["prefix_root"] = .string(evidence.prefixRoot.hex)
        }
        object["history_at_hand"] = historyAtHand.map { .string($0.rawValue) }
        return .object(object)
    }
}
