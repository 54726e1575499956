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
        parts = [HostIndexPart<Value>](repeating: HostIndexPart(), count: Self.partCount)
    }

    /// Sets the values of hosts in lower case, `*.` in front of wildcards; nil takes a host away.
    mutating func set(_ changes: [String: Value?]) {
        var byPart: [Int: [HostIndexPart<Value>.Change]] = [:]
        for (host, value) in changes {
            var bytes = Array(host.utf8)
            if bytes.starts(with: [0x2A, 0x2E]) { bytes.removeFirst() }
            guard !bytes.isEmpty, bytes.count <= HostName.longest else { continue }
            let name = HostName(bytes.span, 0..<bytes.count, seed: seed)
            byPart[Self.part(of: name.hash), default: []].append((name, bytes, value))
        }
        for (place, changes) in byPart {
            let before = parts[place]
            let after = before.setting(changes, seed)
            wildcards += after.wildcards - before.wildcards
            parts[place] = after
        }
    }

    /// The value of the host in `range`, in either case: its own, else that of the wildcard one label up.
    @inline(__always)
    func lookUp(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Value? {
        find(bytes, range).flatMap { parts[$0.part].value($0.place) }
    }

    /// Whether there is a value for the host in `range`.
    func contains(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool { find(bytes, range) != nil }

    private func find(_ bytes: Span<UInt8>, _ range: Range<Int>) -> (part: Int, place: Int)? {
        guard !range.isEmpty, range.count <= HostName.longest, bytes[range.lowerBound] != 0x2E else { return nil }
        if let found = findExact(bytes, range) { return found }
        guard wildcards > 0 else { return nil }
        var dot = range.lowerBound
        while dot < range.upperBound, bytes[dot] != 0x2E { dot += 1 }
        return dot < range.upperBound ? findExact(bytes, dot..<range.upperBound) : nil
    }

    @inline(__always)
    private func findExact(_ bytes: Span<UInt8>, _ range: Range<Int>) -> (part: Int, place: Int)? {
        let name = HostName(bytes, range, seed: seed)
        let part = Self.part(of: name.hash)
        let place = parts[part].find(name, bytes, range)
        return place < 0 ? nil : (part, place)
    }

    /// By the upper bits of the hash; a part's own table goes by the lower ones.
    private static func part(of hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 32) & (partCount - 1) }
}

/// The hosts of one part. Immutable.
///
/// Names lie in the table itself, at the place that the hash says or behind it, so that finding one meets memory that no cache
/// holds once. Names and values are apart, so that other values for the same names leave the names where they are. A value and not an
/// object, so that parts lie side by side, where a look-up finds them without one more access.
private struct HostIndexPart<Value: Sendable>: Sendable {
    /// A name, all its bytes, and its value; nil takes the name away.
    typealias Change = (name: HostName, bytes: [UInt8], value: Value?)
    private typealias Entry = (name: HostName, long: [UInt8]?, value: Value)

    /// The words of names; the last one is zero where a place is vacant: a third of them, and one at least.
    private let slots: [InlineArray<6, UInt64>]
    private let values: [Value?]
    /// The bytes of names of which the words do not tell all, by place.
    private let long: [Int: [UInt8]]
    let wildcards: Int

    /// A part without hosts.
    init() { self.init([]) }

    private init(_ entries: [Entry]) {
        let count = entries.count + entries.count / 2 + 1
        var slots = [InlineArray<6, UInt64>](repeating: InlineArray(repeating: 0), count: count)
        var values = [Value?](repeating: nil, count: count)
        var long: [Int: [UInt8]] = [:]
        for entry in entries {
            var place = Self.first(entry.name.hash, count)
            while slots[place][5] != 0 { place = place + 1 == count ? 0 : place + 1 }
            slots[place] = entry.name.words
            values[place] = entry.value
            if let bytes = entry.long { long[place] = bytes }
        }
        self.slots = slots
        self.values = values
        self.long = long
        wildcards = entries.count { $0.name.isWildcard }
    }

    /// The same names with other values.
    private init(_ part: HostIndexPart, values: [Value?]) {
        slots = part.slots
        self.values = values
        long = part.long
        wildcards = part.wildcards
    }

    /// The part with other values for some names.
    func setting(_ changes: [Change], _ seed: UInt64) -> HostIndexPart {
        var values = values
        var added: [Entry] = []
        var isSmaller = false
        for (name, bytes, value) in changes {
            let place = find(name, bytes.span, 0..<bytes.count)
            if place >= 0 {
                values[place] = value
                if value == nil { isSmaller = true }
            } else if let value {
                added.append((name, bytes.count > HostName.wordBytes ? bytes : nil, value))
            }
        }
        guard isSmaller || !added.isEmpty else { return HostIndexPart(self, values: values) }
        let kept = slots.indices.compactMap { place -> Entry? in
            guard let value = values[place] else { return nil }
            let bytes = long[place]
            let name =
                bytes.map { HostName($0.span, 0..<$0.count, seed: seed) } ?? HostName(words: slots[place], seed: seed)
            return name.map { ($0, bytes, value) }
        }
        return HostIndexPart(kept + added)
    }

    func value(_ place: Int) -> Value? { values[place] }

    /// The place of a name, which lies in `range`; -1 when it is not there.
    @inline(__always)
    func find(_ name: HostName, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
        var place = Self.first(name.hash, slots.count)
        while true {
            if slots[place][0] == name.words[0], isSame(place, name), isAll(place, bytes, range) { return place }
            if slots[place][5] == 0 { return -1 }
            place = place + 1 == slots.count ? 0 : place + 1
        }
    }

    @inline(__always)
    private func isSame(_ place: Int, _ name: HostName) -> Bool {
        var difference: UInt64 = 0
        for word in 1..<6 { difference |= slots[place][word] ^ name.words[word] }
        return difference == 0
    }

    @inline(__always)
    private func isAll(_ place: Int, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        range.count <= HostName.wordBytes || isLong(place, bytes, range)
    }

    private func isLong(_ place: Int, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard let name = long[place] else { return false }
        return name.indices.allSatisfy { name[$0] == HostName.lowercased(bytes[range.lowerBound + $0]) }
    }

    @inline(__always)
    private static func first(_ hash: UInt64, _ count: Int) -> Int {
        Int(truncatingIfNeeded: (hash & 0xFFFF_FFFF) &* UInt64(truncatingIfNeeded: count) >> 32)
    }
}
