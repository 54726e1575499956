import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

/// A gateway that is lied to by everybody it knows, as a process of its own.
@Suite("The memory of a gateway that is lied to", .serialized)
struct LiedToMemoryTests {
    /// Largest resident memory that a gateway may ever have had while it is lied to, in KiB. An idle one of a debug build
    /// has about 40 MiB; one bundle at its limit is 16 MiB, four are in flight, and arrays grow by doubling.
    private static let bound = 256 * 1024

    /// A checkpoint of a large tree; nobody's key signed it, which shows only after genesis was fetched.
    private static var checkpoint: [UInt8] {
        get throws {
            let key = try SigningKey(seed: [UInt8](repeating: 5, count: 32))
            let vkey = VerifierKey(name: "test.example", type: VerifierKey.noteType, key: key.publicKey)
            let text = Checkpoint.text(origin: "test.example", size: 1_000_000_000, root: .sha256([1]))
            return SignedNote.signed(text: text, by: [(key, vkey)]).bytes
        }
    }

    /// Answers /checkpoint with a note, and entries with a lie.
    private static func bundles(_ note: [UInt8], _ lie: LyingServer.Reply) -> LyingServer.Answer {
        { $0.path == "/checkpoint" ? .respond(200, body: note) : lie }
    }

    @Test("stays bounded under endless bodies, headers and bundles, gzip bombs and slow drips at the same time")
    func bounded() async throws {
        let note = try Self.checkpoint
        let chunk = [UInt8](repeating: 0x41, count: 1 << 16)
        let gzipped = [("Content-Encoding", "gzip")]
        let bomb = Gzip.bomb(200_000_000)
        let always: @Sendable (LyingServer.Reply) -> LyingServer.Answer = { reply in { _ in reply } }
        let lies: [LyingServer.Answer] = [
            always(.endless(200, chunk: chunk)),
            always(.endlessHeader),
            Self.bundles(note, .endless(200, chunk: chunk)),
            Self.bundles(note, .respond(200, headers: gzipped, body: bomb)),
            Self.bundles(note, .endless(200, headers: gzipped, chunk: bomb)),
            Self.bundles(note, .drip(200, body: chunk, every: .milliseconds(200))),
            always(.raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n".utf8) + chunk)),
        ]
        try await Self.serving(lies[...]) { servers in
            let folder = try TemporaryFolder()
            _ = try await GWNode.run(["keys", "new", "node.key"], in: folder)
            let id = String(repeating: "ab", count: 32)
            let urls = servers.map { "\"\($0.url)\"" }.joined(separator: ", ")
            try folder.write(
                "gateway.yaml",
                """
                ledger: { urls: [\(urls)], peers: ["\(servers[0].url)"], witnesses: ["\(servers[1].url)"], id: "\(id)" }
                node: { id: "\(id)", key: node.key }
                state: state
                bind:
                  tunnel: ["127.0.0.1:0"]
                  admin: "unix:admin.sock"
                """
            )
            let gateway = try RunningGWNode(["run", "--config", "gateway.yaml"], in: folder)
            // A second time means that the lie was told to its end, and the source given up, before.
            try await eventually(within: 150, "every liar was asked: \(gateway.complaints)") {
                servers.enumerated().allSatisfy { index, server in
                    // A drip holds on until it is given up as too slow.
                    server.requests.count >= (index == 5 ? 1 : 2)
                }
            }
            #expect(gateway.isRunning)
            let peak = try Self.peak(of: gateway.identifier)
            print("peak resident memory of a gateway that is lied to: \(peak / 1024) MiB")
            #expect(peak < Self.bound)
            let status = try await GWNode.run(["status", "--admin", "admin.sock", "--json"], in: folder)
            #expect(status.status == 0)
        }
    }

    private static func serving(
        _ answers: ArraySlice<LyingServer.Answer>,
        _ servers: [LyingServer] = [],
        _ body: ([LyingServer]) async throws -> Void
    ) async throws {
        guard let answer = answers.first else { return try await body(servers) }
        try await LyingServer.serving(answer) { server in
            try await serving(answers.dropFirst(), servers + [server], body)
        }
    }

    /// VmHWM: the most resident memory the process ever had, in KiB.
    private static func peak(of process: Int32) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
        return line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? .max
    }
}
