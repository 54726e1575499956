/// Ports from the first to the last, both included.
public struct PortRange: Hashable, Sendable, SchemaValue {
    public var from: UInt16
    public var to: UInt16

    public init(from: UInt16, to: UInt16) {
        self.from = from
        self.to = to
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        from = UInt16(truncatingIfNeeded: try reader.required("from").integer(1...65_535))
        to = UInt16(truncatingIfNeeded: try reader.required("to").integer(1...65_535))
        try reader.end()
        guard from <= to else { throw SchemaViolation() }
    }

    var json: JSONValue { .object(["from": .integer(Int64(from)), "to": .integer(Int64(to))]) }

    /// Whether some port lies in both.
    public func overlaps(_ other: PortRange) -> Bool { from <= other.to && other.from <= to }

    /// Whether every port of the other range lies in this one.
    public func contains(_ other: PortRange) -> Bool { from <= other.from && other.to <= to }

    /// Reads 1 to 16 ranges, each of which begins after its predecessor ends; `span` limits `to - from`.
    static func list(reading value: JSONValue, span: UInt16 = .max) throws(SchemaViolation) -> [PortRange] {
        let ranges = try value.set(1...16, of: PortRange.init(reading:)) { $0.to < $1.from }
        guard ranges.allSatisfy({ $0.to - $0.from <= span }) else { throw SchemaViolation() }
        return ranges
    }
}
