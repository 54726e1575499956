import ArgumentParser
import Contracts
import Gateway

/// What a user says about the certificate of a workload that is reached over TLS.
struct TrustSettings {
    /// PEM file with the certificates that are trusted in place of the system's.
    var authorityFile: String?
    var pins: [String] = []
    var name: String?

    /// Largest CA file that is read, in bytes; the whole set of public roots has a quarter of it.
    private static let sizeLimit = 1 << 20

    static let pinRule =
        "must be sha256: and 64 hex digits, as `openssl x509 -in FILE -noout -fingerprint -sha256` prints them"
    static let nameRule = "must be a host name or a numeric address"
    static let targetRule = "is about a target over TLS; let the exposure lead to tls://HOST:PORT"
    static let choiceRule = "and a pin say two things; give one of them"

    var isEmpty: Bool { authorityFile == nil && pins.isEmpty && name == nil }

    /// The trust that was described.
    ///
    /// - Parameter complain: makes the failure of a rule that pins or name break, or CA file and pins together.
    func trust(
        _ complain: (Subject, String) -> CommandFailure
    ) throws(CommandFailure) -> WorkloadTrust {
        if let name, !Self.isHost(name) { throw complain(.name, Self.nameRule) }
        if let file = authorityFile {
            guard pins.isEmpty else { throw complain(.authorities, Self.choiceRule) }
            return WorkloadTrust(.authorities(pem: try Self.authorities(file)), name: name)
        }
        guard !pins.isEmpty else { return WorkloadTrust(.system, name: name) }
        var digests: Set<[UInt8]> = []
        for text in pins {
            guard let digest = Self.digest(text) else { throw complain(.pin, Self.pinRule) }
            digests.insert(digest)
        }
        return WorkloadTrust(.pins(digests), name: name)
    }

    enum Subject {
        case authorities, pin, name
    }

    /// The 32 bytes of `sha256:` and hex digits, which may be of either case and parted by colons.
    static func digest(_ text: String) -> [UInt8]? {
        let mark = "sha256:"
        guard text.lowercased().hasPrefix(mark) else { return nil }
        let digits = text.lowercased().dropFirst(mark.count).filter { $0 != ":" }
        guard let bytes = Hex.decode(digits), bytes.count == 32 else { return nil }
        return bytes
    }

    /// The trust that flags described; `named` makes the name of the option in a complaint.
    func trustOfFlags(_ flag: (Subject) -> String) throws -> WorkloadTrust {
        do throws(CommandFailure) {
            return try trust { CommandFailure(.usage, "\(flag($0)) \($1)") }
        } catch {
            throw ValidationError(error.message)
        }
    }

    private static func isHost(_ text: String) -> Bool {
        ForwardTarget("\(text):1") != nil || ForwardTarget("[\(text)]:1") != nil
    }

    private static func authorities(_ file: String) throws(CommandFailure) -> [UInt8] {
        let pem = try Files.read(file, limit: sizeLimit, as: "the CA file")
        guard WorkloadTrust.certificates(in: pem) > 0 else {
            throw CommandFailure(
                .configuration,
                "the CA file \(file) holds no certificate in PEM form; name one that begins with -----BEGIN CERTIFICATE-----"
            )
        }
        return pem
    }
}
