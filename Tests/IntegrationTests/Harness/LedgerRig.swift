import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport

/// A ledger alone, served by the built `gw-node` from a folder that the test may damage, with clients that remember.
final class LedgerRig {
    /// Folder of the test.
    let folder: TemporaryFolder
    /// The ledger's directory.
    let directory: String
    let address = Loopback.address()
    let port: UInt16
    private(set) var ledgerID = ""
    private(set) var process: NodeProcess?
    /// How a program is started: in front of its own arguments.
    let launcher: Launcher

    /// Runs `gw-node` directly, or by another program that ends in its place.
    struct Launcher: Sendable {
        var program: URL = GWNode.program
        /// What stands before the arguments of `gw-node`.
        var prefix: [String] = []
        /// Of the server alone.
        var environment: [String: String] = [:]
    }

    var url: String { "http://\(address):\(port)" }

    init(
        directory: String? = nil,
        in folder: TemporaryFolder? = nil,
        origin: String = "rig.example.org",
        launcher: Launcher = Launcher()
    ) async throws {
        let folder = try folder ?? TemporaryFolder()
        self.folder = folder
        self.directory = directory ?? folder.path("ledger")
        self.launcher = launcher
        port = try Loopback.freePort(address)
        let made = try await run(["ledger", "init", self.directory, "--origin", origin, "--dev", "--json"])
        ledgerID = try made.json()["ledger_id"] as? String ?? ""
    }

    /// Runs a command to its end.
    @discardableResult
    func run(_ arguments: [String], status: Int32 = 0, within limit: Double = 60) async throws -> Finished {
        let finished = try await started("command", arguments, [:]).finish(within: limit)
        guard finished.status == status else {
            throw NeverHappened(description: "gw-node \(arguments) ended with \(finished.status)\n\(finished)")
        }
        return finished
    }

    /// Starts the server; with `isAwaited` also waits until it listens.
    func start(_ flags: [String] = ["--dev"], isAwaited: Bool = true) async throws {
        process = try started(
            "ledger",
            ["ledger", "serve", directory, "--listen", "\(address):\(port)", "--rate", "100000"] + flags,
            launcher.environment
        )
        if isAwaited { _ = try await process!.line(beginning: "listening on http://") }
    }

    private func started(
        _ name: String,
        _ arguments: [String],
        _ environment: [String: String]
    ) throws -> NodeProcess {
        try NodeProcess(
            name,
            launcher.prefix + arguments,
            in: folder.url,
            program: launcher.program,
            environment: environment
        )
    }

    func kill() async throws { try await process?.killHard() }

    /// SIGTERM, and waits for the end.
    func stop() async throws {
        process?.send(SIGTERM)
        _ = try await process?.finish()
    }

    /// POST /entries; nil when no answer came.
    func post(_ envelope: Envelope) async -> (status: Int, body: String)? {
        await submit(envelope, to: address, port)
    }

    /// Submits a twin of its own and waits until it is acknowledged.
    @discardableResult
    func append(within seconds: Double = 30) async throws -> UInt64 {
        let envelope = try TwinMaker.envelope(Identifier(hex: ledgerID)!)
        return try await awaited("an entry is acknowledged", within: seconds) {
            guard let answer = await post(envelope), answer.status == 201 || answer.status == 200 else { return nil }
            return try Receipt(parsing: Array(answer.body.utf8)).index
        }
    }

    /// The published checkpoint.
    func checkpoint() async throws -> Checkpoint {
        let answer = await fetch("/checkpoint", host: "ledger", at: address, port)
        guard let answer, answer.status == 200 else {
            throw NeverHappened(description: "no checkpoint: \(answer.map { "\($0)" } ?? "no answer")")
        }
        return try Checkpoint(parsing: Array(answer.body.utf8))
    }

    /// Verifies the whole store; anything but "everything holds" is an error.
    func check() async throws {
        try await run(["ledger", "fsck", directory, "--ledger-id", ledgerID], within: 120)
    }
}

