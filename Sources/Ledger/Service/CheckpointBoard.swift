internal import Contracts
internal import NIOConcurrencyHelpers

/// A signed checkpoint that clients may see.
public struct PublishedCheckpoint: Sendable, Hashable {
    public let size: UInt64
    public let note: [UInt8]
    /// First 16 hex digits of SHA-256 of the note; the strong ETag without its quotes.
    public let tag: String

    public init(size: UInt64, note: [UInt8]) {
        self.size = size
        self.note = note
        tag = String(Digest.sha256(note).hex.prefix(16))
    }
}

/// The newest published checkpoint, and those who wait for a newer one. Any thread.
public final class CheckpointBoard: Sendable {
    private struct State {
        var newest: PublishedCheckpoint?
        var waiters: [UInt64: (after: UInt64, continuation: CheckedContinuation<PublishedCheckpoint?, Never>)] = [:]
        var nextWaiter: UInt64 = 0
        var isClosed = false
    }

    private let state = NIOLockedValueBox(State())

    public init() {}

    public var newest: PublishedCheckpoint? { state.withLockedValue { $0.newest } }

    /// Shows a checkpoint and wakes everybody whose tree is smaller.
    func publish(_ checkpoint: PublishedCheckpoint) {
        let woken = state.withLockedValue { state in
            state.newest = checkpoint
            let ready = state.waiters.filter { $0.value.after < checkpoint.size }
            for id in ready.keys { state.waiters[id] = nil }
            return ready.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume(returning: checkpoint) }
    }

    /// Wakes everybody with nothing, now and from now on: the server ends.
    func close() {
        let woken = state.withLockedValue { state in
            state.isClosed = true
            defer { state.waiters = [:] }
            return state.waiters.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume(returning: nil) }
    }

    var isClosed: Bool { state.withLockedValue { $0.isClosed } }

    /// Number of long polls that are open.
    var waiting: Int { state.withLockedValue { $0.waiters.count } }

    /// The first checkpoint larger than `after`; nil when `wait` is over, the task is cancelled or the server ends.
    func checkpoint(after: UInt64, wait: Duration) async -> PublishedCheckpoint? {
        if let newest, newest.size > after { return newest }
        return await withTaskGroup(of: PublishedCheckpoint?.self) { group in
            group.addTask { await self.next(after: after) }
            group.addTask {
                try? await Task.sleep(for: wait)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    private func next(after: UInt64) async -> PublishedCheckpoint? {
        let id = state.withLockedValue { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: PublishedCheckpoint?? = state.withLockedValue { state in
                    if state.isClosed || Task.isCancelled { return .some(nil) }
                    if let newest = state.newest, newest.size > after { return .some(newest) }
                    state.waiters[id] = (after, continuation)
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLockedValue { $0.waiters.removeValue(forKey: id) }
            waiter?.continuation.resume(returning: nil)
        }
    }
}
