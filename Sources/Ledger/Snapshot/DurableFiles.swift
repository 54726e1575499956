internal import Dispatch
internal import Foundation
internal import NIOConcurrencyHelpers

/// Files that are whole or absent after a crash, and on the disk before the call returns.
enum DurableFiles {
    /// Puts a file in its place, over the one that is there, readable by everybody as a web server has to.
    static func write(_ bytes: [UInt8], to path: String) throws {
        // Written beside its place and renamed: whoever opens the path sees the old file or the new one.
        try Data(bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        try synchronise(path)
        try synchronise(folder(of: path))
    }

    /// Makes a folder, and those above it.
    static func makeFolder(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755]
        )
        try synchronise(folder(of: path))
    }

    /// Syncs a file or a folder.
    static func synchronise(_ path: String) throws {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.synchronize()
    }

    /// Syncs many files at the same time, which a file system joins to a few flushes of the disk. Blocks the thread.
    static func synchronise(all paths: [String]) throws {
        let queue = DispatchQueue(label: "webgw.sync", attributes: .concurrent)
        let group = DispatchGroup()
        let failure = NIOLockedValueBox<(any Error)?>(nil)
        for first in 0..<min(syncsInFlight, paths.count) {
            queue.async(group: group) {
                for place in stride(from: first, to: paths.count, by: syncsInFlight) {
                    do { try synchronise(paths[place]) } catch { failure.withLockedValue { $0 = error } }
                }
            }
        }
        group.wait()
        if let error = failure.withLockedValue({ $0 }) { throw error }
    }

    private static let syncsInFlight = 16

    /// The bytes of a file; nil when there is none, or more than the limit.
    static func read(_ path: String, limit: Int) -> [UInt8]? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? file.close() }
        guard let data = try? file.read(upToCount: limit + 1) ?? Data(), data.count <= limit else { return nil }
        return [UInt8](data)
    }

    /// Names in a folder; none when it is missing.
    static func names(in path: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    }

    private static func folder(of path: String) -> String {
        URL(fileURLWithPath: path).deletingLastPathComponent().path
    }
}
