import Contracts

/// The `ledger:` part that every configuration file shares.
struct LedgerSettings: Equatable {
    var urls: [String]
    var id: String
    /// Copies of the log, other nodes, witnesses and auditors of the ledger.
    var others = LedgerOthers()
    /// File with a checkpoint that the first start has to go through.
    var checkpoint: String?
    /// Accept a ledger whose quorum is `none`, as only a trial ledger has it.
    var isDevelopment: Bool
    /// Begin with an attested snapshot instead of the first entry.
    var startsFromSnapshot: Bool
    /// After such a start, verify the whole history in the background.
    var isParanoid: Bool

    init(_ value: ConfigurationValue) throws(CommandFailure) {
        let members = try value.members(
            ["urls", "id", "dev", "mirrors", "peers", "witnesses", "auditors", "checkpoint", "snapshot", "paranoid"]
        )
        let list = try members.required("urls", of: value)
        let urls = try Self.urls(list)
        if urls.isEmpty { throw list.failure("names no ledger; add its URL") }
        let pin = try members.required("id", of: value)
        let text = try pin.string()
        guard Identifier(hex: text) != nil else { throw pin.failure(Self.pinRule) }
        self.urls = urls
        id = text
        isDevelopment = try members["dev"]?.boolean() ?? false
        others.mirrors = try Self.urls(members["mirrors"])
        others.peers = try Self.urls(members["peers"])
        others.witnesses = try Self.urls(members["witnesses"])
        others.auditors = try Self.urls(members["auditors"])
        checkpoint = try members["checkpoint"]?.path()
        startsFromSnapshot = try members["snapshot"]?.boolean() ?? false
        isParanoid = try members["paranoid"]?.boolean() ?? false
    }

    private static func urls(_ value: ConfigurationValue?) throws(CommandFailure) -> [String] {
        var urls: [String] = []
        for element in try value?.list() ?? [] {
            let url = try element.string()
            guard Self.isURL(url) else { throw element.failure(Self.urlRule) }
            urls.append(url)
        }
        return urls
    }

    static let urlRule = "must be a URL such as https://ledger.example.org"
    static let pinRule = "must be the 64 hex digits that the ledger's operator published"

    /// Whether a text is `http://` or `https://` with a host and without user, query or fragment.
    static func isURL(_ text: String) -> Bool {
        var rest = Substring(text)
        if rest.hasPrefix("https://") {
            rest = rest.dropFirst(8)
        } else if rest.hasPrefix("http://") {
            rest = rest.dropFirst(7)
        } else {
            return false
        }
        guard let first = rest.utf8.first, first != UInt8(ascii: "/"), first != UInt8(ascii: ":") else { return false }
        return rest.utf8.allSatisfy { byte in
            byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "?") && byte != UInt8(ascii: "#")
                && byte != UInt8(ascii: "@") && byte != UInt8(ascii: "\\")
        }
    }
}

/// Who else is asked about a ledger, and told when it forks; base URLs.
struct LedgerOthers: Equatable {
    /// Serve a copy of the log.
    var mirrors: [String] = []
    /// Other nodes that follow the ledger.
    var peers: [String] = []
    var witnesses: [String] = []
    /// Told of a fork only.
    var auditors: [String] = []
}
