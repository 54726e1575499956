/// From a host, exact or with one wildcard label, to a value: a hash table over the names' bytes, looked up without a copy.
///
/// The table is cut into parts, so that an index that changes a few hosts shares all other parts with the one before.
struct HostIndex<Value: Sendable>: Sendable {
    private static var partCount: Int { 1024 }

    private var parts: [HostIndexPart<Value>]
    private let seed: UInt64
    private var wildcards = 0

    /// An index without hosts.
    ///
    /// - Parameter seed: makes the places of names unpredictable to those who choose them.
    init(seed: UInt64) {
        self.seed = seed
        parts = [HostIndexPart<Value>](repeating: HostIndexPart([]), count: Self.partCount)
    }

    /// Sets the values of hosts in lower case, `*.` in front of wildcards; nil takes a host away.
    mutating func set(_ changes: [String: Value?]) {
        var byPart: [Int: [(name: HostName, value: Value?)]] = [:]
        for (host, value) in changes {
            guard let name = HostName(host, seed) else { continue }
            byPart[Self.part(of: name.hash), default: []].append((name, value))
        }
        for (place, changes) in byPart {
            let before = parts[place]
            let after = before.setting(changes)
            wildcards += after.wildcards - before.wildcards
            parts[place] = after
        }
    }

    /// The value of the host in `range`, in either case: its own, else that of the wildcard one label up.
    func lookUp(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Value? {
        if range.isEmpty || bytes[range.lowerBound] == 0x2E { return nil }
        if let value = find(bytes, range) { return value }
        guard wildcards > 0 else { return nil }
        var dot = range.lowerBound
        while dot < range.upperBound, bytes[dot] != 0x2E { dot += 1 }
        guard dot < range.upperBound else { return nil }
        return find(bytes, dot..<range.upperBound)
    }

    private func find(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Value? {
        let hash = HostName.hash(bytes, range, seed)
        return parts[Self.part(of: hash)].find(hash, bytes, range)
    }

    /// By the upper bits of the hash; a part's own table goes by the lower ones.
    private static func part(of hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 40) & (partCount - 1) }
}

/// A host as the index keeps it: a wildcard without its `*`, so as `.example.org`.
private struct HostName {
    let bytes: [UInt8]
    let hash: UInt64

    /// Nil for a name that is longer than any host.
    init?(_ host: String, _ seed: UInt64) {
        var bytes = Array(host.utf8)
        if bytes.starts(with: [0x2A, 0x2E]) { bytes.removeFirst() }
        guard bytes.count <= 255 else { return nil }
        self.bytes = bytes
        hash = Self.hash(bytes.span, 0..<bytes.count, seed)
    }

    init(bytes: [UInt8], hash: UInt64) {
        self.bytes = bytes
        self.hash = hash
    }

    /// FNV-1a over the lower-case bytes, keyed at both ends.
    static func hash(_ bytes: Span<UInt8>, _ range: Range<Int>, _ seed: UInt64) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ seed
        for index in range { hash = (hash ^ UInt64(lowercased(bytes[index]))) &* 0x100_0000_01B3 }
        hash ^= seed
        hash ^= hash >> 32
        return hash &* 0x9E37_79B9_7F4A_7C15 >> 7
    }

    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
}

/// The hosts of one part. Immutable.
private final class HostIndexPart<Value: Sendable>: Sendable {
    private struct Slot: Sendable {
        var hash: UInt64
        var start: UInt32
        var count: UInt8
        var value: Value
    }

    private let table: [UInt32]
    private let slots: [Slot]
    private let names: [UInt8]
    let wildcards: Int

    init(_ entries: [(name: HostName, value: Value)]) {
        var capacity = 2
        while capacity < entries.count * 2 { capacity *= 2 }
        var table = [UInt32](repeating: .max, count: capacity)
        var slots: [Slot] = []
        var names: [UInt8] = []
        slots.reserveCapacity(entries.count)
        for (name, value) in entries {
            slots.append(
                Slot(hash: name.hash, start: UInt32(names.count), count: UInt8(name.bytes.count), value: value)
            )
            names.append(contentsOf: name.bytes)
            var place = Int(truncatingIfNeeded: name.hash) & (capacity - 1)
            while table[place] != .max { place = (place + 1) & (capacity - 1) }
            table[place] = UInt32(slots.count - 1)
        }
        self.table = table
        self.slots = slots
        self.names = names
        wildcards = entries.count { $0.name.bytes.first == 0x2E }
    }

    /// The part with other values for some names.
    func setting(_ changes: [(name: HostName, value: Value?)]) -> HostIndexPart {
        let changed = Set(changes.map(\.name.bytes))
        var entries: [(name: HostName, value: Value)] = []
        for slot in slots {
            let bytes = Array(names[Int(slot.start)..<(Int(slot.start) + Int(slot.count))])
            if !changed.contains(bytes) { entries.append((HostName(bytes: bytes, hash: slot.hash), slot.value)) }
        }
        for (name, value) in changes {
            if let value { entries.append((name, value)) }
        }
        return HostIndexPart(entries)
    }

    func find(_ hash: UInt64, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Value? {
        var place = Int(truncatingIfNeeded: hash) & (table.count - 1)
        while table[place] != .max {
            let slot = Int(table[place])
            if slots[slot].hash == hash, equals(slot, bytes, range) { return slots[slot].value }
            place = (place + 1) & (table.count - 1)
        }
        return nil
    }

    private func equals(_ slot: Int, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard Int(slots[slot].count) == range.count else { return false }
        var place = Int(slots[slot].start)
        for index in range {
            if names[place] != HostName.lowercased(bytes[index]) { return false }
            place += 1
        }
        return true
    }
}
