import Contracts
import Gateway
import Ledger

/// `gateway.yaml`: how a farmer runs a gateway node.
struct GatewayFile: Equatable {
    struct Address: Hashable {
        var host: String
        var port: UInt16

        var text: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    /// The node as a witness of its ledger.
    struct Witness: Equatable {
        var name: String
        var keyFile: String
        var listen: [Address] = []
    }

    var path: String
    var ledger: LedgerSettings
    var node: Identifier
    var keyFile: String
    var transportKeyFile: String?
    var state: String?
    var http: [Address] = []
    var https: [Address] = []
    var tunnel: [Address] = []
    /// Name and key file of the witness that this node is, and where it is asked.
    var witness: Witness?
    /// Local address on which leased ports are opened.
    var ports = "0.0.0.0"
    /// Path of the admin socket.
    var admin: String?
    /// Event loops; nil is one per core.
    var loops: Int?
    var limits = GatewayLimits()
    var usage = Usage()

    /// How often usage is told.
    struct Usage: Equatable {
        /// Seconds between two reports about a contract to the ledger; each is an entry that stays for ever.
        var reportSeconds: Int64 = 600
        /// Seconds between two requests to agents to sign what they saw.
        var confirmSeconds: Int64 = 60
    }

    init(_ path: String) throws(CommandFailure) {
        try self.init(ConfigurationFile(path, as: "the gateway configuration"))
    }

    init(_ file: ConfigurationFile) throws(CommandFailure) {
        path = file.path
        let top = try file.root.members(["ledger", "node", "state", "bind", "loops", "limits", "usage", "witness"])
        ledger = try LedgerSettings(top.required("ledger", of: file.root))
        let nodePlace = try top.required("node", of: file.root)
        let nodeMembers = try nodePlace.members(["id", "key", "transport_key"])
        node = try nodeMembers.required("id", of: nodePlace).identifier()
        keyFile = try nodeMembers.required("key", of: nodePlace).path()
        transportKeyFile = try nodeMembers["transport_key"]?.path()
        state = try top["state"]?.path()
        if let value = top["witness"] { try readWitness(value) }
        try readBind(top.required("bind", of: file.root))
        if let value = top["loops"], try value.string() != "auto" {
            loops = Int(try value.integer(1...256))
        }
        if let value = top["limits"] { try readLimits(value) }
        if let members = try top["usage"]?.members(["report_every", "confirm_every"]) {
            if let place = members["report_every"] { usage.reportSeconds = try place.seconds(1...86_400) }
            if let place = members["confirm_every"] { usage.confirmSeconds = try place.seconds(1...86_400) }
        }
    }

    private mutating func readBind(_ value: ConfigurationValue) throws(CommandFailure) {
        let members = try value.members(["http", "https", "tunnel", "ports", "admin", "witness"])
        http = try Self.addresses(members["http"])
        https = try Self.addresses(members["https"])
        tunnel = try Self.addresses(members["tunnel"])
        let places = try Self.addresses(members["witness"])
        if witness == nil, let place = members["witness"], !places.isEmpty {
            throw place.failure("needs a part `witness` with `name` and `key`")
        }
        if witness != nil, places.isEmpty {
            throw value.failure("needs `witness`, the address at which the ledger asks this witness")
        }
        witness?.listen = places
        guard !tunnel.isEmpty else {
            throw value.failure("needs `tunnel`, the address that agents dial, such as [\"0.0.0.0:7443\"]")
        }
        if let place = members["ports"] {
            let text = try place.string()
            guard IPAddress(text) != nil || text == "::" || text == "::1" else {
                throw place.failure("must be a local IP address such as 0.0.0.0, without a port")
            }
            ports = text
        }
        if let place = members["admin"] {
            let text = try place.string()
            guard text.hasPrefix("unix:"), text.utf8.count > 5 else {
                throw place.failure("must be a socket path such as unix:/run/gw-node/admin.sock")
            }
            let path = Files.resolve(String(text.dropFirst(5)), besideFile: place.file)
            // sun_path of a Unix socket address holds 107 bytes and the end mark.
            guard path.utf8.count <= 107 else { throw place.failure("is longer than the 107 bytes of a socket path") }
            admin = path
        }
    }

    private mutating func readWitness(_ value: ConfigurationValue) throws(CommandFailure) {
        let members = try value.members(["name", "key"])
        let place = try members.required("name", of: value)
        let name = try place.string()
        guard WitnessIdentity.isName(name) else {
            throw place.failure("must be 1 to 128 visible characters without spaces and `+`, such as gw1.example.org")
        }
        witness = Witness(name: name, keyFile: try members.required("key", of: value).path())
    }

    private static func addresses(_ value: ConfigurationValue?) throws(CommandFailure) -> [Address] {
        var result: [Address] = []
        for element in try value?.list() ?? [] {
            let (host, port) = try element.socketAddress()
            guard IPAddress(host) != nil || host == "::" || host == "::1" else {
                throw element.failure("must begin with an IP address of this machine; names are not looked up")
            }
            let address = Address(host: host, port: port)
            if result.contains(address) { throw element.failure("stands twice in the list; keep one") }
            result.append(address)
        }
        return result
    }

    private mutating func readLimits(_ value: ConfigurationValue) throws(CommandFailure) {
        let members = try value.members([
            "connections", "handshakes_per_second", "all_handshakes_per_second", "unknown_per_second", "header_size",
            "header_time", "slow_time", "idle", "stuck_bytes", "overlay_recheck",
        ])
        if let place = members["connections"] { limits.connections = Int(try place.integer(1...10_000_000)) }
        if let place = members["handshakes_per_second"] {
            limits.handshakesPerSecond = Int(try place.integer(1...1_000_000))
        }
        if let place = members["all_handshakes_per_second"] {
            limits.allHandshakesPerSecond = Int(try place.integer(1...1_000_000))
        }
        if let place = members["unknown_per_second"] {
            limits.unknownPerSecond = Int(try place.integer(1...1_000_000))
        }
        if let place = members["slow_time"] { limits.slowSeconds = UInt32(try place.seconds(1...3600)) }
        if let place = members["header_size"] { limits.headerSize = Int(try place.byteCount(1 << 10...65_535)) }
        if let place = members["header_time"] { limits.headerSeconds = UInt32(try place.seconds(1...300)) }
        if let place = members["idle"] { limits.idleSeconds = UInt32(try place.seconds(1...86_400)) }
        if let place = members["overlay_recheck"] {
            limits.overlayRecheckSeconds = UInt32(try place.seconds(1...86_400))
        }
        if let place = members["stuck_bytes"] { limits.stuckBytes = Int(try place.byteCount(1 << 20...1 << 40)) }
    }
}
