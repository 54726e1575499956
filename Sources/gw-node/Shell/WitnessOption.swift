import Contracts
import Ledger

/// `--witness VKEY@URL`: a witness as operators of ledgers name it.
enum WitnessOption {
    static func read(_ text: String) throws(CommandFailure) -> WitnessRoster.Member {
        guard let at = text.utf8.lastIndex(of: UInt8(ascii: "@")),
            let key = VerifierKey(String(text[..<at]), type: VerifierKey.cosignatureType),
            LedgerSettings.isURL(String(text[text.index(after: at)...]))
        else {
            throw CommandFailure(
                .usage,
                "--witness \(text) is not VERIFIER-KEY@URL; the key is what `gw-node witness key FILE --name NAME` prints, "
                    + "and the URL such as https://w1.example.org"
            )
        }
        return WitnessRoster.Member(key: key, url: String(text[text.index(after: at)...]))
    }

    /// The policy in which `quorum` of the witnesses have to cosign, more than half of them if it is nil.
    static func policy(
        _ members: [WitnessRoster.Member],
        quorum: Int?
    ) throws(CommandFailure) -> WitnessPolicy {
        let k = quorum ?? members.count / 2 + 1
        guard (1...members.count).contains(k) else {
            throw CommandFailure(.usage, "--quorum \(k) of \(members.count) witnesses is not possible")
        }
        var names: [String] = []
        for (number, member) in members.enumerated() {
            let isFit =
                member.key.name.utf8.count <= 64 && member.key.name != "none" && member.key.name != "quorum-group"
                && !names.contains(member.key.name)
                && member.key.name.utf8.enumerated().allSatisfy { place, byte in
                    Self.isAlphanumeric(byte) || (place > 0 && ".-_".utf8.contains(byte))
                }
            names.append(isFit ? member.key.name : "witness-\(number + 1)")
        }
        var text = ""
        for (name, member) in zip(names, members) { text += "witness \(name) \(member.key)\n" }
        text += "group quorum-group \(k) \(names.joined(separator: " "))\nquorum quorum-group\n"
        guard let policy = WitnessPolicy(text) else {
            throw CommandFailure(
                .usage,
                "the witnesses do not make a policy: at most 16, each with a key of its own and given once"
            )
        }
        return policy
    }

    /// The policy in a file, in the form of the ledger.
    static func policy(file path: String) throws(CommandFailure) -> WitnessPolicy {
        let bytes = try Files.read(path, limit: WitnessPolicy.longestText, as: "the witness policy")
        guard let policy = WitnessPolicy(String(decoding: bytes, as: UTF8.self)) else {
            throw CommandFailure(
                .configuration,
                "the witness policy \(path) is not in the form: lines `witness NAME KEY`, then at most one line "
                    + "`group NAME K WITNESS...`, then one line `quorum NAME`, single spaces, no comments"
            )
        }
        return policy
    }

    /// Adds witnesses to the file of a ledger's directory that says where they are; one that is there gets its new URL.
    static func add(_ members: [WitnessRoster.Member], to directory: String) throws {
        let roster = try WitnessRoster(directory: directory)
        let staying = roster.current.filter { old in !members.contains { $0.key == old.key } }
        let text = (staying + members).map { "\($0.line)\n" }.joined()
        try Files.replace(
            "\(directory)/\(WitnessRoster.fileName)",
            Array(text.utf8),
            mode: 0o644,
            as: "the list of witnesses"
        )
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
