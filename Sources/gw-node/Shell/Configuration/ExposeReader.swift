import Contracts

/// The `expose:` part of a contract file.
struct ExposeReader {
    let connection: ConnectionMode
    let backendIDs: [String]

    func read(_ list: ConfigurationValue) throws(CommandFailure) -> [Expose] {
        var result: [Expose] = []
        for element in try list.list() {
            let expose = try expose(element)
            for other in result { try check(expose, against: other, element) }
            result.append(expose)
        }
        guard (1...64).contains(result.count) else { throw list.failure("must have 1 to 64 exposures") }
        return result.sorted { precedes($0.id, $1.id) }
    }

    private func expose(_ element: ConfigurationValue) throws(CommandFailure) -> Expose {
        let members = try element.members([
            "id", "kind", "tls", "hosts", "path", "ports", "backends", "balance", "proxy", "redirect", "allow", "deny",
        ])
        let id = try members.required("id", of: element).label()
        let kindPlace = try members.required("kind", of: element)
        let kind = try kindPlace.word(ExposeKind.allCases)
        if connection == .reverseRaw, kind != .tls { throw kindPlace.failure("must be tls with `conn: reverse-raw`") }
        if connection == .overlay, kind.usesPorts {
            throw kindPlace.failure("must be http or tls with `conn: overlay`")
        }
        var expose = Expose(id: id, kind: kind, backends: try backends(members["backends"]))
        if kind.usesPorts {
            try forbid(["hosts"], in: members, "is only for the kinds http and tls")
            expose.ports = try members.required("ports", of: element).portRanges()
        } else {
            try forbid(["ports"], in: members, "is only for the kinds tcp and udp")
            expose.hosts = try hosts(members.required("hosts", of: element))
        }
        if kind == .http {
            try readHTTP(members, of: element, into: &expose)
        } else {
            try forbid(["tls", "redirect", "path"], in: members, "is only for the kind http")
        }
        expose.balance = try members["balance"]?.word([.roundRobin, .leastConnections, .clientIP])
        if let place = members["proxy"] {
            expose.proxy = try place.integer(0...2)
            if kind == .udp, expose.proxy == 1 { throw place.failure("must be 0 or 2 for the kind udp") }
        }
        expose.allow = try networks(members["allow"])
        expose.deny = try networks(members["deny"])
        return expose
    }

    private func readHTTP(
        _ members: [String: ConfigurationValue],
        of element: ConfigurationValue,
        into expose: inout Expose
    ) throws(CommandFailure) {
        expose.tls = try members.required("tls", of: element).word([.terminate, .none])
        if let place = members["redirect"] {
            guard expose.tls == .terminate else { throw place.failure("is only for `tls: terminate`") }
            expose.redirect = try place.boolean()
        }
        if let place = members["path"] {
            let text = try place.string()
            guard Grammar.isPathPrefix(text) else {
                throw place.failure("must be a path such as /api without `.` and `..` segments")
            }
            expose.path = text
        }
    }

    private func hosts(_ list: ConfigurationValue) throws(CommandFailure) -> [String] {
        try list.distinct(1...32) { (value) throws(CommandFailure) in
            let host = try value.string()
            guard Grammar.isWildcardHost(host) else {
                throw value.failure("must be a lower-case host name with at least two labels, such as shop.example.org")
            }
            return host
        }
    }

    private func backends(_ list: ConfigurationValue?) throws(CommandFailure) -> [String] {
        guard let list else { return backendIDs }
        return try list.distinct(1...32) { (value) throws(CommandFailure) in
            let id = try value.string()
            guard backendIDs.contains(id) else {
                throw value.failure(
                    "names no backend of this contract; known are \(backendIDs.joined(separator: ", "))"
                )
            }
            return id
        }
    }

    private func networks(_ list: ConfigurationValue?) throws(CommandFailure) -> [CIDR]? {
        try list?.distinct(1...64) { (value) throws(CommandFailure) in
            let text = try value.string()
            guard CIDR(text) != nil else {
                throw value.failure("must be a network such as 192.0.2.0/24, with no bit set after the prefix")
            }
            return text
        }
        .compactMap { CIDR($0) }
    }

    private func forbid(
        _ keys: [String],
        in members: [String: ConfigurationValue],
        _ rule: String
    ) throws(CommandFailure) {
        for key in keys {
            if let value = members[key] { throw value.failure(rule) }
        }
    }

    /// The rules between two exposures of one contract: ids, hosts and ports that only one of them may have.
    private func check(
        _ expose: Expose,
        against other: Expose,
        _ place: ConfigurationValue
    ) throws(CommandFailure) {
        if expose.id == other.id {
            throw place.failure("uses the exposure id \(expose.id) a second time; ids must differ")
        }
        let shared = (expose.hosts ?? []).filter { (other.hosts ?? []).contains($0) }
        if let host = shared.first {
            let kinds = [expose, other]
            if kinds.allSatisfy({ $0.kind == .http }), expose.path == other.path, expose.tls == other.tls {
                throw place.failure(
                    "serves \(host) with the path and `tls` of exposure \(other.id); one of them must go"
                )
            }
            if kinds.contains(where: { $0.kind == .tls }), !kinds.contains(where: { $0.tls == HTTPTLS.none }) {
                throw place.failure("takes the TLS of \(host), which exposure \(other.id) takes too")
            }
            if kinds.contains(where: { $0.redirect == true }), kinds.contains(where: { $0.tls == HTTPTLS.none }) {
                throw place.failure("serves or redirects \(host) on http, which exposure \(other.id) does too")
            }
        }
        guard expose.kind == other.kind else { return }
        for range in expose.ports ?? [] where other.ports?.contains(where: { $0.overlaps(range) }) == true {
            throw place.failure("leases port \(range.from), which exposure \(other.id) leases too")
        }
    }
}
