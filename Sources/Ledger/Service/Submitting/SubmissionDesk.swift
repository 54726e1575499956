internal import Contracts
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix

/// Takes bodies from the event loop, and gives the sequencer entries that are parsed and whose signatures are verified.
///
/// Signature checks are most of the work of an entry and need no order, so they run on threads of their own, one for
/// each core: beside the event loop, and beside the tasks that keep the log going. What arrives while they are at work is
/// taken in pieces, so that waking a thread, taking a lock and waking the sequencer are paid once for several entries.
/// What waits here is bounded by the open connections, of which each has one submission under way.
final class SubmissionDesk: Sendable {
    /// A body with what its request asks for.
    struct Arrival: Sendable {
        var body: ByteBuffer
        /// False to be answered as soon as the entry is in the queue.
        var waits: Bool
        /// Called once, on any thread.
        var reply: @Sendable (SubmissionResult) -> Void
    }

    /// Bodies that a thread takes at once, a millisecond of work: more would leave the other threads idle.
    private static let piece = 16

    private let sequencer: Sequencer
    private let wait: Duration
    private let threads: NIOThreadPool
    private let threadCount: Int
    private let state = NIOLockedValueBox(State())

    private struct State {
        var arrivals = CircularBuffer<Arrival>()
        var working = 0
    }

    init(_ sequencer: Sequencer, _ limits: ServiceLimits) {
        self.sequencer = sequencer
        wait = limits.submissionWait
        threadCount = System.coreCount
        threads = NIOThreadPool(numberOfThreads: threadCount)
        threads.start()
    }

    /// Ends the threads; who still waits is told that the server stops.
    func shutdown() async throws {
        try await threads.shutdownGracefully()
        let left = state.withLockedValue { state in
            defer { state.arrivals.removeAll() }
            return Array(state.arrivals)
        }
        for arrival in left { arrival.reply(.unavailable(reason: "the server is stopping", retryAfterSeconds: 5)) }
    }

    func take(_ arrival: Arrival) {
        let needsThread = state.withLockedValue { state in
            state.arrivals.append(arrival)
            guard state.working < threadCount else { return false }
            state.working += 1
            return true
        }
        guard needsThread else { return }
        threads.submit { item in
            // At a shutdown the rest is answered there.
            if item == .active { self.work() }
        }
    }

    private func work() {
        while let arrivals = next() {
            let keys = sequencer.state.keyRing
            sequencer.submit(arrivals.compactMap { submission($0, keys) })
        }
    }

    private func next() -> [Arrival]? {
        state.withLockedValue { state in
            let count = min(Self.piece, state.arrivals.count)
            guard count > 0 else {
                state.working -= 1
                return nil
            }
            defer { state.arrivals.removeFirst(count) }
            return Array(state.arrivals.prefix(count))
        }
    }

    /// Does all that needs no order; nil if that decided the answer.
    private func submission(_ arrival: Arrival, _ keys: KeyRing) -> QueuedEntry? {
        let (envelope, leaf): (Envelope, [UInt8])
        do {
            (envelope, leaf) = try SubmissionReader.read([UInt8](buffer: arrival.body))
        } catch {
            let sentence = "the body is not a DSSE envelope: \(error.reason)"
            arrival.reply(.rejected(Rejection(.envelopeNoncanonical, id: nil, message: sentence)))
            return nil
        }
        guard leaf.count <= Envelope.longestLeaf else {
            arrival.reply(.rejected(Rejection(.entrySize, id: nil)))
            return nil
        }
        let parsed = ParsedEntry(envelope: envelope)
        switch parsed {
        case .rejected(let code, let id):
            arrival.reply(.rejected(Rejection(code, id: id)))
            return nil
        case .entry(let entry):
            return QueuedEntry(
                entry: entry,
                parsed: parsed,
                verdicts: SignatureVerdicts.compute(for: parsed) { keys[$0] },
                leaf: leaf,
                waits: arrival.waits,
                waiter: SubmissionWaiter(entry.id, until: .now + wait, arrival.reply)
            )
        }
    }
}
