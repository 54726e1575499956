import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport

/// Several `gw-node ledger serve` that are members of one cluster.
final class LedgerMembers {
    let cluster: String
    let folder: URL
    let address: String
    private(set) var ledgerID = ""
    private(set) var ports: [UInt16] = []
    private(set) var processes: [NodeProcess] = []
    private var directories: [String] = []
    private let absence: Int
    private let serving: [String]

    /// Goes on with directories that are members already, of whatever cluster; none is served yet.
    init(of ledgerID: String, cluster: String, flags: [String] = ["--dev"], in folder: URL) throws {
        self.folder = folder
        self.cluster = cluster
        self.ledgerID = ledgerID
        absence = 3600
        serving = flags
        address = Loopback.address()
    }

    /// Serves one more directory.
    func serve(_ directory: String) async throws {
        ports.append(try Loopback.freePort(address))
        directories.append(directory)
        processes.append(try launch(processes.count))
        _ = try await processes[processes.count - 1].line(beginning: "listening on http://")
    }

    /// Makes and starts a member for each list of etcd addresses.
    init(
        etcd: [[String]],
        cluster: String = "main",
        flags more: [String] = [],
        absence: Int = 3600,
        in folder: URL
    ) async throws {
        self.folder = folder
        self.cluster = cluster
        self.absence = absence
        serving = ["--dev"]
        address = Loopback.address()
        for (number, endpoints) in etcd.enumerated() {
            let flags = ["--etcd", endpoints.joined(separator: ","), "--cluster", cluster, "--json"] + more
            if number == 0 {
                let made = try await run(
                    ["ledger", "init", "member0", "--origin", "test.example/cluster", "--dev"] + flags
                )
                ledgerID = try made.json()["ledger_id"] as? String ?? ""
            } else {
                try await run(
                    ["ledger", "join", "member\(number)", "--ledger-id", ledgerID, "--key", "member0/ledger.key"]
                        + flags
                )
            }
            ports.append(try Loopback.freePort(address))
            directories.append("member\(number)")
            processes.append(try launch(number))
        }
        for process in processes { _ = try await process.line(beginning: "listening on http://", within: 60) }
    }

    @discardableResult
    func run(_ arguments: [String], status: Int32 = 0) async throws -> Finished {
        let finished = try await NodeProcess("command", arguments, in: folder).finish(within: 60)
        guard finished.status == status else {
            throw NeverHappened(description: "\(arguments) ended with \(finished.status): \(finished.errors)")
        }
        return finished
    }

    private func launch(_ number: Int, _ flags: [String] = []) throws -> NodeProcess {
        try NodeProcess(
            directories[number],
            [
                "ledger", "serve", directories[number], "--listen", "\(address):\(ports[number])",
                "--absence", "\(absence)",
            ] + serving + flags,
            in: folder
        )
    }

    func restart(_ number: Int, _ flags: [String] = []) async throws {
        processes[number] = try launch(number, flags)
        _ = try await processes[number].line(beginning: "listening on http://", within: 60)
    }

    func url(_ number: Int) -> String { "http://\(address):\(ports[number])" }

    func client(_ number: Int) throws -> LedgerClient { try LedgerClient(urls: [url(number)]) }

    /// The checkpoint that a member shows.
    func checkpoint(_ number: Int) async throws -> Checkpoint? {
        guard let bytes = try? await client(number).checkpoint() else { return nil }
        return try Checkpoint(parsing: bytes)
    }

    /// Waits until all members show the same tree, and returns it.
    func settled(within seconds: Double = 60) async throws -> Checkpoint {
        try await awaited("all members show the same tree", within: seconds) {
            var found: [Checkpoint] = []
            for number in processes.indices {
                guard let checkpoint = try await checkpoint(number) else { return nil }
                found.append(checkpoint)
            }
            return found.allSatisfy { $0.size == found[0].size } ? found[0] : nil
        }
    }

