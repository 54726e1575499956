extension Envelope {
    private static let head = Array(#"{"payload":""#.utf8)
    private static let middle = Array(#"","payloadType":""#.utf8)
    private static let tail = Array(#"","signatures":["#.utf8)
    private static let keyHead = Array(#"{"keyid":""#.utf8)
    private static let keyMiddle = Array(#"","sig":""#.utf8)
    private static let keyTail = Array(#""}"#.utf8)
    private static let end = Array("]}".utf8)

    /// Parses the leaf bytes of a log: exactly the text that `leaf` writes, at most 16384 bytes.
    public init(leaf bytes: [UInt8]) throws(EnvelopeError) {
        guard bytes.count <= Self.longestLeaf else { throw .tooLong(bytes.count) }
        var cursor = Cursor(bytes: bytes)
        guard cursor.take(Self.head), let payloadText = cursor.takeUntilQuote(),
            let payload = Base64.decode(bytes[payloadText]),
            cursor.take(Self.middle), let typeText = cursor.takeUntilQuote(), (1...128).contains(typeText.count),
            bytes[typeText].allSatisfy(Self.isTypeCharacter), cursor.take(Self.tail)
        else { throw .noncanonical }
        var signatures: [(keyID: KeyID, signature: [UInt8])] = []
        if !cursor.take(Self.end) {
            repeat {
                guard signatures.count < Self.mostSignatures, cursor.take(Self.keyHead),
                    let keyID = cursor.takeDigest(), cursor.take(Self.keyMiddle),
                    let text = cursor.takeUntilQuote(), text.count == 88,
                    let signature = Base64.decode(bytes[text]), signature.count == 64, cursor.take(Self.keyTail)
                else { throw .noncanonical }
                if let previous = signatures.last?.keyID, previous >= keyID { throw .noncanonical }
                signatures.append((keyID, signature))
            } while cursor.take([0x2C])
            guard cursor.take(Self.end) else { throw .noncanonical }
        }
        guard cursor.isAtEnd else { throw .noncanonical }
        self.init(
            payload: payload,
            payloadType: String(decoding: bytes[typeText], as: UTF8.self),
            signatures: signatures
        )
    }

    /// The leaf bytes: the one text of the envelope in the log.
    public var leaf: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count / 3 * 4 + signatures.count * 180 + 120)
        bytes.append(contentsOf: Self.head)
        Base64.append(payload, to: &bytes)
        bytes.append(contentsOf: Self.middle)
        bytes.append(contentsOf: payloadType.utf8)
        bytes.append(contentsOf: Self.tail)
        for (index, element) in signatures.enumerated() {
            if index > 0 { bytes.append(0x2C) }
            bytes.append(contentsOf: Self.keyHead)
            element.keyID.appendHex(to: &bytes)
            bytes.append(contentsOf: Self.keyMiddle)
            Base64.append(element.signature, to: &bytes)
            bytes.append(contentsOf: Self.keyTail)
        }
        bytes.append(contentsOf: Self.end)
        return bytes
    }

    private static func isTypeCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23, 0x24, 0x26, 0x5E, 0x5F, 0x2E, 0x2B, 0x2F, 0x2D: true
        default: false
        }
    }

    /// Walks the leaf text once.
    private struct Cursor {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) {
            self.bytes = bytes
        }

        var isAtEnd: Bool { index == bytes.count }

        mutating func take(_ text: [UInt8]) -> Bool {
            guard bytes.count - index >= text.count else { return false }
            for offset in text.indices where bytes[index + offset] != text[offset] { return false }
            index += text.count
            return true
        }

        /// The characters up to the next quote, which is not taken.
        mutating func takeUntilQuote() -> Range<Int>? {
            let start = index
            while index < bytes.count {
                if bytes[index] == 0x22 { return start..<index }
                index += 1
            }
            return nil
        }

        mutating func takeDigest() -> Digest? {
            guard bytes.count - index >= 64, let raw = Bytes32(hexDigits: bytes, at: index) else { return nil }
            index += 64
            return Digest(raw: raw)
        }
    }
}
