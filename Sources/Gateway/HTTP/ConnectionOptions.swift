/// The options of Connection fields that name other fields as hop-by-hop (RFC 9110 section 7.6.1).
enum ConnectionOptions {
    /// Most options that a head may name; each is compared with each field.
    static let limit = 32

    /// Whether some Connection field of the head names the field.
    static func name(_ line: FieldLine, in fields: [FieldLine], _ bytes: Span<UInt8>) -> Bool {
        var isNamed = false
        for connection in fields where connection.field == .connection {
            bytes.forEachElement(of: connection.value) { option in
                if !isNamed, equal(option, line.name, bytes) { isNamed = true }
            }
        }
        return isNamed
    }

    private static func equal(_ left: Range<Int>, _ right: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for offset in 0..<left.count {
            let one = HTTPGrammar.lowercased(bytes[left.lowerBound + offset])
            if one != HTTPGrammar.lowercased(bytes[right.lowerBound + offset]) { return false }
        }
        return true
    }
}
