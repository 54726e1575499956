internal import Contracts
internal import Foundation
internal import Logging

/// A state taken from a snapshot, proven up to a checkpoint.
struct StartedState: Sendable {
    /// What the auditors attest, with their signatures.
    var signed: SignedStateNote
    /// The rows of the attested state.
    var rows: MergedRows
    /// The state after the entries that follow the snapshot.
    var state: ContractState
    /// Position in the key chain.
    var keyset: UInt64
    /// All leaf hashes of the checkpoint's tree.
    var leaves: [Digest]
    var edge: CompactRange
    /// Of the entries that follow the snapshot.
    var outcomes: [Outcome]
    /// Every ledger key of the key chain and of what follows the snapshot.
    var keys: KeyChain

    /// Root of the log at a size within it.
    func root(at size: UInt64) -> Digest {
        var range = CompactRange()
        for hash in leaves.prefix(Int(clamping: size)) { range.append(hash) }
        return range.root
    }
}

/// Why a snapshot is not used. Every code stands for one way in which a snapshot can be poisoned.
enum SnapshotFault: String, Sendable {
    /// Fewer distinct auditors attest it than the policy asks for, or the policy asks for none.
    case quorum = "snapshot.quorum"
    /// The manifest is no state note, is of another ledger or size, or an auditor's line does not verify.
    case note = "snapshot.note"
    /// Chunk roots, a chunk or a row is not what the auditors attest.
    case chunk = "snapshot.mismatch"
    /// The attested root is not that of the log at that size.
    case log = "snapshot.log"
    /// Keys or policy of the snapshot, or of the key chain, are not those of the log.
    case keys = "snapshot.keys"
    /// A file of it is not to be had.
    case missing = "snapshot.missing"
    /// An auditor's attestation in the log says something else than the note.
    case divergence = "state.divergence"
}

/// Step 1 of protocol.md 10.2: starts from a snapshot that `auditor_quorum` auditors attest, instead of from genesis.
///
/// What is believed rests on the pinned genesis alone: the key chain from it names the auditors, and its entries are
/// found at their places in the log; the tree of the checkpoint is hashed from all its leaf hashes; the attested log root
/// is that tree's at the snapshot's size; each chunk is the attested one; the entries after it are hashed and folded.
struct SnapshotStart: Sendable {
    let client: any LogTransport
    let source: LedgerClient.Source
    let logger: Logger

    /// Snapshots of a source that are tried, the newest first.
    static let mostTried = 2
    /// Hash tiles fetched at the same time: each is small, so the round trip counts.
    static let tilesInFlight = 16

    func refusal(_ fault: SnapshotFault, _ message: String) -> LedgerRefusal {
        LedgerRefusal(
            fault == .missing ? .unreachable : .refused,
            code: fault.rawValue,
            source: source.url,
            message: "\(source.url): \(message)"
        )
    }

    // MARK: The key chain

    /// The key chain of the ledger as the source shows it: the state of its keys and policy after each entry, beginning
    /// with genesis, and the leaf hashes of the entries after genesis. Provisional until they are found in the log.
    func keyChain(_ genesis: ContractState) async throws -> (states: [ContractState], leaves: [Digest]) {
        var states = [genesis]
        var leaves: [Digest] = []
        for number in 1...1024 {
            let leaf: [UInt8]
            do throws(LedgerClientError) {
                leaf = try await client.resource("/keyset/\(number)", from: source, limit: client.limits.answerBytes)
            } catch {
                guard error.code == .notFound else { throw LedgerRefusal(error) }
                break
            }
            var next = states[states.count - 1]
            do throws(Code) {
                try next.extendKeyChain(leaf)
            } catch {
                throw refusal(.keys, "/keyset/\(number) is no next entry of the key chain: \(error.rawValue)")
            }
            states.append(next)
            leaves.append(MerkleTree.leafHash(leaf))
        }
        return (states, leaves)
    }

    // MARK: One snapshot

