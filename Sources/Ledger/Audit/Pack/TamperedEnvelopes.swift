import Contracts

/// Envelopes that a forger could make of a logged entry without any key, and with a key that nobody knows.
///
/// What each must get is decided by the fold, not here.
enum TamperedEnvelopes {
    /// The forgeries of the entry at an index, to be folded in its place.
    static func of(_ leaf: [UInt8], at index: UInt64) -> [PackCase] {
        guard let envelope = try? Envelope(leaf: leaf), let payload = try? JSONValue(canonical: envelope.payload),
            let object = payload.asObject
        else { return [] }
        var cases: [PackCase] = []
        func add(_ name: String, _ bytes: [UInt8]) {
            cases.append(PackCase(file: "\(index)-\(name)", after: index, bytes: bytes))
        }
        func add(_ name: String, _ change: (inout Envelope) -> Void) {
            var changed = envelope
            change(&changed)
            add(name, changed.leaf)
        }
        func add(_ name: String, member: String, _ value: JSONValue?) {
            var object = object
            object[member] = value
            add(name) { $0.payload = JSONValue.object(object).canonical }
        }

        // Bytes of the envelope.
        add("space-after", leaf + [0x20])
        add("cut", Array(leaf.dropLast()))
        add("flipped-base64", leaf.indices.contains(20) ? flipped(leaf, 20) : leaf)
        if index == 0 { add("too-long", Array(repeating: 0x7B, count: ParsedEntry.sizeLimit + 1)) }
        add("other-type") { $0.payloadType = "application/vnd.webgw.entry.v2+json" }

        // Signatures.
        add("no-signatures") { $0.signatures = [] }
        add("flipped-signature") { envelope in
            guard !envelope.signatures.isEmpty else { return }
            envelope.signatures[0].signature = flipped(envelope.signatures[0].signature, 40)
        }
        add("scalar-plus-order") { envelope in
            guard !envelope.signatures.isEmpty else { return }
            envelope.signatures[0].signature = malleated(envelope.signatures[0].signature)
        }
        add("stranger-too") { envelope in
            envelope.signatures.append((stranger.keyID, stranger.signature(for: envelope.signedBytes)))
            envelope.signatures.sort { $0.keyID < $1.keyID }
        }
        add("stranger-instead") { envelope in
            envelope.signatures = [(stranger.keyID, stranger.signature(for: envelope.signedBytes))]
        }

        // Members of the payload, under the old signatures.
        add("payload-spaced") { $0.payload.insert(0x20, at: 1) }
        add("payload-twice") { $0.payload += $0.payload }
        add("later-expiry", member: "expires", .integer((object["expires"]?.asInteger ?? 0) + 1))
        add("next-sequence", member: "seq", .integer((object["seq"]?.asInteger ?? 0) + 1))
        add("other-ledger", member: "ledger", .string(Digest.sha256([1]).hex))
        add("other-account", member: "account", .string(Digest.sha256([2]).hex))
        add("other-signer", member: "signer", .string(stranger.keyID.hex))
        add("version-2", member: "v", 2)
        add("unknown-type", member: "type", "twin.recover")
        add("unknown-member", member: "zzz", true)
        add("missing-body", member: "body", nil)
        return cases
    }

    /// A key that belongs to nobody; its seed stands here.
    private static let stranger: SigningKey = {
        guard let key = try? SigningKey(seed: Array(repeating: 0x5A, count: 32)) else {
            preconditionFailure("32 bytes are a seed")
        }
        return key
    }()

    private static func flipped(_ bytes: [UInt8], _ index: Int) -> [UInt8] {
        var bytes = bytes
        bytes[index] ^= 1
        return bytes
    }

    /// The same signature with S + L in place of S: a lax verifier takes both.
    private static func malleated(_ signature: [UInt8]) -> [UInt8] {
        let order: [UInt8] = [
            0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0,
            0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ]
        var bytes = signature
        var carry = 0
        for (offset, part) in order.enumerated() {
            let sum = Int(bytes[32 + offset]) + Int(part) + carry
            bytes[32 + offset] = UInt8(sum & 0xFF)
            carry = sum >> 8
        }
        return bytes
    }
}
