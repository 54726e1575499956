import Contracts

/// The files of a fixture pack, read through two closures so that a pack can be a folder, an archive or memory.
///
/// Nothing in a pack is trusted: the ledger id and the manifest key come from the caller.
public struct FixturePack: Sendable {
    /// Reads at most `limit` bytes of a file: nil when there is none, an error when it is longer or unreadable.
    public typealias Read = @Sendable (_ path: String, _ limit: Int) throws -> [UInt8]?

    private let readFile: Read
    private let listFiles: @Sendable () throws -> [String]

    /// Longest MANIFEST, in bytes.
    public static let longestManifest = 4 << 20

    /// Longest JSON file and longest list of outcomes or rows, in bytes: enough for a million entries.
    public static let longestFile = 1 << 30

    /// `list` gives the paths of all files, relative to the pack.
    public init(read: @escaping Read, list: @escaping @Sendable () throws -> [String]) {
        readFile = read
        listFiles = list
    }

    /// Paths of all files, ascending as bytes.
    public func paths() throws -> [String] {
        try listFiles().sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// A file; nil when it is absent. A path that leaves the pack is refused before it is opened.
    public func file(_ path: String, limit: Int = FixturePack.longestFile) throws(AuditFailure) -> [UInt8]? {
        guard Self.isInside(path) else { throw AuditFailure(code: "pack", "\(path) is no path inside the pack") }
        do {
            return try readFile(path, limit)
        } catch {
            throw AuditFailure(code: "pack", "\(path) cannot be read, or is longer than \(limit) bytes: \(error)")
        }
    }

    /// A file that a pack must have.
    public func requiredFile(_ path: String, limit: Int = FixturePack.longestFile) throws(AuditFailure) -> [UInt8] {
        guard let bytes = try file(path, limit: limit) else {
            throw AuditFailure(code: "pack", "the pack has no \(path)")
        }
        return bytes
    }

    /// A JSON file that a pack must have.
    func requiredJSON(_ path: String) throws(AuditFailure) -> JSONValue {
        do {
            return try JSONValue(document: try requiredFile(path))
        } catch let error as JSONError {
            throw AuditFailure(code: "pack", "\(path) is no JSON at byte \(error.offset)")
        } catch let failure as AuditFailure {
            throw failure
        } catch {
            throw AuditFailure(code: "pack", "\(path) cannot be read")
        }
    }

    /// Relative, without empty, `.` or `..` segments and without control characters.
    static func isInside(_ path: String) -> Bool {
        (1...1024).contains(path.utf8.count) && path.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x5C }
            && path.utf8.split(separator: 0x2F, omittingEmptySubsequences: false).allSatisfy { segment in
                !segment.isEmpty && !segment.elementsEqual(".".utf8) && !segment.elementsEqual("..".utf8)
            }
    }
}