    /// Takes the snapshot of `size`, up to the judged `checkpoint`.
    func run(
        size: UInt64,
        _ checkpoint: Checkpoint,
        _ quorumTime: Timestamp,
        _ chain: (states: [ContractState], leaves: [Digest])
    ) async throws -> StartedState {
        guard let now = chain.states.last, let origin = now.meta?.origin else {
            throw refusal(.keys, "its key chain has no genesis")
        }
        let signed = try await manifest(size, origin: origin)
        try requireQuorum(signed, now)
        let note = signed.state
        let log = try await LeafHashes.load(self, checkpoint, at: size)
        guard log.prefix.root == note.root else {
            throw refusal(.log, "the auditors attest another log of \(size) entries than the checkpoint's")
        }
        let places = chain.leaves.map { log.index(of: $0) }
        guard !places.contains(nil), places.compactMap(\.self).sorted() == places.compactMap(\.self) else {
            throw refusal(.keys, "an entry of its /keyset is not in its log")
        }
        let before = places.count { ($0 ?? 0) < size }
        let proof = try await file(.proof(size)) { SnapshotProof($0, for: note) }
        let (chunks, rows) = try await self.chunks(size, proof)
        var state: ContractState
        do {
            state = try ContractState(chunks: chunks, size: size, outcomes: proof.outcomes)
        } catch {
            throw refusal(.chunk, "its rows at size \(size) are no state: \(error)")
        }
        guard state.stateRoot() == note.stateRoot else {
            throw refusal(.chunk, "its chunks do not give the attested state root")
        }
        guard state.hasSameRules(as: chain.states[before]) else {
            throw refusal(.keys, "its keys and policy at size \(size) are not those of the key chain")
        }
        guard state.now <= quorumTime + EntryFold.tickTolerance else {
            let what = "its snapshot's time is \(state.now - quorumTime) s ahead of the quorum time of its checkpoint"
            throw LedgerRefusal(.timeJump, source: source, what)
        }
        var fold = EntryFold(state: state, keyset: UInt64(before), quorumTime: quorumTime)
        let outcomes = try await tail(&fold, log, checkpoint)
        guard fold.keyset >= UInt64(chain.leaves.count) else {
            throw refusal(.keys, "an entry of its /keyset has no effect in its log")
        }
        try requireQuorum(signed, fold.state)
        for auditor in fold.state.auditors {
            guard let last = fold.state.attestation(of: auditor.twin), UInt64(last.size) == size else { continue }
            guard last == note.attestation else {
                throw refusal(
                    .divergence,
                    "auditor \(auditor.twin.hex) attests another state of size \(size) in the log"
                )
            }
        }
        var keys = KeyChain()
        for set in chain.states.map(\.ledgerKeys) + fold.keySets { keys.add(set) }
        return StartedState(
            signed: signed,
            rows: rows,
            state: fold.state,
            keyset: fold.keyset,
            leaves: log.hashes,
            edge: log.edge,
            outcomes: outcomes,
            keys: keys
        )
    }

    func manifest(_ size: UInt64, origin: String) async throws -> SignedStateNote {
        let signed = try await file(.manifest(size), fault: .note) { try? SignedStateNote(parsing: $0) }
        let note = signed.state
        guard note.origin.utf8.elementsEqual(origin.utf8), note.size == size, note.fold == 1 else {
            throw refusal(
                .note,
                "its manifest of size \(size) is about \(note.origin), size \(note.size), fold \(note.fold)"
            )
        }
        return signed
    }

    /// Counts the auditors of a state, once per distinct twin (and key); never satisfied by a quorum of zero.
    func requireQuorum(_ signed: SignedStateNote, _ state: ContractState) throws {
        let size = signed.state.size
        guard state.auditorQuorum > 0 else {
            throw refusal(.quorum, "the policy asks for no auditors, so no snapshot can be believed")
        }
        let count: Int
        do {
            count = try signed.attesters(among: state.auditors).count
        } catch {
            throw refusal(.note, "a signature of an auditor on its manifest of size \(size) is forged")
        }
        guard count >= Int(state.auditorQuorum) else {
            throw refusal(
                .quorum,
                "\(count) auditors attest its snapshot of size \(size), \(state.auditorQuorum) are needed"
            )
        }
    }

    // MARK: Files

