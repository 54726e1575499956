import Foundation
import TestSupport

/// A TLS workload that takes bytes and sends others at the same time: `openssl s_server`, and `openssl s_client` as its visitor, who
/// trusts nothing but the workload's certificate.
final class TLSPipe {
    private let folder: URL
    private let host: String
    private let server: Process
    let port: UInt16
    var target: String { "127.0.0.1:\(port)" }
    private let toVisitor: URL
    private let toWorkload: URL

    /// `size` bytes go each way, different ones.
    init(in folder: URL, host: String, size: Int, seed: UInt64) throws {
        self.folder = folder
        self.host = host
        port = try Loopback.freePort("127.0.0.1")
        toVisitor = folder.appendingPathComponent("to-visitor.bin")
        toWorkload = folder.appendingPathComponent("to-workload.bin")
        try Self.bytes(size, seed).write(to: toVisitor)
        try Self.bytes(size, seed &+ 1).write(to: toWorkload)
        let made = Self.openssl(
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "pipe.key"]
                + ["-out", "pipe.crt", "-days", "2", "-subj", "/CN=\(host)", "-addext", "subjectAltName=DNS:\(host)"],
            in: folder
        )
        try made.run()
        made.waitUntilExit()
        server = Self.openssl(
            ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", "pipe.crt", "-key", "pipe.key", "-quiet"],
            in: folder
        )
        try Self.connect(server, input: toVisitor, output: folder.appendingPathComponent("at-workload.bin"))
        try server.run()
    }

    deinit { server.endNow() }

    /// Visits through a gateway; returns when everything has arrived on both sides, and says whether it is what was sent.
    func exchange(_ address: String, _ gatewayPort: UInt16) async throws -> Bool {
        let client = Self.openssl(
            ["s_client", "-connect", "\(address):\(gatewayPort)", "-servername", host, "-CAfile", "pipe.crt"]
                + ["-verify_return_error", "-quiet", "-nocommands"],
            in: folder
        )
        let atVisitor = folder.appendingPathComponent("at-visitor.bin")
        try Self.connect(client, input: toWorkload, output: atVisitor)
        try client.run()
        defer { client.endNow() }
        let atWorkload = folder.appendingPathComponent("at-workload.bin")
        try await eventually(within: 60, "everything arrives") {
            Self.size(atVisitor) >= Self.size(toVisitor) && Self.size(atWorkload) >= Self.size(toWorkload)
        }
        return try Data(contentsOf: atVisitor) == Data(contentsOf: toVisitor)
            && Data(contentsOf: atWorkload) == Data(contentsOf: toWorkload)
    }

    private static func openssl(_ arguments: [String], in folder: URL) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.currentDirectoryURL = folder
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        return process
    }

    /// Feeds a file to a process, whose input then stays open.
    private static func connect(_ process: Process, input: URL, output: URL) throws {
        let pipe = Pipe()
        process.standardInput = pipe
        try Data().write(to: output)
        process.standardOutput = try FileHandle(forWritingTo: output)
        let bytes = try Data(contentsOf: input)
        let end = pipe.fileHandleForWriting
        Thread.detachNewThread { try? end.write(contentsOf: bytes) }
    }

    private static func size(_ file: URL) -> Int {
        (try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int) ?? 0
    }

    /// A fixed sequence that no shorter period repeats.
    private static func bytes(_ count: Int, _ seed: UInt64) -> Data {
        var random = SplitMix64(seed: seed)
        var data = Data(capacity: count + 8)
        while data.count < count {
            let word = random.next()
            for shift in stride(from: 0, to: 64, by: 8) { data.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return data.prefix(count)
    }
}

/// A TLS ClientHello that names a host, and nothing else that a gateway reads.
enum PlainHello {
    static func bytes(_ host: String) -> [UInt8] {
        func vector(_ bytes: [UInt8], _ width: Int) -> [UInt8] {
            (0..<width).reversed().map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) } + bytes
        }
        let name = vector([0] + vector(Array(host.utf8), 2), 2)
        let extensions = vector([0, 0] + vector(name, 2), 2)
        let random = [UInt8](repeating: 7, count: 32)
        let body: [UInt8] = [3, 3] + random + vector([], 1) + vector([0x13, 0x01], 2) + vector([0], 1) + extensions
        return [0x16, 3, 1] + vector([1] + vector(body, 3), 2)
    }
}
