/// What a user would otherwise type at every command: which ledger, its pinned id, and the key file.
///
/// Kept as YAML in `$XDG_CONFIG_HOME/gw-node/<name>.yaml`; it holds no secret, only the path of the key.
struct Profile: Equatable {
    static let standardName = "default"

    var ledgers: [String]
    var ledgerID: String
    var isDevelopment: Bool
    var key: String?
    var twin: String?

    /// The file of a profile.
    static func path(_ name: String) throws(CommandFailure) -> String {
        guard !name.isEmpty, name.utf8.allSatisfy({ Self.isNameByte($0) }), !name.hasPrefix(".") else {
            throw CommandFailure(.usage, "the profile name \"\(name)\" may have only letters, digits, '.', '-' and '_'")
        }
        return "\(try folder())/\(name).yaml"
    }

    private static func folder() throws(CommandFailure) -> String {
        if let base = Posix.environment("XDG_CONFIG_HOME") { return "\(base)/gw-node" }
        guard let home = Posix.environment("HOME") else {
            throw CommandFailure(.configuration, "neither XDG_CONFIG_HOME nor HOME is set, so no profile can be found")
        }
        return "\(home)/.config/gw-node"
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// Reads a profile; nil when the standard one was never written.
    static func load(_ name: String?) throws(CommandFailure) -> Profile? {
        let path = try path(name ?? standardName)
        if name == nil, (try? Posix.status(path)) == nil { return nil }
        let file = try ConfigurationFile(path, as: "the profile")
        let top = try file.root.members(["ledger", "key", "twin"])
        let ledger = try top.required("ledger", of: file.root)
        let settings = try LedgerSettings(ledger)
        return Profile(
            ledgers: settings.urls,
            ledgerID: settings.id,
            isDevelopment: settings.isDevelopment,
            key: try top["key"]?.path(),
            twin: try top["twin"]?.string()
        )
    }

    /// Writes the profile in one step, replacing an older one of the same name.
    func save(_ name: String?) throws(CommandFailure) -> String {
        let path = try Self.path(name ?? Self.standardName)
        let folder = Files.folder(of: path)
        do {
            try Posix.createFolder(folder, mode: 0o700)
        } catch {
            throw CommandFailure(.configuration, "the folder \(folder) cannot be made: \(error.reason)")
        }
        var text = "ledger:\n  urls: \(JSONText.strings(ledgers).text)\n"
        text += "  id: \"\(ledgerID)\"\n  dev: \(isDevelopment)\n"
        if let key { text += "key: \(JSONText.string(key).text)\n" }
        if let twin { text += "twin: \"\(twin)\"\n" }
        try Files.replace(path, Array(text.utf8), mode: 0o600, as: "the profile")
        return path
    }
}
