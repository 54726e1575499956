import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

/// An auditor's process against servers that lie over real HTTP: the answer is never "equal", and never a crash.
@Suite("audit replay of a lying server")
struct AuditLiarTests {
    /// Largest resident memory of an auditor who is lied to, in KiB.
    private static let bound = 256 * 1024

    private let folder: TemporaryFolder
    private let ledger: String
    /// The files of the log of a fixture pack, by their paths on a server.
    private let files: [String: [UInt8]]

    init() throws {
        folder = try TemporaryFolder()
        let index = try JSONValue(document: [UInt8](Data(contentsOf: VectorFiles.fixture("packs/index.json"))))
        let element = try #require(index.asArray?.first { $0["pack"]?.asString == "public" })
        ledger = try #require(element["ledger"]?.asString)
        let root = VectorFiles.fixture("packs/public")
        var files: [String: [UInt8]] = [:]
        for path in ["checkpoint", "tile/1/000.p/2"]
            + ["000", "001", "002.p/8"].flatMap({ ["tile/0/\($0)", "tile/entries/\($0)"] })
        {
            files["/\(path)"] = [UInt8](try Data(contentsOf: root.appendingPathComponent(path)))
        }
        self.files = files
    }

    private typealias Lie = @Sendable (LyingServer.Request) -> LyingServer.Reply?

    /// Exit status, output and peak of an auditor who replays the log that the lie is told about.
    private func replay(_ lie: @escaping Lie) async throws -> (result: GWNode.Result, peak: Int) {
        let files = files
        let answer: LyingServer.Answer = { request in
            lie(request) ?? files[request.path].map { .respond(200, body: $0) } ?? .respond(404)
        }
        return try await LyingServer.serving(answer) { server in
            let process = try RunningGWNode(
                ["audit", "replay", server.url, "--ledger-id", ledger, "--json"],
                in: folder
            )
            var peak = 0
            while process.isRunning {
                peak = max(peak, Self.peak(of: process.identifier))
                try await Task.sleep(for: .milliseconds(5))
            }
            return (await process.finish(within: 60), peak)
        }
    }

