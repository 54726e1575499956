/// Where an audit reads a log from. Nothing that it gives is trusted.
public protocol LogSource: Sendable {
    /// Bytes of the checkpoint, at most 64 KiB; nil when there is none.
    func checkpoint() async throws -> [UInt8]?

    /// Bytes of a hash tile or bundle, at most `limit`; nil when there is none. Never wider or narrower than the path says.
    func tile(_ path: TilePath, limit: Int) async throws -> [UInt8]?
}

/// A file or database of the log that cannot be read; an audit counts it as a log that proves nothing.
public struct LogUnreadable: Error, CustomStringConvertible {
    /// One sentence that names the object.
    public let description: String

    init(_ description: String) {
        self.description = description
    }

    var failure: AuditFailure { AuditFailure(code: "log.unreadable", description) }
}

extension LogSource {
    /// A hash tile of exactly that width, cut out of the full tile when the partial one is gone.
    func hashTile(level: Int, index: UInt64, width: Int) async throws -> HashTile? {
        if let bytes = try await tile(
            TilePath(.hashes(level: level), index: index, width: width),
            limit: HashTile.longest
        ) {
            return HashTile(bytes, width: width)
        }
        let full = TilePath(.hashes(level: level), index: index, width: TilePath.fullWidth)
        guard width < TilePath.fullWidth, let bytes = try await tile(full, limit: HashTile.longest),
            bytes.count == HashTile.longest
        else { return nil }
        return HashTile(Array(bytes[..<(32 * width)]), width: width)
    }

    /// The leaves of a bundle, cut out of the full bundle when the partial one is gone.
    func leaves(_ path: TilePath) async throws -> [[UInt8]]? {
        if let bytes = try await tile(path, limit: EntryBundle.longest) {
            return EntryBundle.decode(bytes, count: path.width)
        }
        let full = TilePath(.entries, index: path.index, width: TilePath.fullWidth)
        guard path.width < TilePath.fullWidth, let bytes = try await tile(full, limit: EntryBundle.longest),
            let leaves = EntryBundle.decode(bytes, count: TilePath.fullWidth)
        else { return nil }
        return Array(leaves[..<path.width])
    }
}
