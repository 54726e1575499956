import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport

/// A log behind a lying server, and a watcher on a state directory of its own.
final class WatcherHarness: Sendable {
    typealias Lie = @Sendable (LyingServer.Request, TestLog) -> LyingServer.Reply?

    let directory: String
    private let box: NIOLockedValueBox<TestLog>
    private let lie = NIOLockedValueBox<Lie?>(nil)
    private let time = NIOLockedValueBox<Timestamp>(TestLog.start)
    private let refused = NIOLockedValueBox<[LedgerRefusal]>([])
    private let refusals = AsyncStream.makeStream(of: LedgerRefusal.self)

    private init(_ log: TestLog, directory: String) {
        box = NIOLockedValueBox(log)
        self.directory = directory
    }

    var log: TestLog {
        get { box.withLockedValue { $0 } }
        set { box.withLockedValue { $0 = newValue } }
    }

    /// Local wall clock of the watcher, and time of fresh cosignatures.
    var now: Timestamp {
        get { time.withLockedValue { $0 } }
        set { time.withLockedValue { $0 = newValue } }
    }

    /// Everything that was refused so far.
    var codes: Set<String> { Set(refused.withLockedValue { $0 }.map(\.code)) }

    /// From now on requests are answered by `lie` first; nil makes the server honest again.
    func tell(_ lie: Lie?) {
        self.lie.withLockedValue { $0 = lie }
    }

    func change(_ body: (inout TestLog) -> Void) {
        box.withLockedValue { body(&$0) }
    }

    /// Serves the log while `body` runs.
    static func serving<Result: Sendable>(
        _ log: TestLog,
        _ body: (WatcherHarness, LyingServer) async throws -> Result
    ) async throws -> Result {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("webgw-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let harness = WatcherHarness(log, directory: directory)
        let answer: LyingServer.Answer = { await harness.answer($0) }
        return try await LyingServer.serving(answer) { server in try await body(harness, server) }
    }

    private func answer(_ request: LyingServer.Request) async -> LyingServer.Reply {
        if let reply = lie.withLockedValue({ $0 })?(request, log) { return reply }
        let reply = log.answer(request, at: now)
        guard case .respond(204, _, _) = reply, let wait = request.query("wait").flatMap({ Int($0) }) else {
            return reply
        }
        // A long poll: the server looks again until something is there or the wait is over.
        let end = ContinuousClock.now + .seconds(wait)
        while ContinuousClock.now < end, !Task.isCancelled {
            if let lied = lie.withLockedValue({ $0 })?(request, log) { return lied }
            let later = log.answer(request, at: now)
            guard case .respond(204, _, _) = later else { return later }
            try? await Task.sleep(for: .milliseconds(2))
        }
        return .respond(204)
    }

    func configuration(_ server: LyingServer, isDev: Bool = false) -> WatcherConfiguration {
        var configuration = WatcherConfiguration(
            urls: [server.url],
            ledgerID: log.ledgerID,
            stateDirectory: directory,
            isDev: isDev
        )
        // Generous: what these tests are about ends long before, also on a machine that is busy.
        configuration.limits.deadline = .seconds(30)
        configuration.limits.bundleDeadline = .seconds(30)
        configuration.longPoll = 1
        configuration.poll = .milliseconds(50)
        configuration.distrust = .milliseconds(50)
        configuration.firstPause = .milliseconds(5)
        configuration.heartbeat = .milliseconds(20)
        configuration.interval = .milliseconds(200)
        configuration.now = { self.now }
        configuration.onRefusal = { refusal in
            self.refused.withLockedValue { $0.append(refusal) }
            self.refusals.continuation.yield(refusal)
        }
        return configuration
    }

    /// Runs a watcher while `body` runs.
    func following<Result: Sendable>(
        _ configuration: WatcherConfiguration,
        _ body: (Watcher) async throws -> Result
    ) async throws -> Result {
        let watcher = try Watcher(configuration: configuration)
        defer { watcher.shutdown() }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await watcher.run() }
            defer { group.cancelAll() }
            return try await body(watcher)
        }
    }

    /// Waits for a refusal with the code. One test waits for one code after the other.
    func refusal(_ code: String) async -> LedgerRefusal? {
        for await refusal in refusals.stream where refusal.code == code { return refusal }
        return nil
    }
}

extension Watcher {
    /// The first published state that fulfils the condition.
    func state(where condition: (VerifiedState) -> Bool) async -> VerifiedState? {
        for await state in changes where condition(state) { return state }
        return nil
    }
}