    /// VmHWM of a process, in KiB; 0 when it is gone.
    private static func peak(of process: Int32) -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
        return line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
    }

    private func expect(_ name: String, _ statuses: Set<Int32>, _ lie: @escaping Lie) async throws {
        let (result, peak) = try await replay(lie)
        #expect(statuses.contains(result.status), "\(name): \(result)")
        #expect(peak < Self.bound, "\(name): \(peak / 1024) MiB")
        let json = try JSONValue(document: Array(result.output.utf8))
        #expect(json["error"]?.asString != nil || json["code"]?.asString != nil, "\(name): \(result)")
        #expect(result.errors.contains("gw-node: "), "\(name): \(result)")
    }

    @Test("an honest one first: the files of a pack's log behind a web server are equal")
    func honest() async throws {
        let (result, _) = try await replay { _ in nil }
        #expect(result.status == 0, "\(result)")
    }

    @Test("a flipped bit, a missing file, and one in place of another: checkpoint, hash tiles of both levels, bundles")
    func everyFile() async throws {
        let seed = UInt64.random(in: 0..<UInt64.max)
        var generator = SplitMix64(seed: seed)
        let paths = files.keys.sorted()
        for path in paths {
            let bytes = files[path] ?? []
            // A line of a checkpoint whose name nobody knows is ignored, and a quorum may have one to spare; its text has not.
            let end = path == "/checkpoint" ? bytes.firstRange(of: Array("\n\n".utf8))?.lowerBound ?? 0 : bytes.count
            for place in [Int.random(in: 0..<end, using: &generator), end - 1] {
                var flipped = bytes
                flipped[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                let body = flipped
                try await expect("seed \(seed): byte \(place) of \(path)", [1]) {
                    $0.path == path ? .respond(200, body: body) : nil
                }
            }
            try await expect("\(path) withheld", [1]) { $0.path == path ? .respond(404) : nil }
            try await expect("\(path) cut", [1]) {
                $0.path == path ? .respond(200, body: Array(bytes.dropLast())) : nil
            }
        }
        for (one, other) in [("/tile/0/000", "/tile/0/001"), ("/tile/entries/000", "/tile/entries/001")] {
            let (first, second) = (files[one] ?? [], files[other] ?? [])
            try await expect("\(one) and \(other) exchanged", [1]) { request in
                request.path == one
                    ? .respond(200, body: second) : request.path == other ? .respond(200, body: first) : nil
            }
        }
        var leaves = try #require(EntryBundle.decode(files["/tile/entries/001"] ?? []))
        leaves.swapAt(3, 200)
        let reordered = EntryBundle.encode(leaves)
        try await expect("entries reordered", [1]) {
            $0.path == "/tile/entries/001" ? .respond(200, body: reordered) : nil
        }
    }

    @Test("forked and forged checkpoints that a pack holds against its own log")
    func checkpoints() async throws {
        let root = VectorFiles.fixture("packs/public/attack")
        let index = try JSONValue(document: [UInt8](Data(contentsOf: root.appendingPathComponent("index.json"))))
        let cases = try #require(index.asArray).filter { $0["kind"]?.asString == "checkpoint" }
        var judged: Set<String> = []
        for element in cases {
            let (expected, file) = (element["expect"]?.asString ?? "", element["file"]?.asString ?? "")
            guard expected != "ok", !judged.contains(expected) else { continue }
            judged.insert(expected)
            let note = [UInt8](try Data(contentsOf: root.appendingPathComponent(file)))
            try await expect("\(file): \(expected)", [1]) {
                $0.path == "/checkpoint" ? .respond(200, body: note) : nil
            }
        }
        #expect(judged.isSuperset(of: ["checkpoint.fork", "checkpoint.signature", "checkpoint.quorum"]), "\(judged)")
    }

    @Test("rolled back: an auditor who has seen more than the server shows does not believe it")
    func rolledBack() async throws {
        let trial = try await TrialLedger(in: folder)
        try await trial.join("alice")
        let port = try #require(Int(trial.url.split(separator: ":").last ?? ""))
        let old = try Self.get("\(trial.url)/checkpoint")
        try await trial.join("bob")
        let replay = ["--ledger-id", trial.id, "--dev", "--state", "place", "--json"]
        let first = try await GWNode.run(["audit", "replay", trial.url] + replay, in: folder)
        #expect(first.status == 0, "\(first)")
        let answer: LyingServer.Answer = { request in
            if request.path == "/checkpoint" { return .respond(200, body: old) }
            return await LyingServer.forward(request, to: port)?.reply ?? .close
        }
        try await LyingServer.serving(answer) { server in
            let second = try await GWNode.run(["audit", "replay", server.url] + replay, in: folder)
            #expect(second.status == 1, "\(second)")
            // To somebody who comes for the first time it is a log like any other.
            let fresh = ["--ledger-id", trial.id, "--dev", "--json"]
            #expect(try await GWNode.run(["audit", "replay", server.url] + fresh, in: folder).status == 0)
        }
        let again = try await GWNode.run(["audit", "replay", trial.url] + replay, in: folder)
        #expect(again.status == 0, "the lie changed nothing: \(again)")
    }

    private static func get(_ url: String) throws -> [UInt8] {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        process.arguments = ["-s", "-f", url]
        process.standardOutput = pipe
        try process.run()
        let bytes = [UInt8](pipe.fileHandleForReading.readDataToEndOfFile())
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(url)")
        return bytes
    }

    @Test("endless bodies and headers, gzip bombs, false lengths, drips, silence and errors, each in bounded memory")
    func floods() async throws {
        let chunk = [UInt8](repeating: 0x41, count: 1 << 16)
        let bomb = Gzip.bomb(200_000_000)
        let gzip = [("Content-Encoding", "gzip")]
        let lies: [(name: String, statuses: Set<Int32>, reply: LyingServer.Reply)] = [
            ("endless", [1], .endless(200, chunk: chunk)), ("endless header", [1], .endlessHeader),
            ("gzip bomb", [1], .respond(200, headers: gzip, body: bomb)),
            ("endless gzip", [1], .endless(200, headers: gzip, chunk: bomb)),
            ("hollow gzip", [1], .endless(200, headers: gzip, chunk: Gzip.hollow.first + Gzip.hollow.rest)),
            (
                "length beyond all bounds", [1, 69],
                .raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n".utf8) + chunk)
            ),
            ("cut body", [1], .raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n".utf8) + chunk.prefix(100))),
            ("no HTTP", [1, 69], .raw(Array("what?\r\n\r\n".utf8))), ("closed", [69], .close),
            ("error", [69], .respond(500)), ("overload", [75], .respond(503)),
            ("redirect", [69], .respond(302, headers: [("Location", "http://127.0.0.1:9/")])),
            ("drip", [69], .drip(200, body: chunk, every: .milliseconds(300))),
        ]
        let places = ["/checkpoint", "/tile/0/001", "/tile/entries/001"]
        // Slow lies take their time, which is the client's limit; they take it together.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (name, statuses, reply) in lies {
                group.addTask {
                    for place in name == "drip" ? [places[2]] : places {
                        try await expect("\(name) at \(place)", statuses) { $0.path == place ? reply : nil }
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
