import Contracts
import Foundation

/// A log, or a fixture pack, as files in a folder: `checkpoint`, `tile/…` and whatever else.
public struct LogFolder: LogSource {
    private let root: URL

    /// The folder at a path of the file system.
    public init(path: String) {
        root = URL(fileURLWithPath: path, isDirectory: true)
    }

    /// Whether the folder holds the recorded results of a pack.
    public var isPack: Bool {
        ["MANIFEST", "expect.json"].contains { FileManager.default.fileExists(atPath: root.appending(path: $0).path) }
    }

    /// The folder as a pack.
    public var pack: FixturePack {
        FixturePack(read: { try read($0, limit: $1) }, list: { try list() })
    }

    public func checkpoint() async throws -> [UInt8]? {
        try read("checkpoint", limit: SignedNote.longest)
    }

    public func tile(_ path: TilePath, limit: Int) async throws -> [UInt8]? {
        try read(path.description, limit: limit)
    }

    private func read(_ path: String, limit: Int) throws -> [UInt8]? {
        let url = root.appending(path: path).resolvingSymlinksInPath()
        guard type(of: url.path) == .typeRegular else { return nil }
        guard let file = try? FileHandle(forReadingFrom: url) else {
            throw LogUnreadable("\(path) cannot be opened; check its permissions")
        }
        defer { try? file.close() }
        // One byte more than the limit shows that there is more, whatever the file system says about the size.
        guard let data = try? file.read(upToCount: limit + 1) ?? Data() else {
            throw LogUnreadable("\(path) cannot be read")
        }
        guard data.count <= limit else { throw LogUnreadable("\(path) is longer than \(limit) bytes") }
        return [UInt8](data)
    }

    /// Paths of all files below the folder, links included.
    private func list() throws -> [String] {
        guard let walk = FileManager.default.enumerator(atPath: root.path) else {
            throw LogUnreadable("\(root.path) cannot be listed")
        }
        var paths: [String] = []
        while let path = walk.nextObject() as? String {
            if type(of: root.appending(path: path).path) == .typeDirectory { continue }
            paths.append(path)
        }
        return paths
    }

    /// What a path names, without following a link; nil when there is nothing.
    private func type(of path: String) -> FileAttributeType? {
        try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
    }
}
