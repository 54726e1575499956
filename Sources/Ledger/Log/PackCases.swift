import Contracts

/// An envelope that the pack wants folded on the state after some entries: an element of `tampered.json`.
public struct TamperedCase: Sendable {
    public let name: String
    public let after: UInt64
    public let envelope: [UInt8]
    public let expected: String

    /// Reads all cases.
    public static func all(_ pack: FixturePack) throws(AuditFailure) -> [TamperedCase] {
        guard let elements = try pack.requiredJSON("tampered.json").asArray else {
            throw AuditFailure(code: "pack", "tampered.json is no array")
        }
        var cases: [TamperedCase] = []
        for element in elements {
            guard let name = element["name"]?.asString, let after = element.size("after"),
                let text = element["envelope"]?.asString, let envelope = Base64.decode(text),
                let expected = element["expect"]?.asString
            else {
                throw AuditFailure(code: "pack", "tampered.json has a malformed element after \(cases.count) others")
            }
            cases.append(TamperedCase(name: name, after: after, envelope: envelope, expected: expected))
        }
        return cases
    }
}

/// A file that the pack wants judged: an element of `attack/index.json`.
public struct AttackCase: Sendable {
    /// What the file is.
    public enum Kind: String, Sendable {
        case checkpoint
        case entries
        case evidence
    }

    /// Path of the file, relative to `attack/`.
    public let file: String
    public let kind: Kind
    public let trusted: UInt64
    public let expected: String
    public let bytes: [UInt8]

    /// Reads all cases and their files.
    public static func all(_ pack: FixturePack) throws(AuditFailure) -> [AttackCase] {
        guard let elements = try pack.requiredJSON("attack/index.json").asArray else {
            throw AuditFailure(code: "pack", "attack/index.json is no array")
        }
        var cases: [AttackCase] = []
        for element in elements {
            guard let file = element["file"]?.asString,
                let kind = element["kind"]?.asString.flatMap(Kind.init(rawValue:)),
                let trusted = element.size("trusted"), let expected = element["expect"]?.asString
            else {
                throw AuditFailure(
                    code: "pack",
                    "attack/index.json has a malformed element after \(cases.count) others"
                )
            }
            let bytes = try pack.requiredFile("attack/\(file)")
            cases.append(AttackCase(file: file, kind: kind, trusted: trusted, expected: expected, bytes: bytes))
        }
        return cases
    }
}

/// What became of a tampered envelope or an attack file.
public struct CaseVerdict: Sendable, Hashable {
    /// Name of the envelope or of the file.
    public let name: String
    public let expected: String
    public let got: String

    /// Whether it is as the pack lists it.
    public var agrees: Bool { expected.utf8.elementsEqual(got.utf8) }
}
