import Contracts
import Logging
import NIOConcurrencyHelpers
import TestSupport

@testable import Ledger

/// One history, wholly determined by its seed: a ledger that forks at a random point and shows its two faces as it likes, four
/// witnesses of which one may collude, watchers, and a network that loses and delays. Events follow one another.
final class SimulatedWorld: Sendable {
    /// What a face of the ledger has made known.
    struct Face {
        /// Checkpoints at quorum, oldest first.
        var published: [[UInt8]] = []
        var size = 0
        /// What the ledger believes each witness to be at.
        var witnessed: [Int]
        /// A signed checkpoint on its way to the witnesses, with the cosignatures gathered so far.
        var pending: (size: Int, note: SignedNote, lines: [Int: SignedNote.Signature])?
    }

    struct State {
        var random: SplitMix64
        var faces: [Face]
        var isForked = false
        var loss = 0.2
        /// The face that each watcher was shown last; it gets the data of that.
        var shown: [Int]
        /// Branches of which a checkpoint beyond the fork reached quorum.
        var quorumBranches: Set<Int> = []
    }

    static let now = TestLog.start + 100

    let log: ForkedLog
    let keys: SimulatedKeys
    let state: NIOLockedValueBox<State>
    /// Every witness; one that colludes has another memory for each face.
    let witnesses: [[Witness]]
    let followers: NIOLockedValueBox<[LedgerFollower]> = NIOLockedValueBox([])
    let stores: [FollowerMemory]

    init(seed: UInt64, log: ForkedLog, keys: SimulatedKeys, start: SimulatedStart, watchers: Int, memo: FoldMemo) {
        self.log = log
        self.keys = keys
        var random = SplitMix64(seed: seed)
        let colluding = random.chance(0.5) ? Int(random.below(4)) : nil
        witnesses = log.witnessKeys.indices.map { number in
            (0..<2).map { _ in start.witness(number) }.enumerated().map {
                $0.offset == 0 || number == colluding ? $0.element : nil
            }
            .compactMap { $0 }
        }
        let face = Face(
            published: [start.checkpoint],
            size: start.size,
            witnessed: [Int](repeating: start.size, count: 4)
        )
        state = NIOLockedValueBox(
            State(random: random, faces: [face, face], shown: (0..<watchers).map { $0 % 2 })
        )
        stores = (0..<watchers).map { _ in FollowerMemory(leaves: start.leaves) }
        var logger = Logger(label: "simulation")
        logger.logLevel = .critical
        let made = stores.enumerated().map { number, store in
            LedgerFollower(
                configuration: start.configuration,
                client: SimulatedTransport(world: self, watcher: number),
                store: store,
                start: start.follower,
                logger: logger,
                check: keys.check,
                engine: memo.engine
            )
        }
        followers.withLockedValue { $0 = made }
    }

    /// Breaks the circle of world, followers and transports.
    func end() { followers.withLockedValue { $0 = [] } }

    func roll<Value>(_ body: (inout State) -> Value) -> Value { state.withLockedValue { body(&$0) } }

    func isLost() -> Bool { roll { $0.random.chance($0.loss) } }

    // MARK: The ledger

    /// The face that the ledger works on next; before the fork there is one.
    private func nextFace() -> Int { roll { $0.isForked ? Int($0.random.below(2)) : 0 } }

    /// Signs a larger tree, or takes a step towards the quorum of the one that is pending.
    func ledgerStep() async throws {
        let face = nextFace()
        let pending: SignedNote? = roll { state in
            if let pending = state.faces[face].pending { return pending.note }
            let size = state.faces[face].size + 1 + Int(state.random.below(3))
            guard size <= log.branches[face].size else { return nil }
            if !state.isForked, size > log.fork {
                // The moment of the fork: the other face goes on from the same published tree.
                state.isForked = true
                state.faces[1] = state.faces[0]
            }
            let text = Checkpoint.text(origin: log.origin, size: UInt64(size), root: log.branches[face].roots[size])
            let line = SignedNote.Signature(
                name: log.ledgerVKey.name,
                hash: log.ledgerVKey.hash,
                blob: keys.sign(log.ledgerKey, text)
            )
            let note = SignedNote(text: text, signatures: [line])
            state.faces[face].pending = (size, note, [:])
            return note
        }
        guard let pending else { return }
        let number = roll { Int($0.random.below(4)) }
        try await ask(number, face, pending)
    }

    private func ask(_ number: Int, _ face: Int, _ note: SignedNote) async throws {
        guard !isLost(), let checkpoint = Checkpoint(note: note) else { return }
        let old = roll { $0.faces[face].witnessed[number] }
        guard old <= checkpoint.size else { return }
        let proof =
            old == 0 || old == Int(checkpoint.size)
            ? [] : log.branches[face].consistency(from: old, to: Int(checkpoint.size))
        let request = AddCheckpointRequest(oldSize: UInt64(old), proof: proof, checkpoint: checkpoint)
        let memories = witnesses[number]
        let answer = try await memories[min(face, memories.count - 1)].addCheckpoint(
            request.bytes,
            of: WitnessedLog(origin: log.origin, keys: [log.ledgerVKey])
        )
        // The answer may be lost after the witness has signed.
        guard !isLost() else { return }
        switch answer {
        case .cosigned(let line): gathered(line, number, face, checkpoint)
        case .conflict(let size): roll { $0.faces[face].witnessed[number] = Int(size) }
        default: break
        }
    }

    private func gathered(_ line: [UInt8], _ number: Int, _ face: Int, _ checkpoint: Checkpoint) {
        let text = checkpoint.note.text + [0x0A] + line
        guard let signature = try? SignedNote(parsing: text).signatures.first else { return }
        roll { state in
            state.faces[face].witnessed[number] = Int(checkpoint.size)
            guard var pending = state.faces[face].pending, pending.note.text == checkpoint.note.text else { return }
            pending.lines[number] = signature
            state.faces[face].pending = pending
            guard pending.lines.count >= 3 else { return }
            let lines = pending.lines.sorted { $0.key < $1.key }.map(\.value)
            let note = SignedNote(text: pending.note.text, signatures: pending.note.signatures + lines)
            state.faces[face].published.append(note.bytes)
            state.faces[face].size = pending.size
            state.faces[face].pending = nil
            if pending.size > log.fork { state.quorumBranches.insert(face) }
        }
    }

    // MARK: Watchers

    /// A random watcher asks a random source.
    func watcherStep() async throws {
        let (watcher, kind) = roll { ($0.random.below(UInt64(stores.count)), $0.random.below(10)) }
        try await poll(Int(watcher), kind: Int(kind))
    }

    /// One round of a watcher: of 10 kinds six ask the ledger, one a mirror, two a witness, one a peer.
    func poll(_ watcher: Int, kind: Int) async throws {
        let source: LedgerClient.Source =
            switch kind {
            case 0..<6: SimulatedTransport.ledger
            case 6: SimulatedTransport.mirror
            case 7, 8: SimulatedTransport.witness(roll { Int($0.random.below(4)) })
            default: SimulatedTransport.peer(roll { Int($0.random.below(UInt64(stores.count))) })
            }
        do {
            _ = try await followers.withLockedValue { $0[watcher] }.round(source)
        } catch is LedgerRefusal {
            // What was lost, not believed, or ended in a halt.
        }
    }
}
