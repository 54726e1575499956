public import Contracts
public import Logging
internal import NIOConcurrencyHelpers

/// Follows one ledger, verifies all of it, and publishes the verified state (protocol.md 10).
///
/// Everything a source says is bytes until its proof: note, signature, quorum, root. What was verified is durable in
/// the state directory before it is published, and only one process uses that directory at a time. `run` follows until
/// it is cancelled; `catchUp` verifies up to the newest checkpoint once. Any task may call; the work is done in turn.
public final class Watcher: Sendable {
    private struct Board {
        var latest: VerifiedState?
        /// Number of `latest`, ascending.
        var number: UInt64 = 0
        var subscribers: [UInt64: AsyncStream<VerifiedState>.Continuation] = [:]
        var nextSubscriber: UInt64 = 0
        /// Who drives the follower now, and who waits for a short drive to end.
        var driver: Driver?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private enum Driver {
        case run
        case catchUp
    }

    public let configuration: WatcherConfiguration
    public let client: LedgerClient
    let follower: LedgerFollower
    let store: TrustStore
    private let board = NIOLockedValueBox(Board())
    let logger: Logger

    /// Opens the trust store, or creates an empty one with the pin.
    ///
    /// - Throws: `LedgerRefusal`: a URL that is none, a directory in use, a store that fails its check.
    public init(
        configuration: WatcherConfiguration,
        logger: Logger = Logger(label: "webgw.watcher")
    ) throws(LedgerRefusal) {
        do {
            client = try LedgerClient(sources: configuration.sources, limits: configuration.limits, logger: logger)
            (follower, store) = try LedgerFollower.open(configuration, client: client, logger: logger)
        } catch {
            throw LedgerRefusal(local: error)
        }
        self.configuration = configuration
        self.logger = logger
    }

    /// Ends the client's thread, and with it every open request, and gives the state directory back. Call it after
    /// `run` returned; a watcher that was shut down does nothing any more.
    public func shutdown() {
        client.shutdown()
        store.close()
    }

    // MARK: What is known

    /// The newest verified state; nil before anything was verified in this process.
    public var latest: VerifiedState? { board.withLockedValue { $0.latest } }

    /// The verified state as it is now and whenever it changes, newest value only; each caller gets a stream of its
    /// own. The same state comes again every minute and when its condition changes.
    public var changes: AsyncStream<VerifiedState> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: VerifiedState.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        let id = board.withLockedValue { board in
            board.nextSubscriber += 1
            board.subscribers[board.nextSubscriber] = continuation
            if let latest = board.latest { continuation.yield(latest) }
            return board.nextSubscriber
        }
        continuation.onTermination = { [weak self] _ in
            self?.board.withLockedValue { _ = $0.subscribers.removeValue(forKey: id) }
        }
        return stream
    }

    /// What the fold said about the entry at `index`; nil beyond the verified size.
    public func outcome(at index: UInt64) async throws -> (code: Code, id: Identifier?)? {
        guard await index < follower.position.size else { return nil }
        return try await store.outcome(at: index)
    }

    // MARK: Following

    /// Follows the ledger until the task is cancelled. Passing failures are waited out, never thrown.
    ///
    /// - Throws: `LedgerRefusal` of kind `.local` when the trust store cannot be relied on any more.
    public func run() async throws {
        guard await claim(.run) else {
            throw LedgerRefusal(.local, code: "trust.busy", source: "", message: "the watcher is already following")
        }
        defer { release() }
        await publish()
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.follow() }
                group.addTask { try await self.visit() }
                group.addTask { try await self.deliver() }
                group.addTask { try await self.beat() }
                if self.configuration.verifiesHistory {
                    group.addTask(priority: .background) { try await self.verifyHistory() }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch is CancellationError {
            return
        }
    }