/// POST /entries on a connection of its own; nil when no answer came.
func submit(_ envelope: Envelope, to address: String, _ port: UInt16) async -> (status: Int, body: String)? {
    guard let visitor = try? await Visitor(address, port) else { return nil }
    let leaf = envelope.leaf
    let head =
        "POST /entries HTTP/1.1\r\nHost: ledger\r\nContent-Type: application/json\r\nConnection: close\r\n"
        + "Content-Length: \(leaf.count)\r\n\r\n"
    try? await visitor.send(Array(head.utf8) + leaf)
    _ = try? await visitor.read(within: .seconds(25)) { HTTPAnswer($0) != nil }
    let answer = HTTPAnswer(visitor.received)
    await visitor.close()
    return answer.map { ($0.status, $0.body) }
}

/// What clients of one ledger were told, to be held against the log at the end.
final class ClientMemory: Sendable {
    private struct Told {
        var acknowledged: [UInt64: Digest] = [:]
        var roots: [UInt64: Digest] = [:]
        var contradictions: [String] = []
    }

    private let told = NIOLockedValueBox(Told())

    var acknowledged: Int { told.withLockedValue { $0.acknowledged.count } }
    var checkpoints: Int { told.withLockedValue { $0.roots.count } }

    /// Whether some client was told that the entry is in the log.
    func isAcknowledged(_ index: UInt64) -> Bool { told.withLockedValue { $0.acknowledged[index] != nil } }

    /// Takes an acknowledgement: the receipt of a leaf.
    func note(receipt bytes: [UInt8], leaf: [UInt8]) throws {
        let receipt = try Receipt(parsing: bytes)
        let hash = MerkleTree.leafHash(leaf)
        let isProven = receipt.proves(hash)
        told.withLockedValue { told in
            if !isProven { told.contradictions.append("the receipt of entry \(receipt.index) proves nothing") }
            if let other = told.acknowledged.updateValue(hash, forKey: receipt.index), other != hash {
                told.contradictions.append("entry \(receipt.index) was acknowledged for two leaves")
            }
        }
        note(receipt.checkpoint)
    }

    /// Takes a checkpoint that was published.
    func note(_ checkpoint: Checkpoint) {
        told.withLockedValue { told in
            if let other = told.roots.updateValue(checkpoint.root, forKey: checkpoint.size), other != checkpoint.root {
                told.contradictions.append("size \(checkpoint.size) was signed with two roots")
            }
        }
    }

    /// What the log does not keep of all that was told; empty when it keeps everything.
    func broken(by log: any LogSource) async throws -> [String] {
        let told = told.withLockedValue { $0 }
        guard let note = try await log.checkpoint() else { return ["the log has no checkpoint"] }
        let checkpoint = try Checkpoint(parsing: note)
        var broken = told.contradictions
        var tree = CompactRange()
        var roots: [UInt64: Digest] = [:]
        var hashes: [Digest] = []
        for path in TilePath.all(.entries, size: checkpoint.size) {
            for leaf in EntryBundle.decode(try await log.tile(path, limit: EntryBundle.longest) ?? []) ?? [] {
                hashes.append(MerkleTree.leafHash(leaf))
                tree.append(hashes[hashes.count - 1])
                roots[tree.size] = tree.root
            }
        }
        if tree.root != checkpoint.root { broken.append("the leaves do not give the root of the checkpoint") }
        for (index, hash) in told.acknowledged where index >= UInt64(hashes.count) || hashes[Int(index)] != hash {
            broken.append("entry \(index) was acknowledged and is not in the log")
        }
        for (size, root) in told.roots where roots[size] != root {
            broken.append("the checkpoint of size \(size) is no beginning of the log")
        }
        return broken
    }

    /// Submits entries of twins, one after the other, until it is cancelled, and keeps every acknowledgement.
    func write(to url: String, ledger: Identifier) async throws {
        let client = try LedgerClient(urls: [url])
        defer { client.shutdown() }
        var waiting: Envelope?
        while !Task.isCancelled {
            let envelope = try waiting ?? TwinMaker.envelope(ledger)
            if case .included(let receipt)? = try? await client.submit(envelope) {
                try note(receipt: receipt, leaf: envelope.leaf)
                waiting = nil
            } else {
                // Not known to be logged: the same entry again, as clients do.
                waiting = envelope
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    /// Keeps every checkpoint that it gets to see, until it is cancelled.
    func watch(_ url: String) async throws {
        let client = try LedgerClient(urls: [url])
        defer { client.shutdown() }
        while !Task.isCancelled {
            if let bytes = try? await client.checkpoint() { note(try Checkpoint(parsing: bytes)) }
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
