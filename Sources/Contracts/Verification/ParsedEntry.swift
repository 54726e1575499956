/// The result of steps 1 to 3 of section 3.2 for the bytes of a leaf.
///
/// It needs no state, so entries can be parsed in parallel ahead of the fold.
public enum ParsedEntry: Sendable {
    /// The payload has the shape of its type.
    case entry(Entry)
    /// The code is decided; the id is nil when step 1 decided it.
    case rejected(Code, id: Identifier?)

    /// The largest leaf, in bytes.
    public static let sizeLimit = 16_384

    /// Judges any bytes.
    public init(leaf: [UInt8]) {
        guard leaf.count <= Self.sizeLimit else {
            self = .rejected(.entrySize, id: nil)
            return
        }
        guard let envelope = try? Envelope(leaf: leaf) else {
            self = .rejected(.envelopeNoncanonical, id: nil)
            return
        }
        self.init(envelope: envelope)
    }

    /// Judges an envelope whose leaf is not longer than the limit.
    public init(envelope: Envelope) {
        guard envelope.payloadType == Envelope.entryType else {
            self = .rejected(.envelopeType, id: nil)
            return
        }
        let id = envelope.id
        guard let payload = try? JSONValue(canonical: envelope.payload) else {
            self = .rejected(.payloadNoncanonical, id: id)
            return
        }
        guard case .object(let object) = payload, case .integer(let version)? = object["v"],
            case .string(let name)? = object["type"]
        else {
            self = .rejected(.payloadSchema, id: id)
            return
        }
        guard version == 1, let type = try? JSONValue.string(name).word(of: EntryType.self) else {
            self = .rejected(.txUnsupported, id: id)
            return
        }
        do throws(SchemaViolation) {
            self = .entry(try Entry(reading: object, type: type, envelope: envelope, id: id))
        } catch {
            self = .rejected(.payloadSchema, id: id)
        }
    }

    /// The txid, when there is one.
    public var id: Identifier? {
        switch self {
        case .entry(let entry): entry.id
        case .rejected(_, let id): id
        }
    }
}
