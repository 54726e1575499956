internal import Contracts

/// OPEN comes once for every visitor, so its bytes are written and read without a tree of values in between. The shape that a
/// gateway writes is read here; anything else is for the general reader, which decides about it.
extension StreamOpen {
    /// The canonical JSON: names ascending.
    var payload: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        bytes.append(contentsOf: #"{"contract":""#.utf8)
        bytes.append(contentsOf: contract.hex.utf8)
        bytes.append(0x22)
        Self.append("expose", expose, to: &bytes)
        if let host { Self.append("host", host, to: &bytes) }
        Self.append("kind", kind, to: &bytes)
        if let local { Self.append("local", local, to: &bytes) }
        Self.append("peer", peer, to: &bytes)
        if let port { Self.append("port", .integer(port), to: &bytes) }
        if let sni { Self.append("sni", sni, to: &bytes) }
        bytes.append(0x7D)
        return bytes
    }

    private static func append(_ name: StaticString, _ text: String, to bytes: inout [UInt8]) {
        append(name, .string(text), to: &bytes)
    }

    private static func append(_ name: StaticString, _ value: JSONValue, to bytes: inout [UInt8]) {
        bytes.append(0x2C)
        bytes.append(0x22)
        bytes.append(contentsOf: name.description.utf8)
        bytes.append(0x22)
        bytes.append(0x3A)
        value.append(to: &bytes)
    }

    /// Reads an object of the names above, ascending, with texts of plain ASCII; nil for any other bytes, valid or not.
    init?(plain bytes: [UInt8]) {
        var reader = PlainReader(bytes: bytes)
        guard reader.take(0x7B), reader.takeName("contract"), let hex = reader.text(),
            let contract = Identifier(hex: hex), reader.take(0x2C),
            reader.takeName("expose"), let expose = reader.text(), reader.take(0x2C)
        else { return nil }
        let host = reader.optionalText("host")
        guard reader.takeName("kind"), let kind = reader.text(), reader.take(0x2C) else { return nil }
        let local = reader.optionalText("local")
        guard reader.takeName("peer"), let peer = reader.text() else { return nil }
        self.init(contract: contract, expose: expose, kind: kind, peer: peer, local: local, host: host)
        if reader.take(0x2C) {
            let hasPort = reader.takeName("port")
            if hasPort {
                guard let number = reader.port() else { return nil }
                port = number
            }
            if !hasPort || reader.take(0x2C) {
                guard reader.takeName("sni"), let name = reader.text() else { return nil }
                sni = name
            }
        }
        guard reader.take(0x7D), reader.isAtEnd else { return nil }
    }
}

private struct PlainReader {
    let bytes: [UInt8]
    private var place = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { place == bytes.count }

    mutating func take(_ byte: UInt8) -> Bool {
        guard place < bytes.count, bytes[place] == byte else { return false }
        place += 1
        return true
    }

    /// Takes `"name":` or nothing.
    mutating func takeName(_ name: String) -> Bool {
        let end = place + name.utf8.count + 3
        guard end <= bytes.count, bytes[place] == 0x22, bytes[end - 2] == 0x22, bytes[end - 1] == 0x3A,
            bytes[(place + 1)..<(end - 2)].elementsEqual(name.utf8)
        else { return false }
        place = end
        return true
    }

    /// A text without escapes and without anything but ASCII, which is its own canonical form.
    mutating func text() -> String? {
        guard take(0x22) else { return nil }
        let start = place
        while place < bytes.count, bytes[place] != 0x22 {
            guard (0x20..<0x7F).contains(bytes[place]), bytes[place] != 0x5C else { return nil }
            place += 1
        }
        let end = place
        return take(0x22) ? String(decoding: bytes[start..<end], as: UTF8.self) : nil
    }

    /// A member with a text, and the comma behind it; nil, with nothing taken, when another name is there.
    mutating func optionalText(_ name: String) -> String? {
        let start = place
        guard takeName(name), let text = text(), take(0x2C) else {
            place = start
            return nil
        }
        return text
    }

    /// A number from 1 to 65,535 without zeros in front.
    mutating func port() -> Int64? {
        var number: Int64 = 0
        while place < bytes.count, (0x30...0x39).contains(bytes[place]), number <= 65_535 {
            number = number * 10 + Int64(bytes[place] - 0x30)
            if number == 0 { return nil }
            place += 1
        }
        return (1...65_535).contains(number) ? number : nil
    }
}
