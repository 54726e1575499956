public import Contracts

/// Reads subtrees of a log of one size out of its hash tiles.
public struct TileReader {
    /// Size of the log: it decides which tiles are partial.
    public let size: UInt64

    private let fetch: (TilePath) throws -> [UInt8]?

    /// What cannot be read.
    public struct Missing: Error, Sendable {
        public let path: TilePath
    }

    /// `fetch` gives the bytes of a tile, nil when there is none.
    public init(size: UInt64, fetch: @escaping (TilePath) throws -> [UInt8]?) {
        self.size = size
        self.fetch = fetch
    }

    /// The hash of a perfect subtree that lies within the log.
    public func subtree(level: Int, index: UInt64) throws -> Digest {
        // A subtree whose root is the last row of a tile is read from that tile's children.
        let tileLevel = min(level / 8, TilePath.highestLevel)
        let inner = level - 8 * tileLevel
        let firstNode = index << UInt64(inner)
        let tileIndex = firstNode / 256
        let items = size >> UInt64(8 * tileLevel)
        let width = Int(min(256, items > tileIndex * 256 ? items - tileIndex * 256 : 0))
        guard width > 0 else {
            throw Missing(path: TilePath(.hashes(level: tileLevel), index: tileIndex, width: TilePath.fullWidth))
        }
        let path = TilePath(.hashes(level: tileLevel), index: tileIndex, width: width)
        guard let bytes = try fetch(path), let tile = HashTile(bytes, width: width),
            let hash = tile.subtree(level: inner, index: Int(firstNode % 256) >> inner)
        else { throw Missing(path: path) }
        return hash
    }
}
