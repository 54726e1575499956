public import Contracts
internal import Foundation
public import Logging

/// The only way out of a halt: an operator names the checkpoint of the true branch (protocol.md 10.4).
public enum HaltResolution: Sendable, Hashable {
    /// The trusted history is the true one; the halt is lifted and the node goes on from where it was.
    case kept(size: UInt64, root: Digest)
    /// The trusted history was the false one. The true one was verified from genesis on and took its place; a copy
    /// of the old store is kept as `replaced`, a file beside it.
    case moved(size: UInt64, root: Digest, replaced: String)

    /// Moves the trust store of a halted node to the branch of a checkpoint.
    ///
    /// The checkpoint has to be valid and at quorum, like any other; entries come from the ledger and the mirrors of the
    /// configuration. Evidence stays, and the store records what was decided. Nothing changes when this throws.
    /// - Parameter note: the checkpoint as the operator got it from people, not from the ledger alone.
    /// - Throws: `LedgerRefusal`: `resolve.not_halted`, `resolve.undecided`, or a result of verification.
    public static func resolve(
        _ configuration: WatcherConfiguration,
        note: [UInt8],
        logger: Logger
    ) async throws(LedgerRefusal) -> HaltResolution {
        do {
            let client = try LedgerClient(sources: configuration.sources, limits: configuration.limits, logger: logger)
            defer { client.shutdown() }
            let (follower, store) = try LedgerFollower.open(configuration, client: client, logger: logger)
            defer { store.close() }
            return try await resolve(follower, store, note: note)
        } catch {
            throw LedgerRefusal(local: error)
        }
    }

    private static func resolve(
        _ follower: LedgerFollower,
        _ store: TrustStore,
        note: [UInt8]
    ) async throws -> HaltResolution {
        let position = await follower.position
        guard position.halt != nil else {
            throw refusal("resolve.not_halted", "this node is not halted; there is nothing to resolve")
        }
        let checkpoint: Checkpoint
        do throws(VerificationResult) {
            checkpoint = try Checkpoint(parsing: note)
        } catch {
            throw refusal(error.rawValue, "the file is no checkpoint")
        }
        try decides(checkpoint, store)
        guard position.halt?.result != .stateDivergence else {
            // The log is the true one, the state on it is not: only a replay gives another.
            return try await replaced(follower, store, by: checkpoint)
        }
        if try await follower.goesThrough(checkpoint) {
            try await store.resolve(position, by: checkpoint, at: follower.configuration.now())
            return .kept(size: position.size, root: position.root)
        }
        if checkpoint.size > position.size, let (size, root) = try await follower.extended(to: checkpoint) {
            var moved = await follower.position
            moved.halt = position.halt
            try await store.resolve(moved, by: checkpoint, at: follower.configuration.now())
            return .kept(size: size, root: root)
        }
        return try await replaced(follower, store, by: checkpoint)
    }

    /// A checkpoint below the fork is on both branches and decides nothing.
    private static func decides(_ checkpoint: Checkpoint, _ store: TrustStore) throws {
        for (name, bytes) in store.directory.evidence() {
            guard let evidence = try? ForkEvidence(parsing: bytes), checkpoint.size < evidence.a.size else { continue }
            throw refusal(
                "resolve.undecided",
                "the checkpoint of size \(checkpoint.size) does not say which branch is true: \(name) is about "
                    + "size \(evidence.a.size); name a checkpoint of at least that size"
            )
        }
    }

    /// Verifies the branch of the checkpoint from genesis on in a store of its own, then takes that over in one
    /// transaction. A copy of the old store keeps a name of its own.
    private static func replaced(
        _ follower: LedgerFollower,
        _ old: TrustStore,
        by checkpoint: Checkpoint
    ) async throws -> HaltResolution {
        let draft = "\(old.directory.path)/resolve.new"
        try? FileManager.default.removeItem(atPath: draft)
        defer { try? FileManager.default.removeItem(atPath: draft) }
        var configuration = follower.configuration
        configuration.stateDirectory = draft
        configuration.startCheckpoint = nil
        configuration.startsFromSnapshot = false
        let (fresh, store) = try LedgerFollower.open(configuration, client: follower.client, logger: follower.logger)
        defer { store.close() }
        guard try await fresh.extended(to: checkpoint) != nil else {
            throw refusal("entries.mismatch", "no source has the entries of the named branch; add one with --ledger")
        }
        var position = await fresh.position
        // The record says what was lifted.
        position.halt = await follower.position.halt
        try await store.resolve(position, by: checkpoint, at: configuration.now())
        store.close()
        let name = try await old.takeOver(draft, insteadOf: await follower.position.root)
        return .moved(size: position.size, root: position.root, replaced: name)
    }

    private static func refusal(_ code: String, _ message: String) -> LedgerRefusal {
        LedgerRefusal(.refused, code: code, source: "", message: message)
    }
}

extension LedgerFollower {
    /// Whether a valid checkpoint that is not larger is a prefix of the trusted tree.
    fileprivate func goesThrough(_ checkpoint: Checkpoint) async throws -> Bool {
        guard checkpoint.size > 0, checkpoint.size <= position.size else { return false }
        let tree = try await TrustedTree(leaves: store.leafHashes(size: position.size))
        guard tree.root(size: checkpoint.size) == checkpoint.root else { return false }
        _ = try await judge(checkpoint, try await rules(checkpoint, client.sources[0]), client.sources[0])
        return true
    }

    /// Moves forward to a valid checkpoint; nil if it does not extend the trusted tree.
    fileprivate func extended(to checkpoint: Checkpoint) async throws -> (size: UInt64, root: Digest)? {
        var gravest: LedgerRefusal?
        for source in client.sources {
            do {
                guard try await follow(checkpoint, source) == .advanced else { return nil }
                return (position.size, position.root)
            } catch let refusal as LedgerRefusal {
                let other: Set = [
                    VerificationResult.checkpointFork.rawValue, VerificationResult.entriesMismatch.rawValue,
                ]
                if position.size > 0, other.contains(refusal.code) { return nil }
                if refusal.kind != .unreachable || gravest == nil { gravest = refusal }
            }
        }
        throw gravest
            ?? LedgerRefusal(.unreachable, code: "client.unreachable", source: "", message: "no source answered")
    }
}
