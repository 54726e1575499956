/// From a host, exact or with one wildcard label, to a value: a hash table over the names' bytes, looked up without a copy.
struct HostIndex<Value: Sendable>: Sendable {
    private struct Slot {
        var hash: UInt64
        var start: UInt32
        var count: UInt8
        var value: Value
    }

    /// Wildcards are kept without their `*`, so as `.example.org`.
    private var exact: [UInt32]
    private var slots: [Slot] = []
    private var names: [UInt8] = []
    private let seed: UInt64
    private var hasWildcards = false

    /// - Parameter entries: hosts in lower case, `*.` in front of wildcards, each once.
    /// - Parameter seed: makes the places of names unpredictable to those who choose them.
    init(_ entries: [(host: String, value: Value)], seed: UInt64) {
        self.seed = seed
        var capacity = 8
        while capacity < entries.count * 2 { capacity *= 2 }
        exact = [UInt32](repeating: .max, count: capacity)
        slots.reserveCapacity(entries.count)
        for entry in entries { insert(entry.host, entry.value) }
    }

    private mutating func insert(_ host: String, _ value: Value) {
        var bytes = Array(host.utf8)
        if bytes.starts(with: [0x2A, 0x2E]) {
            bytes.removeFirst()
            hasWildcards = true
        }
        guard bytes.count <= 255 else { return }
        let hash = Self.hash(bytes.span, 0..<bytes.count, seed)
        slots.append(Slot(hash: hash, start: UInt32(names.count), count: UInt8(bytes.count), value: value))
        names.append(contentsOf: bytes)
        var place = Int(truncatingIfNeeded: hash) & (exact.count - 1)
        while exact[place] != .max { place = (place + 1) & (exact.count - 1) }
        exact[place] = UInt32(slots.count - 1)
    }

    /// The value of the host in `range`, in either case: its own, else that of the wildcard one label up.
    func lookUp(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Value? {
        if range.isEmpty || bytes[range.lowerBound] == 0x2E { return nil }
        if let value = find(bytes, range) { return value }
        guard hasWildcards else { return nil }
        var dot = range.lowerBound
        while dot < range.upperBound, bytes[dot] != 0x2E { dot += 1 }
        guard dot < range.upperBound else { return nil }
        return find(bytes, dot..<range.upperBound)
    }

    private func find(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Value? {
        let hash = Self.hash(bytes, range, seed)
        var place = Int(truncatingIfNeeded: hash) & (exact.count - 1)
        while exact[place] != .max {
            let slot = Int(exact[place])
            if slots[slot].hash == hash, equals(slot, bytes, range) { return slots[slot].value }
            place = (place + 1) & (exact.count - 1)
        }
        return nil
    }

    private func equals(_ slot: Int, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard Int(slots[slot].count) == range.count else { return false }
        var place = Int(slots[slot].start)
        for index in range {
            if names[place] != Self.lowercased(bytes[index]) { return false }
            place += 1
        }
        return true
    }

    /// FNV-1a over the lower-case bytes, keyed at both ends.
    private static func hash(_ bytes: Span<UInt8>, _ range: Range<Int>, _ seed: UInt64) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ seed
        for index in range { hash = (hash ^ UInt64(lowercased(bytes[index]))) &* 0x100_0000_01B3 }
        hash ^= seed
        hash ^= hash >> 32
        return hash &* 0x9E37_79B9_7F4A_7C15 >> 7
    }

    @inline(__always)
    private static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
}
