internal import Contracts

/// The fold over stored entries, which compares each with what the store says of it.
struct CheckedReplay {
    private(set) var state = ContractState()
    private(set) var tree = CompactRange()
    private var edge = TreeEdge()
    private var tileRoots: [TileRoot] = []
    private var keyChain = KeyChain()
    /// Keys of all witnesses that any policy so far named.
    private var witnesses: [VerifierKey] = []
    private(set) var tileRootCount: UInt64 = 0
    private(set) var newestCheckpoint: (size: UInt64, root: Digest)?
    /// Versions of keys and policy that were taken into the chain.
    private var versions: (keys: Int64, policy: Int64) = (0, 0)

    mutating func fold(_ entry: CheckedPage.Entry, _ parsed: ParsedEntry, _ verdicts: SignatureVerdicts) throws {
        let index = entry.index
        let hash = MerkleTree.leafHash(entry.leaf)
        guard entry.leafHash == hash.bytes else {
            throw StoreFault("entry", index, "entry.hash", "leaf_hash is not the hash of the leaf")
        }
        guard case .outcome(let outcome) = state.apply(parsed, verdicts: verdicts) else {
            throw StoreFault("entry", index, "entry.unsupported", "it needs rules that this gw-node does not know")
        }
        guard index > 0 || outcome.code == .ok else {
            throw StoreFault("entry", index, "entry.genesis", "it is no genesis: \(outcome.code.rawValue)")
        }
        guard entry.code.elementsEqual(outcome.code.rawValue.utf8) else {
            throw StoreFault("entry", index, "entry.code", "the fold gives it the code \(outcome.code.rawValue)")
        }
        guard entry.id == (outcome.id ?? .zero).bytes else {
            throw StoreFault("entry", index, "entry.txid", "txid is not the id of the payload")
        }
        guard entry.outcome == outcome.canonical else {
            throw StoreFault("outcome", index, "outcome.bytes", "the fold gives another outcome")
        }
        tree.append(hash)
        let completed = edge.append(hash)
        tileRoots += completed
        tileRootCount += UInt64(completed.count)
        noteKeys()
    }

    private mutating func noteKeys() {
        if state.ledgerKeysVersion != versions.keys {
            versions.keys = state.ledgerKeysVersion
            keyChain.add(state.ledgerKeys)
        }
        if state.policyVersion != versions.policy {
            versions.policy = state.policyVersion
            for witness in state.policy?.witnesses ?? [] where !witnesses.contains(witness.key) {
                witnesses.append(witness.key)
            }
        }
    }

    /// The roots of tiles that became full since the last call.
    mutating func takeTileRoots() -> [TileRoot] {
        defer { tileRoots = [] }
        return tileRoots
    }

    /// The whole state; costs a hash for each row.
    mutating func stateRoot() -> Digest { state.stateRoot() }

    /// Verifies a checkpoint that is stored for the tree of the entries so far.
    mutating func verify(checkpoint note: [UInt8]) throws {
        let size = tree.size
        guard let checkpoint = try? Checkpoint(parsing: note), checkpoint.note.bytes == note else {
            throw StoreFault("checkpoint", size, "checkpoint.form", "the note is malformed")
        }
        guard checkpoint.origin == state.meta?.origin else {
            throw StoreFault("checkpoint", size, "checkpoint.origin", "it is of another log")
        }
        guard checkpoint.size == size else {
            throw StoreFault("checkpoint", size, "checkpoint.size", "the note says size \(checkpoint.size)")
        }
        guard checkpoint.root == tree.root else {
            throw StoreFault("checkpoint", size, "checkpoint.root", "the entries before it give another root")
        }
        let lines: [SignedNote.Verified]
        do {
            lines = try checkpoint.note.verified(by: keyChain.keys + witnesses)
        } catch {
            throw StoreFault("checkpoint", size, "checkpoint.signature", "the line of \(error.name) does not verify")
        }
        guard lines.contains(where: { $0.time == nil && state.ledgerKeys.contains($0.key) }) else {
            throw StoreFault("checkpoint", size, "checkpoint.signature", "no key of the ledger at that size signed it")
        }
        guard lines.count >= checkpoint.note.signatures.count else {
            throw StoreFault("checkpoint", size, "checkpoint.line", "a key that the log never named signed it")
        }
        newestCheckpoint = (size, tree.root)
    }
}