    /// A file and what it parses to; asked once more past all caches before it is refused.
    func file<Value>(
        _ path: SnapshotPath,
        fault: SnapshotFault = .chunk,
        _ parse: ([UInt8]) throws -> Value?
    ) async throws -> Value {
        for isBypassingCaches in [false, true] {
            let bytes: [UInt8]
            do throws(LedgerClientError) {
                bytes = try await client.snapshotFile(path, from: source, isBypassingCaches: isBypassingCaches)
            } catch {
                throw refusal(.missing, "/\(path) is not to be had: \(error.message)")
            }
            if let value = try parse(bytes) { return value }
        }
        throw refusal(fault, "/\(path) is not what the auditors attest")
    }

    /// A chunk that has its attested root.
    func chunk(_ number: Int, _ size: UInt64, _ proof: SnapshotProof) async throws -> StateChunk {
        try await file(.chunk(size, number)) { bytes in
            (try? StateChunk(parsing: bytes, number: number)).flatMap { $0.root == proof.chunkRoots[number] ? $0 : nil }
        }
    }

    /// All chunks, each compared with its attested root as it arrives, then decoded and sorted, beside the others.
    private func chunks(
        _ size: UInt64,
        _ proof: SnapshotProof
    ) async throws -> (chunks: [DecodedStateChunk], rows: MergedRows) {
        let window = ProcessInfo.processInfo.activeProcessorCount + 2
        return try await withThrowingTaskGroup(of: (DecodedStateChunk, [MergedRows.Row]).self) { group in
            var chunks = [DecodedStateChunk?](repeating: nil, count: StateChunk.count)
            var rows = [[MergedRows.Row]](repeating: [], count: StateChunk.count)
            var (started, arrived) = (0, 0)
            while arrived < StateChunk.count {
                while started < StateChunk.count, started - arrived < window {
                    let number = started
                    group.addTask {
                        let chunk = try await self.chunk(number, size, proof)
                        let rows = chunk.rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                        do {
                            return (try chunk.decoded(), rows)
                        } catch {
                            throw self.refusal(.chunk, "a row of chunk \(number) is none that this version knows")
                        }
                    }
                    started += 1
                }
                guard let (chunk, sorted) = try await group.next() else { break }
                chunks[chunk.chunk.number] = chunk
                rows[chunk.chunk.number] = sorted
                arrived += 1
            }
            return (chunks.compactMap(\.self), MergedRows(chunks: rows))
        }
    }

    // MARK: What follows the snapshot

    /// Fetches, compares and folds the entries after the snapshot, on all cores.
    private func tail(_ fold: inout EntryFold, _ log: LeafHashes, _ checkpoint: Checkpoint) async throws -> [Outcome] {
        var outcomes: [Outcome] = []
        let (start, end) = (fold.state.size, checkpoint.size)
        try await BundlePipeline.run(
            (0..<FetchedEntries.count(from: start, to: end)).map { FetchedEntries.Bundle($0, from: start, to: end) },
            window: ProcessInfo.processInfo.activeProcessorCount + 2,
            keys: { fold.state.keyRing },
            load: { bundle in
                let leaves = HashedLeaves(try await client.leaves(bundle, from: source, false))
                let first = Int(bundle.index) * TilePath.fullWidth + bundle.skip
                for (offset, hash) in leaves.hashes.enumerated() where hash != log.hashes[first + offset] {
                    let what = "its entry \(first + offset) is not the log's"
                    throw LedgerRefusal(.entriesMismatch, source: source, what)
                }
                return leaves
            },
            prepare: EntryEngine.standard.prepare,
            take: { bundle in
                try Task.checkCancellation()
                outcomes += fold.append(prepared: bundle.entries)
                if let stop = fold.stop { throw LedgerRefusal(stop, source: source, fold.stopMessage) }
            }
        )
        return outcomes
    }
}

extension ContractState {
    /// Whether keys, policy and versions of the ledger are the same.
    fileprivate func hasSameRules(as other: ContractState) -> Bool {
        ledgerID == other.ledgerID && meta == other.meta && rootVersion == other.rootVersion && root == other.root
            && ledgerKeysVersion == other.ledgerKeysVersion && ledgerKeys == other.ledgerKeys
            && policyVersion == other.policyVersion && policyText == other.policyText && auditors == other.auditors
            && auditorQuorum == other.auditorQuorum && billing == other.billing && upgrade == other.upgrade
    }
}
