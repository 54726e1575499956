import Contracts

/// A private key in a file: one line of 64 hex digits, the Ed25519 seed, readable by its owner only.
///
/// Beside it stands `<file>.pub` with the public key, 64 hex digits, for everybody.
enum KeyFile {
    private static let sizeLimit = 4096

    /// Makes a new key and both files; an existing file is never overwritten.
    static func create(_ path: String) throws(CommandFailure) -> SigningKey {
        var generator = SystemRandomNumberGenerator()
        let seed = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let key: SigningKey
        do {
            key = try SigningKey(seed: seed)
        } catch {
            throw CommandFailure(.internalError, "the new key \(path) is not usable; run the command again")
        }
        let publicPath = "\(path).pub"
        try Files.create(path, Array("\(Hex.encode(seed))\n".utf8), mode: 0o600, as: "the key file")
        do {
            try Files.create(
                publicPath,
                Array("\(key.publicKey.hex)\n".utf8),
                mode: 0o644,
                as: "the public key file"
            )
        } catch {
            Posix.remove(path)
            throw error
        }
        return key
    }

    /// Reads a private key; a file that others may read is refused, as ssh does.
    static func read(_ path: String) throws(CommandFailure) -> SigningKey {
        let bytes = try Files.read(path, limit: sizeLimit, as: "the key file")
        let status = try? Posix.status(path)
        if let mode = status?.mode, mode & 0o077 != 0 {
            throw CommandFailure(
                .configuration,
                code: "key.permissions",
                "the key file \(path) may be read or written by others (mode 0\(String(mode, radix: 8))); "
                    + "run `chmod 600 \(path)`, and make a new key if somebody may have read it"
            )
        }
        guard let seed = hexLine(bytes), let key = try? SigningKey(seed: seed) else {
            throw CommandFailure(
                .configuration,
                code: "key.malformed",
                "the key file \(path) is not one line of 64 hex digits; "
                    + "make one with `gw-node keys new FILE` or check the path"
            )
        }
        return key
    }

    /// A public key given as 64 hex digits, or as the path of a `.pub` file.
    static func publicKey(_ text: String) throws(CommandFailure) -> PublicKey {
        if let key = PublicKey(hex: text) { return key }
        if text.utf8.count == 64, Hex.decode(text) != nil {
            throw CommandFailure(
                .configuration,
                code: "key.weak",
                "\(text) is not an Ed25519 public key that may be used; take the one that `gw-node keys show` prints"
            )
        }
        let bytes = try Files.read(text, limit: sizeLimit, as: "the public key file")
        guard let raw = hexLine(bytes), let key = PublicKey(raw) else {
            throw CommandFailure(
                .configuration,
                code: "key.malformed",
                "the public key file \(text) is not one line of 64 hex digits; "
                    + "take the .pub file that `gw-node keys new` wrote"
            )
        }
        return key
    }

    private static func hexLine(_ bytes: [UInt8]) -> [UInt8]? {
        var line = bytes[...]
        if line.last == 0x0A { line.removeLast() }
        guard line.count == 64, let text = String(validating: line, as: UTF8.self) else { return nil }
        return Hex.decode(text)
    }
}
