/// Amounts with units, as people write them in configuration files and flags.
///
/// A bare number is never accepted where a unit decides its meaning.
enum Quantities {
    /// A span of time such as `500ms`, `30s`, `15m`, `2h` or `90d`; nil for anything else.
    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = split(text) else { return nil }
        let milliseconds: Int64
        switch unit {
        case "ms": milliseconds = 1
        case "s": milliseconds = 1000
        case "m", "min": milliseconds = 60_000
        case "h": milliseconds = 3_600_000
        case "d": milliseconds = 86_400_000
        default: return nil
        }
        let (total, overflow) = number.multipliedReportingOverflow(by: milliseconds)
        return overflow ? nil : .milliseconds(total)
    }

    /// Whole seconds of a span of time; nil when it is no span or not whole.
    static func seconds(_ text: String) -> Int64? {
        guard let duration = duration(text), duration.components.attoseconds == 0 else { return nil }
        return duration.components.seconds
    }

    /// A size in bytes such as `512B`, `64KiB`, `256MiB` or `10GB`; nil for anything else.
    static func byteCount(_ text: String) -> Int64? {
        scaled(
            text,
            [
                "B": 1, "kB": 1000, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
                "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
            ]
        )
    }

    /// A rate in bits per second such as `100Mbit` or `1Gbit`; nil for anything else.
    static func bitsPerSecond(_ text: String) -> Int64? {
        scaled(
            text,
            ["bit": 1, "kbit": 1000, "Kbit": 1000, "Mbit": 1_000_000, "Gbit": 1_000_000_000, "Tbit": 1_000_000_000_000]
        )
    }

    /// A span of time in the largest unit that needs no fraction.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if attoseconds != 0 { return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms" }
        for (unit, size) in [("d", Int64(86_400)), ("h", 3600), ("m", 60)] where seconds != 0 && seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }

    /// A size in the largest binary unit that needs no fraction.
    static func text(bytes: Int64) -> String {
        for (unit, shift) in [("GiB", Int64(30)), ("MiB", 20), ("KiB", 10)]
        where bytes != 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)B"
    }

    private static func scaled(_ text: String, _ units: [String: Int64]) -> Int64? {
        guard let (number, unit) = split(text), let scale = units[unit] else { return nil }
        let (total, overflow) = number.multipliedReportingOverflow(by: scale)
        return overflow ? nil : total
    }

    private static func split(_ text: String) -> (number: Int64, unit: String)? {
        let digits = text.utf8.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard !digits.isEmpty, let number = Int64(String(decoding: digits, as: UTF8.self)) else { return nil }
        var unit = text.dropFirst(digits.count)
        if unit.first == " " { unit = unit.dropFirst() }
        return unit.isEmpty ? nil : (number, String(unit))
    }
}
