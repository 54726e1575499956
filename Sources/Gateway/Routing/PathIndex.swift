/// The routes of one host by path: the longest prefix on a segment boundary wins.
struct PathIndex<Value: Sendable>: Sendable {
    private struct Entry {
        /// Without a slash at the end, so that `/` is empty.
        var prefix: [UInt8]
        /// Whether the path was written with a slash at the end: `/a/` serves `/a/` and below, not `/a`.
        var needsSlash: Bool
        var value: Value
    }

    /// The value of all paths, where the only one is `/`; beside the entries, so that it is found at once.
    private(set) var whole: Value?
    private var entries: [Entry] = []

    init(_ paths: [(path: String, value: Value)]) {
        for (path, value) in paths {
            var prefix = Array(path.utf8)
            let needsSlash = prefix.count > 1 && prefix.last == 0x2F
            if prefix.last == 0x2F { prefix.removeLast() }
            entries.append(Entry(prefix: prefix, needsSlash: needsSlash, value: value))
        }
        if entries.count == 1, entries[0].prefix.isEmpty {
            whole = entries[0].value
            entries = []
        }
        entries.sort {
            ($0.prefix.count, $0.needsSlash ? 1 : 0) > ($1.prefix.count, $1.needsSlash ? 1 : 0)
        }
    }

    /// The value of a path: an empty one or `*` counts as `/`.
    func lookUp(_ bytes: Span<UInt8>, _ path: Range<Int>) -> Value? {
        if let whole { return whole }
        for entry in entries where Self.matches(entry, bytes, path) { return entry.value }
        return nil
    }

    private static func matches(_ entry: Entry, _ bytes: Span<UInt8>, _ path: Range<Int>) -> Bool {
        let count = entry.prefix.count
        guard count > 0 else { return true }
        guard path.count >= count else { return false }
        for offset in 0..<count where bytes[path.lowerBound + offset] != entry.prefix[offset] {
            return false
        }
        if path.count == count { return !entry.needsSlash }
        return bytes[path.lowerBound + count] == 0x2F
    }
}
