import Contracts
import Foundation
import GRDB
import Logging
import NIOConcurrencyHelpers
import ServiceLifecycle
import TestSupport
import Testing

@testable import Ledger

/// A real ledger for one test: a directory, the service on a port the system chose, a clock the test moves.
///
/// When the test's closure ends the service is shut down and the whole log is verified again from its files.
final class TestLedger: Sendable {
    let folder: TemporaryFolder
    let ledgerID: Identifier
    let verifierKey: VerifierKey
    let clock: TestClock
    let port: Int
    let client: LedgerClient

    static let origin = "ledger.test/main"
    static let start: Timestamp = 1_800_000_000

    private init(made: Made, port: Int) throws {
        folder = made.folder
        ledgerID = made.ledgerID
        verifierKey = made.verifierKey
        clock = made.clock
        self.port = port
        client = try LedgerClient(urls: ["http://127.0.0.1:\(port)"])
    }

    deinit {
        client.shutdown()
    }

    /// A directory that was initialised and is not served.
    struct Made: Sendable {
        let folder: TemporaryFolder
        let ledgerID: Identifier
        let verifierKey: VerifierKey
        let clock = TestClock(TestLedger.start)
        /// Keys that the ledger got after its genesis.
        var laterKeys: [VerifierKey] = []

        var directory: String { folder.path("ledger") }

        init(policy: WitnessPolicy = .none) throws {
            folder = try TemporaryFolder()
            (ledgerID, verifierKey) = try LedgerDirectory.initialise(
                at: folder.path("ledger"),
                LedgerDirectory.Genesis(
                    origin: TestLedger.origin,
                    name: "Test",
                    policy: policy,
                    time: TestLedger.start
                )
            )
        }

        /// Serves the ledger while the closure runs, then shuts it down and verifies the log.
        @discardableResult
        func serving<Result: Sendable>(
            limits: ServiceLimits = ServiceLimits(),
            interpose: @escaping @Sendable (LedgerStore) -> any CommitLog = { $0 },
            _ body: @escaping @Sendable (TestLedger) async throws -> Result
        ) async throws -> Result {
            let (ports, ready) = AsyncStream.makeStream(of: Int.self)
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let clock = clock
            let service = try LedgerService(
                directory: directory,
                listen: HTTPService.Listen(host: "127.0.0.1", port: 0),
                dev: true,
                limits: limits,
                clock: { clock.now },
                interpose: interpose,
                logger: logger,
                onReady: { _, port in ready.yield(port) }
            )
            let group = ServiceGroup(services: [service], gracefulShutdownSignals: [], logger: logger)
            let running = Task {
                defer { ready.finish() }
                try await group.run()
            }
            guard let port = await ports.first(where: { _ in true }) else {
                try await running.value
                throw TestFailure(description: "the ledger did not start")
            }
            let outcome: Swift.Result<Result, any Error>
            do {
                outcome = .success(try await body(TestLedger(made: self, port: port)))
            } catch {
                outcome = .failure(error)
            }
            await group.triggerGracefulShutdown()
            try await running.value
            try check()
            return try outcome.get()
        }
    }

    @discardableResult
    static func serving<Result: Sendable>(
        limits: ServiceLimits = ServiceLimits(),
        interpose: @escaping @Sendable (LedgerStore) -> any CommitLog = { $0 },
        _ body: @escaping @Sendable (TestLedger) async throws -> Result
    ) async throws -> Result {
        try await Made().serving(limits: limits, interpose: interpose, body)
    }

    // MARK: Asking

    /// The newest checkpoint, verified under the genesis key.
    func checkpoint() async throws -> Checkpoint {
        let note = try #require(try await client.checkpoint())
        return try judge.judge(note: note, localNow: nil).get().checkpoint
    }

    var judge: CheckpointJudge {
        CheckpointJudge(origin: Self.origin, ledgerKeys: [verifierKey], policy: .none, dev: true)
    }

    /// Submits an entry and verifies its receipt; returns its index.
    @discardableResult
    func log(_ envelope: Envelope) async throws -> UInt64 {
        let answer = try await client.submit(envelope)
        guard case .included(let bytes) = answer else {
            throw TestFailure(description: "the ledger answered \(answer)")
        }
        return try verify(bytes, envelope)
    }

    /// Verifies a receipt of an entry.
    @discardableResult
    func verify(_ bytes: [UInt8], _ envelope: Envelope) throws -> UInt64 {
        let receipt = try Receipt(parsing: bytes)
        try #require(receipt.verify(leaf: envelope.leaf, judge: judge, localNow: nil) == .ok)
        return receipt.index
    }

    /// Sends a request of any shape and reads one answer.
    func request(
        _ method: String,
        _ target: String,
        headers: [(String, String)] = [],
        body: [UInt8] = []
    ) async throws -> RawHTTP.Reply {
        var lines = "\(method) \(target) HTTP/1.1\r\nHost: ledger.test\r\n"
        for (name, value) in headers { lines += "\(name): \(value)\r\n" }
        if !body.isEmpty { lines += "Content-Length: \(body.count)\r\n" }
        return try await RawHTTP.exchange(port: port, Array((lines + "\r\n").utf8) + body, isHead: method == "HEAD")
    }

    /// Submits the bytes as they are.
    func post(_ body: [UInt8], headers: [(String, String)] = []) async throws -> RawHTTP.Reply {
        try await request("POST", "/entries", headers: [("Content-Type", "application/json")] + headers, body: body)
    }
}

/// A clock that stands until the test moves it.
final class TestClock: Sendable {
    private let time: NIOLockedValueBox<Timestamp>

    init(_ time: Timestamp) { self.time = NIOLockedValueBox(time) }

    var now: Timestamp {
        get { time.withLockedValue { $0 } }
        set { time.withLockedValue { $0 = newValue } }
    }
}

/// A twin with one owner key and its lane.
final class TestTwin: Sendable {
    let key: SigningKey
    let ledger: Identifier
    let creation: Envelope
    private let sequence = NIOLockedValueBox<Int64>(0)

    init(_ ledger: Identifier, seed: UInt8 = .random(in: .min ... .max)) throws {
        key = try SigningKey(seed: (0..<31).map { _ in .random(in: .min ... .max) } + [seed])
        self.ledger = ledger
        creation = EntryDraft(
            type: "twin.create",
            ledger: ledger,
            account: nil,
            signer: key.keyID,
            seq: 0,
            expires: TestLedger.start + 86_400,
            body: ["keys": ["operator": [], "owner": ["keys": [.string(key.publicKey.hex)], "threshold": 1]]]
        ).signed(by: [key])
    }

    var id: Identifier { creation.id }

    /// The next entry of the twin's lane.
    func next(_ type: String, _ body: JSONObject, expires: Timestamp = TestLedger.start + 86_400) -> Envelope {
        let seq = sequence.withLockedValue { sequence in
            sequence += 1
            return sequence
        }
        return entry(type, body, seq: seq, expires: expires)
    }

    func entry(_ type: String, _ body: JSONObject, seq: Int64, expires: Timestamp = TestLedger.start + 86_400)
        -> Envelope
    {
        EntryDraft(
            type: type,
            ledger: ledger,
            account: id,
            signer: key.keyID,
            seq: seq,
            expires: expires,
            body: body
        ).signed(by: [key])
    }
}
