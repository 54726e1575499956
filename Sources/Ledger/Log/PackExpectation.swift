public import Contracts

/// What a pack says the replay of its log yields: its file `expect.json`.
public struct PackExpectation: Sendable {
    /// Digests after the first `size` entries.
    public struct Prefix: Sendable, Hashable {
        public let size: UInt64
        public let root: Digest
        public let outcomeRoot: Digest
        public let stateRoot: Digest
        public let time: Timestamp
    }

    /// Digest of a node's route table after the first `height` entries.
    public struct RouteDigest: Sendable, Hashable {
        public let node: Identifier
        public let height: UInt64
        public let digest: Digest
    }

    public let ledger: Identifier
    public let codes: [String: UInt64]

    /// After all entries, or those before the stop.
    public let final: Prefix

    public let prefixes: [Prefix]
    public let routes: [RouteDigest]

    /// Whether a fold upgrade is reached.
    public let isUnsupported: Bool

    /// Reads the file; a member that is missing or of another type is a failure of the pack.
    public init(_ pack: FixturePack) throws(AuditFailure) {
        let value = try pack.requiredJSON("expect.json")
        let malformed = AuditFailure(code: "pack", "expect.json lacks a member or has one of another type")
        guard let ledger = value.digest("ledger"), let members = value["codes"]?.asObject?.members,
            let final = Prefix(value), let prefixValues = value["prefixes"]?.asArray,
            let routeValues = value["routes"]?.asArray
        else { throw malformed }
        var codes: [String: UInt64] = [:]
        for (name, count) in members {
            guard let count = count.asInteger, count >= 0 else { throw malformed }
            codes[name] = UInt64(count)
        }
        var prefixes: [Prefix] = []
        for element in prefixValues {
            guard let prefix = Prefix(element) else { throw malformed }
            prefixes.append(prefix)
        }
        var routes: [RouteDigest] = []
        for element in routeValues {
            guard let node = element.digest("node"), let height = element.size("height"),
                let digest = element.digest("digest")
            else { throw malformed }
            routes.append(RouteDigest(node: node, height: height, digest: digest))
        }
        switch value["unsupported"] {
        case nil: isUnsupported = false
        case .boolean(let flag): isUnsupported = flag
        default: throw malformed
        }
        self.ledger = ledger
        self.codes = codes
        self.final = final
        self.prefixes = prefixes
        self.routes = routes
    }
}

extension PackExpectation.Prefix {
    fileprivate init?(_ value: JSONValue) {
        guard let size = value.size("size"), let root = value.digest("root"),
            let outcomeRoot = value.digest("outcome_root"), let stateRoot = value.digest("state_root"),
            let time = value["time"]?.asInteger
        else { return nil }
        self.init(size: size, root: root, outcomeRoot: outcomeRoot, stateRoot: stateRoot, time: time)
    }
}

extension JSONValue {
    /// A member that is a hexadecimal digest.
    func digest(_ name: String) -> Digest? {
        guard let text = self[name]?.asString else { return nil }
        return Digest(hex: text)
    }

    /// A member that is a count of entries.
    func size(_ name: String) -> UInt64? {
        guard let number = self[name]?.asInteger, number >= 0 else { return nil }
        return UInt64(number)
    }
}
