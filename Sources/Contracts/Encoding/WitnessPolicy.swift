/// Which witnesses a ledger has and how many must cosign: the canonical subset of C2SP tlog-policy.
public struct WitnessPolicy: Sendable, Hashable {
    /// What makes a quorum.
    public enum Quorum: Sendable, Hashable {
        /// No witness: acceptable for development only.
        case none
        /// At least `k` of the keys, each of which is a different public key.
        case of(Int, [VerifierKey])
    }

    /// A named witness.
    public struct Witness: Sendable, Hashable {
        public let name: String
        public let key: VerifierKey
    }

    /// All named witnesses in the order of the text, 0...16.
    public let witnesses: [Witness]

    /// What makes a quorum.
    public let quorum: Quorum

    /// The text that was parsed.
    public let text: String

    /// Longest text, in bytes.
    public static let longestText = 4096

    /// No witnesses and `quorum none`.
    public static let none = WitnessPolicy(witnesses: [], quorum: .none, text: "quorum none\n")

    private init(witnesses: [Witness], quorum: Quorum, text: String) {
        self.witnesses = witnesses
        self.quorum = quorum
        self.text = text
    }

    /// Parses the text of a ledger's policy; nil when it is not exactly in the canonical form.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.longestText, text.utf8.last == 0x0A, text.utf8.allSatisfy({ $0 < 0x80 }) else {
            return nil
        }
        var witnesses: [Witness] = []
        var group: (name: String, k: Int, members: [Witness])?
        var quorum: Quorum?
        for line in text.utf8.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false) {
            let words = line.split(separator: 0x20, omittingEmptySubsequences: false).map {
                String(decoding: $0, as: UTF8.self)
            }
            guard quorum == nil else { return nil }
            switch words.first {
            case "witness":
                guard group == nil, words.count == 3, witnesses.count < 16, Self.isIdentifier(words[1]),
                    let key = VerifierKey(words[2], type: VerifierKey.cosignatureType),
                    !witnesses.contains(where: { $0.name == words[1] || $0.key.key == key.key })
                else { return nil }
                witnesses.append(Witness(name: words[1], key: key))
            case "group":
                guard group == nil, words.count >= 4, Self.isIdentifier(words[1]),
                    !witnesses.contains(where: { $0.name == words[1] }), let k = Self.count(words[2])
                else { return nil }
                var members: [Witness] = []
                for name in words[3...] {
                    guard let witness = witnesses.first(where: { $0.name == name }),
                        !members.contains(where: { $0.name == name })
                    else { return nil }
                    members.append(witness)
                }
                guard k <= members.count else { return nil }
                group = (words[1], k, members)
            case "quorum":
                guard words.count == 2 else { return nil }
                if words[1] == "none" {
                    quorum = Quorum.none
                } else if let group, group.name == words[1] {
                    quorum = .of(group.k, group.members.map(\.key))
                } else if let witness = witnesses.first(where: { $0.name == words[1] }) {
                    quorum = .of(1, [witness.key])
                } else {
                    return nil
                }
            default:
                return nil
            }
        }
        guard let quorum else { return nil }
        self.init(witnesses: witnesses, quorum: quorum, text: text)
    }

    /// Parses an operator's file: lines `log <vkey>` and then the text of the ledger's policy.
    public static func parsingOperatorForm(_ text: String) -> (logs: [VerifierKey], policy: WitnessPolicy)? {
        var logs: [VerifierKey] = []
        var rest = text.utf8[...]
        while rest.starts(with: "log ".utf8) {
            guard let end = rest.firstIndex(of: 0x0A),
                let key = VerifierKey(
                    String(decoding: rest[..<end].dropFirst(4), as: UTF8.self),
                    type: VerifierKey.noteType
                )
            else { return nil }
            logs.append(key)
            rest = rest[rest.index(after: end)...]
        }
        guard let policy = WitnessPolicy(String(decoding: rest, as: UTF8.self)) else { return nil }
        return (logs, policy)
    }

    /// Whether two forked histories could each find a quorum without any witness cosigning both.
    public var allowsDisjointQuorums: Bool {
        guard case .of(let k, let members) = quorum else { return true }
        return 2 * k <= members.count
    }

    private static func isIdentifier(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...64).contains(bytes.count), let first = bytes.first, Grammar.isAlphanumeric(first), text != "none"
        else {
            return false
        }
        return bytes.allSatisfy { Grammar.isAlphanumeric($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D }
    }

    private static func count(_ text: String) -> Int? {
        guard (1...2).contains(text.utf8.count), text.utf8.allSatisfy(Grammar.isDigit), text.utf8.first != 0x30 else {
            return nil
        }
        return Int(text)
    }
}
