import ArgumentParser
import Contracts
import Foundation

/// `requests`: signed submissions for a ledger, a list for each connection, as the HTTP requests that `post` sends.
///
/// The file: for each connection the number of its requests, then of each its length and its bytes; numbers are four
/// bytes, little-endian.
struct RequestsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "requests")

    @Argument var file: String
    @Option(transform: identifier) var ledger: Identifier
    @Option var connections: Int
    @Option var entries: Int
    @Option var seed: UInt64 = 2
    @Option(help: "Ledger time.") var now: Int64

    func run() async throws {
        let each = entries / connections
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        for start in stride(from: 0, to: connections, by: 64) {
            let numbers = Array(start..<min(start + 64, connections))
            for part in await onAllCores(numbers, { requests(connection: $0, count: each) }) {
                try output.write(contentsOf: part)
            }
        }
        try output.close()
    }

    private func requests(connection: Int, count: Int) -> Data {
        var world = World(ledger: ledger, seed: seed, number: UInt64(connection))
        var data = Data()
        func append(_ number: Int) {
            for shift in [0, 8, 16, 24] { data.append(UInt8(truncatingIfNeeded: number >> shift)) }
        }
        append(count)
        for _ in 0..<count {
            let body = world.next(now: now).signed.leaf
            let head =
                "POST /entries HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.count)\r\n\r\n"
            append(head.utf8.count + body.count)
            data.append(contentsOf: head.utf8)
            data.append(contentsOf: body)
        }
        return data
    }
}
