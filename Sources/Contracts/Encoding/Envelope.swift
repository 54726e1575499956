import Crypto

/// Why bytes are no log envelope.
public enum EnvelopeError: Error, Hashable, Sendable {
    /// More than 16384 bytes.
    case tooLong(Int)
    /// Not exactly the text of a log envelope.
    case noncanonical
}

/// A signed entry as the log holds it: a payload, its type and the signatures over both (DSSE).
public struct Envelope: Sendable {
    /// The bytes that were signed, without the type.
    public var payload: [UInt8]

    /// Media type of the payload, 1...128 characters `[A-Za-z0-9!#$&^_.+/-]`.
    public var payloadType: String

    /// At most 32, ascending by key id.
    public var signatures: [(keyID: KeyID, signature: [UInt8])]

    /// The one type that a ledger takes.
    public static let entryType = "application/vnd.webgw.entry.v1+json"

    /// Longest envelope in the log, in bytes.
    public static let longestLeaf = 16384

    /// Most signatures of an envelope.
    public static let mostSignatures = 32

    /// An envelope from its parts; the caller answers for the order of the signatures.
    public init(
        payload: [UInt8],
        payloadType: String = Envelope.entryType,
        signatures: [(keyID: KeyID, signature: [UInt8])]
    ) {
        self.payload = payload
        self.payloadType = payloadType
        self.signatures = signatures
    }

    /// Signs the payload as an entry with each key, in ascending order of their ids.
    public init(payload: [UInt8], signedBy keys: [SigningKey]) {
        let message = Self.pae(Self.entryType, payload)
        var signatures: [(keyID: KeyID, signature: [UInt8])] = []
        for key in keys.sorted(by: { $0.keyID < $1.keyID }) where signatures.last?.keyID != key.keyID {
            signatures.append((key.keyID, key.signature(for: message)))
        }
        self.init(payload: payload, signatures: signatures)
    }

    /// The pre-authentication encoding of DSSE v1: what a signature signs.
    public static func pae(_ type: String, _ body: [UInt8]) -> [UInt8] {
        var bytes = paeHead(type, body.count, reserving: body.count)
        bytes.append(contentsOf: body)
        return bytes
    }

    /// What stands before the body.
    private static func paeHead(_ type: String, _ count: Int, reserving room: Int = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(type.utf8.count + 32 + room)
        bytes.append(contentsOf: "DSSEv1 ".utf8)
        bytes.append(contentsOf: String(type.utf8.count).utf8)
        bytes.append(0x20)
        bytes.append(contentsOf: type.utf8)
        bytes.append(0x20)
        bytes.append(contentsOf: String(count).utf8)
        bytes.append(0x20)
        return bytes
    }

    /// What each signature signs.
    public var signedBytes: [UInt8] { Self.pae(payloadType, payload) }

    /// The txid: SHA-256 of the signed bytes. It does not depend on the signatures.
    public var id: Identifier {
        var hash = SHA256()
        hash.update(data: Self.paeHead(payloadType, payload.count))
        hash.update(data: payload)
        return Digest(finished: hash.finalize())
    }
}

extension Envelope: Equatable {
    public static func == (left: Envelope, right: Envelope) -> Bool {
        left.payload == right.payload && left.payloadType.utf8.elementsEqual(right.payloadType.utf8)
            && left.signatures.count == right.signatures.count
            && zip(left.signatures, right.signatures).allSatisfy {
                $0.keyID == $1.keyID && $0.signature == $1.signature
            }
    }
}
