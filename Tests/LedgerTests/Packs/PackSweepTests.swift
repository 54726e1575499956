import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

/// A pack in which one byte of one file is another. The bytes are changed in place: nobody else holds them between replays.
private struct FlippedLog: LogSource {
    let files: [String: [UInt8]]
    let path: String
    var bytes: [UInt8]

    init(files: [String: [UInt8]], path: String) {
        self.files = files
        self.path = path
        bytes = files[path] ?? []
    }

    private func file(_ path: String) -> [UInt8]? { path == self.path ? bytes : files[path] }

    var pack: FixturePack {
        FixturePack(
            read: { path, limit in
                guard let bytes = file(path) else { return nil }
                guard bytes.count <= limit else { throw CocoaError(.fileReadTooLarge) }
                return bytes
            },
            list: { Array(files.keys) }
        )
    }

    func checkpoint() async throws -> [UInt8]? { file("checkpoint") }

    func tile(_ path: TilePath, limit: Int) async throws -> [UInt8]? { file(path.description) }
}

@Suite("Every byte of the fixture packs")
struct PackSweepTests {
    /// Bytes that one task flips one after the other.
    private static let stretch = 1024
    /// Above this many bytes a pack is swept in steps, for each byte of a large file costs the hashes of all files before it.
    private static let largestSweptWhole = 1 << 20

    /// What the words of the variable WEBGW_MORE ask for: `packs`, or `packs-whole` for each byte of the large ones too.
    private static let asked = Set((ProcessInfo.processInfo.environment["WEBGW_MORE"] ?? "").split(separator: ","))
    private static let step = asked.contains("packs-whole") ? 1 : 97

    @Test(
        "a flipped bit in a byte of any file makes `audit replay` answer that the pack is different",
        .enabled(if: asked.contains("packs") || asked.contains("packs-whole")),
        arguments: LogPack.all.sorted { $0.entries < $1.entries }
    )
    func everyByte(pack: LogPack) async throws {
        let files = try pack.files()
        let size = files.values.reduce(0) { $0 + $1.count }
        let step = size > Self.largestSweptWhole ? Self.step : 1
        let seed = UInt64.random(in: 0..<UInt64.max)
        let stretches = files.sorted { $0.key < $1.key }.flatMap { path, bytes in
            stride(from: 0, to: bytes.count, by: Self.stretch * step).map { start in
                (path: path, bytes: start..<min(start + Self.stretch * step, bytes.count))
            }
        }
        let next = NIOLockedValueBox(0)
        let flips = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<ProcessInfo.processInfo.activeProcessorCount {
                group.addTask {
                    var count = 0
                    while true {
                        let number = next.withLockedValue { next in
                            defer { next += 1 }
                            return next
                        }
                        guard number < stretches.count else { return count }
                        var log = FlippedLog(files: files, path: stretches[number].path)
                        var random = SplitMix64(seed: seed &+ UInt64(number))
                        let places = stretches[number].bytes
                        let first = places.lowerBound + Int.random(in: 0..<min(step, places.count), using: &random)
                        for place in stride(from: first, to: places.upperBound, by: step) {
                            let bit: UInt8 = 1 << UInt8.random(in: 0..<8, using: &random)
                            log.bytes[place] ^= bit
                            let verdict = try await AuditReplay.run(log, pack: log.pack, options: pack.options())
                                .verdict
                            #expect(verdict == .different, "seed \(seed): byte \(place) of \(log.path)")
                            log.bytes[place] ^= bit
                            count += 1
                        }
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        print("\(pack.name): \(flips) of \(size) bytes of \(files.count) files flipped, seed \(seed)")
        #expect(step == 1 ? flips == size : flips > size / step - files.count)
    }
}