    /// All leaves as a member serves them.
    func leaves(_ number: Int, size: UInt64) async throws -> [[UInt8]] {
        let client = try client(number)
        var leaves: [[UInt8]] = []
        while UInt64(leaves.count) < size {
            let index = UInt64(leaves.count) / 256
            let width = Int(min(256, size - index * 256))
            guard let bundle = EntryBundle.decode(try await client.bundle(index: index, width: width), count: width)
            else { throw NeverHappened(description: "bundle \(index) of member \(number) is none") }
            leaves += bundle
        }
        return leaves
    }
}

extension LedgerMembers {
    func allLeaves(size: UInt64) async throws -> [[[UInt8]]] {
        var logs: [[[UInt8]]] = []
        for number in processes.indices { logs.append(try await leaves(number, size: size)) }
        return logs
    }

    /// Submits an envelope's bytes as they are, and gives the whole answer.
    func post(_ number: Int, _ body: [UInt8]) async throws -> HTTPAnswer {
        let connection = try await Visitor(address, ports[number])
        try await connection.send(
            "POST /entries HTTP/1.1\r\nHost: ledger\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.count)\r\n\r\n"
        )
        try await connection.send(body)
        var answer: HTTPAnswer?
        try await connection.read(within: .seconds(30)) {
            answer = HTTPAnswer($0)
            return answer != nil
        }
        await connection.close()
        guard let answer else { throw NeverHappened(description: "no answer to a submission") }
        return answer
    }
}

/// What clients of a cluster saw: acknowledgements, and every checkpoint of every member.
final class ClusterJournal: Sendable {
    struct Acknowledgement: Sendable {
        var leaf: [UInt8]
        var index: UInt64
        /// When the attempt that was acknowledged began, and when it ended.
        var began: ContinuousClock.Instant
        var ended: ContinuousClock.Instant
    }

    private struct Seen {
        var acknowledged: [Acknowledgement] = []
        var roots: [UInt64: Digest] = [:]
        var conflicts: [String] = []
    }

    private let seen = NIOLockedValueBox(Seen())

    var acknowledged: [Acknowledgement] { seen.withLockedValue { $0.acknowledged } }
    var conflicts: [String] { seen.withLockedValue { $0.conflicts } }
    var roots: [UInt64: Digest] { seen.withLockedValue { $0.roots } }

    /// Writes through one member, each entry until it is acknowledged.
    func write(_ maker: TwinMaker) async throws {
        while !Task.isCancelled {
            let envelope = try maker.envelope()
            while !Task.isCancelled {
                let began = ContinuousClock.now
                if case .included(let bytes)? = try? await maker.client.submit(envelope) {
                    let receipt = try Receipt(parsing: bytes)
                    note(receipt.checkpoint)
                    let entry = Acknowledgement(leaf: envelope.leaf, index: receipt.index, began: began, ended: .now)
                    seen.withLockedValue { $0.acknowledged.append(entry) }
                    break
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// Looks at every checkpoint that one member shows; a smaller one than before is a conflict.
    func watch(_ client: LedgerClient) async throws {
        var last: UInt64 = 0
        while !Task.isCancelled {
            guard let bytes = try? await client.checkpoint() else {
                try await Task.sleep(for: .milliseconds(20))
                continue
            }
            let checkpoint = try Checkpoint(parsing: bytes)
            note(checkpoint)
            if checkpoint.size < last {
                let text = "\(client.sources[0]) showed \(last), then \(checkpoint.size)"
                seen.withLockedValue { $0.conflicts.append(text) }
            }
            last = checkpoint.size
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func note(_ checkpoint: Checkpoint) {
        seen.withLockedValue {
            if let earlier = $0.roots.updateValue(checkpoint.root, forKey: checkpoint.size), earlier != checkpoint.root
            {
                $0.conflicts.append("size \(checkpoint.size) has the roots \(earlier) and \(checkpoint.root)")
            }
        }
    }
}
