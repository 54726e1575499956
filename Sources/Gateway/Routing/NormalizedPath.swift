/// The path that most servers would make of a path: escapes of one round decoded, `\` read as `/`, empty and dot segments gone.
enum NormalizedPath {
    /// Whether some server could read the path differently from how it is written.
    static func isNeeded(_ bytes: Span<UInt8>, _ path: Range<Int>) -> Bool {
        var previous: UInt8 = 0
        for index in path {
            let byte = bytes[index]
            if byte == 0x25 || byte == 0x5C || byte == 0x3B { return true }
            if previous == 0x2F, byte == 0x2F || byte == 0x2E { return true }
            previous = byte
        }
        return false
    }

    static func of(_ bytes: Span<UInt8>, _ path: Range<Int>) -> [UInt8] {
        var segments: [[UInt8]] = []
        var segment: [UInt8] = []
        var endsWithSlash = false
        func close(_ segment: inout [UInt8], _ segments: inout [[UInt8]]) {
            // A matrix parameter (`;x`) hides the name of a segment from some servers and not from others.
            let name = Array(segment.prefix { $0 != 0x3B })
            if name == [0x2E, 0x2E] {
                _ = segments.popLast()
            } else if !name.isEmpty, name != [0x2E] {
                segments.append(name)
            }
            segment.removeAll(keepingCapacity: true)
        }
        var index = path.lowerBound
        while index < path.upperBound {
            var byte = bytes[index]
            if byte == 0x25, index + 2 < path.upperBound, let high = hex(bytes[index + 1]),
                let low = hex(bytes[index + 2])
            {
                byte = high << 4 | low
                index += 2
            }
            index += 1
            if byte == 0x2F || byte == 0x5C {
                close(&segment, &segments)
                endsWithSlash = true
            } else {
                segment.append(byte)
                endsWithSlash = false
            }
        }
        close(&segment, &segments)
        var result: [UInt8] = []
        for segment in segments { result += [0x2F] + segment }
        return endsWithSlash || result.isEmpty ? result + [0x2F] : result
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
