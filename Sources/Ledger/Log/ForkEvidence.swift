public import Contracts

/// Two notes of one ledger that cannot both be true, and the proof that they cannot.
public struct ForkEvidence: Sendable {
    /// The checkpoint of the smaller or equal size.
    public let a: Checkpoint

    /// The checkpoint of the larger or equal size.
    public let b: Checkpoint

    /// Root that the tree of `b` had at the size of `a`.
    public let prefixRoot: Digest

    /// Consistency proof from `prefixRoot` to the root of `b`; at most 64 hashes.
    public let proof: [Digest]

    /// Longest file, in bytes.
    public static let longest = 256 * 1024

    private static let type = "webgw/fork@v1"

    /// Evidence from its parts; `verify(keyChain:)` says whether it proves anything.
    public init(a: Checkpoint, b: Checkpoint, prefixRoot: Digest, proof: [Digest]) {
        self.a = a
        self.b = b
        self.prefixRoot = prefixRoot
        self.proof = proof
    }

    /// Parses a file in exactly its canonical form.
    public init(parsing bytes: [UInt8]) throws(VerificationResult) {
        guard bytes.count <= Self.longest, let value = try? JSONValue(document: bytes), value.canonical == bytes,
            let members = value.asObject?.members, members.map(\.name) == ["a", "b", "prefix_root", "proof", "type"],
            let aText = value["a"]?.asString, let bText = value["b"]?.asString,
            value["type"]?.asString?.utf8.elementsEqual(Self.type.utf8) == true,
            let prefixRoot = Self.digest(value["prefix_root"]), let elements = value["proof"]?.asArray,
            elements.count <= 64, let a = try? Checkpoint(parsing: Array(aText.utf8)),
            let b = try? Checkpoint(parsing: Array(bText.utf8)), a.size <= b.size
        else { throw .evidenceInvalid }
        let proof = elements.compactMap(Self.digest)
        guard proof.count == elements.count else { throw .evidenceInvalid }
        self.init(a: a, b: b, prefixRoot: prefixRoot, proof: proof)
    }

    /// The file in its canonical form.
    public var bytes: [UInt8] {
        let object: JSONObject = [
            "a": .string(String(decoding: a.bytes, as: UTF8.self)),
            "b": .string(String(decoding: b.bytes, as: UTF8.self)),
            "prefix_root": .string(Base64.encode(prefixRoot.bytes)),
            "proof": .array(proof.map { .string(Base64.encode($0.bytes)) }),
            "type": .string(Self.type),
        ]
        return object.canonical
    }

    /// SHA-256 of the file.
    public var digest: Digest { .sha256(bytes) }

    /// `ok` when the ledger signed two histories, else `evidence.invalid`. Only keys of the chain are known: the lines of
    /// witnesses and strangers are ignored.
    public func verify(keyChain: KeyChain, check: SignatureCheck = .ed25519) -> VerificationResult {
        guard a.origin.utf8.elementsEqual(b.origin.utf8), isSigned(a, by: keyChain, check),
            isSigned(b, by: keyChain, check)
        else {
            return .evidenceInvalid
        }
        if a.size == b.size {
            return proof.isEmpty && prefixRoot == b.root && a.root != b.root ? .ok : .evidenceInvalid
        }
        let isPrefix = Proofs.verifyConsistency(
            from: a.size,
            root: prefixRoot,
            to: b.size,
            root: b.root,
            proof: proof
        )
        return isPrefix && prefixRoot != a.root ? .ok : .evidenceInvalid
    }

    private func isSigned(_ checkpoint: Checkpoint, by keyChain: KeyChain, _ check: SignatureCheck) -> Bool {
        guard let lines = try? checkpoint.note.verified(by: keyChain.keys, check: check) else { return false }
        return !lines.isEmpty
    }

    private static func digest(_ value: JSONValue?) -> Digest? {
        guard let text = value?.asString, let bytes = Base64.decode(text) else { return nil }
        return Digest(bytes)
    }
}
