public import Contracts

/// Step 5 and what follows from a fork: comparison with the trusted tree, evidence, the halt.
extension LedgerFollower {
    /// Checkpoints of sizes not reached yet that are remembered.
    private static let mostClaims = 16
    /// Files of evidence that are kept.
    private static let mostEvidence = 16

    // MARK: Equal and smaller trees

    /// Compares a checkpoint that the ledger signed and that is not larger with the trusted tree.
    ///
    /// - Throws: a fork, which halts; or `checkpoint.stale` for an older prefix.
    func compare(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws {
        if checkpoint.size == position.size {
            guard checkpoint.root != position.root else { return }
            let trusted = try Checkpoint(parsing: position.checkpoint)
            throw try await halt(
                ForkEvidence(a: trusted, b: checkpoint, prefixRoot: checkpoint.root, proof: []),
                shownBy: source
            )
        }
        let stale = LedgerRefusal(
            .checkpointStale,
            source: source,
            "its checkpoint of size \(checkpoint.size) is older than the trusted size \(position.size)"
        )
        if recent[checkpoint.size] == checkpoint.root { throw stale }
        let tree = try await TrustedTree(leaves: store.leafHashes(size: position.size))
        guard tree.root(size: position.size) == position.root else {
            throw TrustStoreError(.corrupt, "the trust store's leaf hashes do not give its trusted root")
        }
        let root = tree.root(size: checkpoint.size)
        guard root != checkpoint.root else {
            recent[checkpoint.size] = root
            throw stale
        }
        guard checkpoint.size > 0 else {
            throw LedgerRefusal(.checkpointFork, source: source, "its empty checkpoint has the root of no empty tree")
        }
        let trusted = try Checkpoint(parsing: position.checkpoint)
        let proof = tree.consistency(from: checkpoint.size, to: position.size)
        throw try await halt(
            ForkEvidence(a: checkpoint, b: trusted, prefixRoot: root, proof: proof),
            shownBy: source
        )
    }

    // MARK: Peers and witnesses

    /// Step 11: compares what a peer or witness stands by with the trusted tree.
    ///
    /// A witness shows the ledger's signature and its own, so there need not be a quorum. One that has it is followed with
    /// the data of ledger and mirrors; another of a larger size is remembered, and compared when that size is passed.
    func observe(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws -> News {
        guard checkpoint.origin.utf8.elementsEqual(position.origin.utf8) else {
            let what = "its checkpoint is of origin \(checkpoint.origin), the ledger's is \(position.origin)"
            throw LedgerRefusal(.checkpointOrigin, source: source, what)
        }
        do {
            return try await follow(checkpoint, source)
        } catch let refusal as LedgerRefusal
            where refusal.kind == .refused && refusal.code == VerificationResult.checkpointQuorum.rawValue
        {
            guard let lines = try? checkpoint.note.verified(by: keys.keys, check: check), !lines.isEmpty else {
                throw refusal
            }
            guard checkpoint.size > position.size else {
                try await compare(checkpoint, source)
                return .unchanged
            }
            if let other = claims[checkpoint.size], other.root != checkpoint.root {
                throw try await halt(
                    ForkEvidence(a: other, b: checkpoint, prefixRoot: checkpoint.root, proof: []),
                    shownBy: source
                )
            }
            if claims.count >= Self.mostClaims, let largest = claims.keys.max() { claims[largest] = nil }
            claims[checkpoint.size] = checkpoint
            return .unchanged
        }
    }

    /// Compares the claims that a proven batch passes with its tree. What contradicts it is a fork.
    func compareClaims(
        with entries: FetchedEntries,
        _ checkpoint: Checkpoint,
        _ rules: Rules,
        _ source: LedgerClient.Source
    ) async throws {
        for (size, claim) in claims.sorted(by: { $0.key < $1.key }) {
            guard let root = entries.roots[size], root != claim.root, rules.ahead.isEmpty else { continue }
            let proof = try await readingTiles(size: checkpoint.size, from: source) { read in
                try Proofs.consistency(from: size, to: checkpoint.size, read: read)
            }
            throw try await halt(
                ForkEvidence(a: claim, b: checkpoint, prefixRoot: root, proof: proof),
                shownBy: source
            )
        }
    }

    // MARK: Evidence and halt

    /// Stores the evidence of a fork, then the halt, and returns the refusal to throw.
    ///
    /// A fork at a size that an operator has decided already only discredits the source.
    func halt(_ evidence: ForkEvidence, shownBy source: LedgerClient.Source) async throws -> LedgerRefusal {
        if let resolution, evidence.a.size <= resolution.size {
            let what = "its checkpoint is of the branch that was resolved to be false at size \(resolution.size)"
            return LedgerRefusal(.checkpointFork, source: source, what)
        }
        return LedgerRefusal(try await halt(evidence))
    }

    private func halt(_ evidence: ForkEvidence) async throws -> TrustedPosition.Halt {
        // Evidence first: a halt without it would ask an operator to believe.
        let path = try store.keep(evidence)
        let halt = TrustedPosition.Halt(
            result: .checkpointFork,
            message: "the ledger signed two histories: sizes \(evidence.a.size) and \(evidence.b.size) do not agree; "
                + "evidence is in \(path)"
        )
        try await stop(halt.result, halt.message)
        return halt
    }

    /// Judges fork evidence from elsewhere; what is proven for this ledger is stored and halts this node too.
    func receive(evidence bytes: [UInt8]) async throws -> EvidenceVerdict {
        guard let evidence = try? ForkEvidence(parsing: bytes) else { return .invalid }
        guard evidence.a.origin.utf8.elementsEqual(position.origin.utf8), position.size > 0 else { return .otherLedger }
        guard evidence.verify(keyChain: keys, check: check) == .ok else { return .invalid }
        if let resolution, evidence.a.size <= resolution.size { return .settled(evidence.digest) }
        if position.halt?.result == .checkpointFork {
            // Lines of strangers make endless variants of one proof; a few are enough.
            guard store.evidenceCount < Self.mostEvidence else { return .proven(evidence.digest) }
            _ = try store.keep(evidence)
        } else {
            _ = try await halt(evidence)
        }
        return .proven(evidence.digest)
    }
}

/// What came of fork evidence that somebody sent.
public enum EvidenceVerdict: Sendable, Hashable {
    /// The ledger signed two histories: stored, and this node is halted.
    case proven(Digest)
    /// It proves a fork at a size that an operator has decided with `ledger resolve`: nothing changes.
    case settled(Digest)
    /// It proves nothing under the keys that this ledger ever had.
    case invalid
    /// It is about another ledger, or this node has not verified anything yet.
    case otherLedger
}

/// The trusted tree from its leaf hashes, for the rare questions about a size in the past.
struct TrustedTree {
    private let levels: [[Digest]]

    init(leaves: [Digest]) {
        var levels = [leaves]
        while let last = levels.last, last.count > 1 {
            levels.append(
                stride(from: 0, to: last.count - 1, by: 2).map { MerkleTree.nodeHash(last[$0], last[$0 + 1]) }
            )
        }
        self.levels = levels
    }

    func root(size: UInt64) -> Digest {
        Proofs.root(of: 0..<size) { levels[$0][Int($1)] }
    }

    func consistency(from first: UInt64, to second: UInt64) -> [Digest] {
        Proofs.consistency(from: first, to: second) { levels[$0][Int($1)] }
    }
}
