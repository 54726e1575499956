/// The path of a tile or entry bundle of C2SP tlog-tiles.
public struct TilePath: Sendable, Hashable {
    /// What the tile holds.
    public enum Content: Sendable, Hashable {
        /// Hashes of subtrees of 256^level leaves, level 0...5.
        case hashes(level: Int)
        /// The leaves themselves.
        case entries
    }

    public let content: Content

    /// Position of the tile in its level.
    public let index: UInt64

    /// Hashes or entries that it holds, 1...256; below 256 the tile is partial.
    public let width: Int

    /// Hashes or entries of a full tile.
    public static let fullWidth = 256

    /// Highest level of a hash tile.
    public static let highestLevel = 5

    /// A path; level, index and width must be in their ranges.
    public init(_ content: Content, index: UInt64, width: Int) {
        precondition((1...Self.fullWidth).contains(width), "a tile holds 1 to 256 items")
        if case .hashes(let level) = content {
            precondition((0...Self.highestLevel).contains(level), "levels are 0 to 5")
        }
        self.content = content
        self.index = index
        self.width = width
    }

    /// Parses exactly the text that `description` writes, for example `tile/0/x001/x234/067.p/8`.
    public init?(_ text: String) {
        var parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard text.utf8.count <= 64, parts.count >= 3, parts.removeFirst() == "tile" else { return nil }
        switch parts.removeFirst() {
        case "entries": content = .entries
        case let level:
            guard level.utf8.count == 1, let number = Int(level), (0...Self.highestLevel).contains(number) else {
                return nil
            }
            content = .hashes(level: number)
        }
        if parts.count >= 2, parts[parts.count - 2].hasSuffix(".p") {
            guard let number = Decimal53.parse(parts.removeLast().utf8), (1..<UInt64(Self.fullWidth)).contains(number)
            else {
                return nil
            }
            width = Int(number)
            parts[parts.count - 1].removeLast(2)
        } else {
            width = Self.fullWidth
        }
        var index: UInt64 = 0
        for (position, part) in parts.enumerated() {
            let digits = position == parts.count - 1 ? part.utf8[...] : part.utf8.dropFirst()
            guard position == parts.count - 1 || part.utf8.first == 0x78, digits.count == 3,
                digits.allSatisfy({ (0x30...0x39).contains($0) }), index < 1 << 50
            else { return nil }
            index = digits.reduce(index) { $0 * 10 + UInt64($1 - 0x30) }
        }
        self.index = index
        // One path for one tile: superfluous groups of zeros are another spelling.
        guard description.utf8.elementsEqual(text.utf8) else { return nil }
    }

    /// All tiles of a log of that size: of each level the full ones, then the partial one.
    public static func all(_ content: Content, size: UInt64) -> [TilePath] {
        let items: UInt64
        switch content {
        case .entries: items = size
        case .hashes(let level): items = size >> UInt64(8 * level)
        }
        var paths = (0..<items / 256).map { TilePath(content, index: $0, width: fullWidth) }
        if items % 256 > 0 { paths.append(TilePath(content, index: items / 256, width: Int(items % 256))) }
        return paths
    }
}

extension TilePath: CustomStringConvertible {
    /// The path relative to the prefix of the log.
    public var description: String {
        var groups: [String] = []
        var rest = index
        repeat {
            let digits = String(rest % 1000)
            groups.append(String(repeating: "0", count: 3 - digits.utf8.count) + digits)
            rest /= 1000
        } while rest > 0
        let number = groups.reversed().enumerated().map { $0 < groups.count - 1 ? "x\($1)" : $1 }.joined(separator: "/")
        let folder: String
        switch content {
        case .entries: folder = "entries"
        case .hashes(let level): folder = String(level)
        }
        return "tile/\(folder)/\(number)" + (width < Self.fullWidth ? ".p/\(width)" : "")
    }
}