    /// Verifies up to the newest checkpoint that a source has, once, and returns the state.
    ///
    /// While `run` follows, it returns what `run` verified last, and waits for the first.
    /// - Throws: `LedgerRefusal`, the gravest of what the sources gave.
    public func catchUp() async throws -> VerifiedState {
        guard await claim(.catchUp) else {
            for await state in changes { return state }
            throw CancellationError()
        }
        defer { release() }
        if let halt = await follower.halt { throw LedgerRefusal(halt) }
        var gravest: LedgerRefusal?
        for source in client.sources {
            try Task.checkCancellation()
            do {
                _ = try await follower.round(source)
                await publish()
                if let latest { return latest }
            } catch {
                let refusal = note(error)
                if gravest.map({ $0.gravity < refusal.gravity }) ?? true { gravest = refusal }
            }
        }
        throw gravest
            ?? LedgerRefusal(.unreachable, code: "client.unreachable", source: "", message: "no source answered")
    }

    /// The verified state once it has at least `size` entries.
    ///
    /// - Throws: `LedgerRefusal` when the time is over, with the reason if one is known.
    public func state(reaching size: UInt64, within time: Duration) async throws -> VerifiedState {
        if let latest, latest.size >= size { return latest }
        return try await withThrowingTaskGroup(of: VerifiedState.self) { group in
            group.addTask { try await self.waitForState(reaching: size) }
            group.addTask {
                try await self.configuration.clock.sleep(for: time)
                throw LedgerRefusal(
                    .unreachable,
                    code: "withholding",
                    source: "",
                    message: "the ledger did not show a verifiable tree of \(size) entries in time"
                )
            }
            defer { group.cancelAll() }
            return try await group.next()!
        }
    }

    private func waitForState(reaching size: UInt64) async throws -> VerifiedState {
        var backoff = Backoff(base: .milliseconds(50), cap: .seconds(1))
        while true {
            if board.withLockedValue({ $0.driver }) == .run {
                for await state in changes where state.size >= size { return state }
                throw CancellationError()
            }
            let state: VerifiedState
            do {
                state = try await catchUp()
                if state.size >= size { return state }
            } catch let refusal as LedgerRefusal where refusal.kind == .unreachable {
                // The deadline of the caller decides.
            }
            try await configuration.clock.sleep(for: backoff.failed(fraction: configuration.random()))
        }
    }

    func publish() async {
        guard let (state, number) = await follower.verified() else { return }
        board.withLockedValue { board in
            // The other task may have asked later and been here first.
            guard number > board.number else { return }
            board.number = number
            board.latest = state
            for subscriber in board.subscribers.values { subscriber.yield(state) }
        }
    }

    /// Counts and logs what was refused.
    func note(_ error: any Error) -> LedgerRefusal {
        let refusal = LedgerRefusal(local: error)
        logger.debug(
            "refused",
            metadata: ["code": "\(refusal.code)", "source": "\(refusal.source)", "reason": "\(refusal.message)"]
        )
        configuration.onRefusal(refusal)
        return refusal
    }

    /// The refusal, if the watcher can go on after it; else it is thrown.
    func passing(_ error: any Error) throws -> LedgerRefusal {
        if error is CancellationError { throw error }
        try Task.checkCancellation()
        let refusal = note(error)
        let fatal: Set = [
            TrustStoreError.Code.conflict.rawValue, TrustStoreError.Code.corrupt.rawValue, "client.closed",
        ]
        if fatal.contains(refusal.code) { throw refusal }
        return refusal
    }

    // MARK: One driver at a time

    /// Takes the follower, after a `catchUp` that has it; false if `run` has it.
    private func claim(_ driver: Driver) async -> Bool {
        while true {
            let holder = board.withLockedValue { board in
                if board.driver == nil { board.driver = driver } else { return board.driver }
                return nil
            }
            guard let holder else { return true }
            guard holder == .catchUp else { return false }
            await withCheckedContinuation { continuation in
                let isFree = board.withLockedValue { board in
                    guard board.driver != nil else { return true }
                    board.waiting.append(continuation)
                    return false
                }
                if isFree { continuation.resume() }
            }
        }
    }

    private func release() {
        let waiting = board.withLockedValue { board in
            board.driver = nil
            defer { board.waiting = [] }
            return board.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}

extension LedgerRefusal {
    /// Which of several refusals tells most.
    fileprivate var gravity: Int {
        switch kind {
        case .unreachable: 0
        case .refused: 1
        case .local: 2
        case .halted: 3
        }
    }
}
