extension Route {
    /// The canonical JSON: every member that the route's kind has, ascending by name.
    ///
    /// Route tables have tens of thousands of routes, so the text is written without a tree of values in between.
    var text: [UInt8] {
        var writer = MemberWriter()
        writer.member("allow", .strings(allow.map(\.description)))
        switch target {
        case .http(_, _, _, _, let auth, _), .tls(_, let auth, _): writer.member("auth", auth.rawValue)
        case .ports: break
        }
        writer.member("backends", .values(backends))
        writer.member("balance", balance.rawValue)
        writer.member("conn", conn.rawValue)
        writer.member("contract", contract)
        writer.member("deny", .strings(deny.map(\.description)))
        writer.member("drain", drain)
        writer.member("expose", expose)
        switch target {
        case .http(let host, _, _, _, _, _), .tls(let host, _, _): writer.member("host", host)
        case .ports(let from, _): writer.member("from", Int64(from))
        }
        writer.member("kind", kind.rawValue)
        writer.member("limits", limits.json)
        writer.member("max_stale", maxStale)
        writer.member("mode", mode.rawValue)
        if case .http(_, let path, _, _, _, _) = target { writer.member("path", path) }
        writer.member("proxy", Int64(proxy))
        switch target {
        case .http(_, _, let tls, let redirect, _, let rank):
            writer.member("rank", Int64(rank))
            writer.member("redirect", .boolean(redirect))
            writer.member("tls", tls.rawValue)
        case .tls(_, _, let rank):
            writer.member("rank", Int64(rank))
        case .ports(_, let to):
            writer.member("to", Int64(to))
        }
        writer.member("version", version)
        return writer.finish()
    }
}

/// Writes the members of one object in the order in which they are given, which must be that of their names.
private struct MemberWriter {
    private var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(640)
    }

    private mutating func name(_ name: String) {
        bytes.append(bytes.isEmpty ? 0x7B : 0x2C)
        bytes.append(0x22)
        bytes.append(contentsOf: name.utf8)
        bytes.append(0x22)
        bytes.append(0x3A)
    }

    mutating func member(_ name: String, _ value: JSONValue) {
        self.name(name)
        value.append(to: &bytes)
    }

    mutating func member(_ name: String, _ value: Int64) { member(name, .integer(value)) }

    mutating func member(_ name: String, _ value: String) { member(name, .string(value)) }

    mutating func member(_ name: String, _ value: Identifier) {
        self.name(name)
        bytes.append(0x22)
        value.appendHex(to: &bytes)
        bytes.append(0x22)
    }

    mutating func finish() -> [UInt8] {
        bytes.append(0x7D)
        return bytes
    }
}
