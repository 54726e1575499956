import Contracts
import Gateway

/// `agent.yaml`: which contracts an agent serves, and where their exposures lead.
struct AgentFile: Equatable {
    var ledger: LedgerSettings
    var keyFile: String
    var state: String?
    var contracts: [Identifier: [String: ForwardTarget]] = [:]
    /// Sessions to each gateway.
    var slots: Int64 = 2
    /// Serve only behind a network wall.
    var isWalled = false
    /// What visitors have to end what they do when the agent is told to end.
    var drain: Duration?

    init(_ path: String) throws(CommandFailure) {
        try self.init(ConfigurationFile(path, as: "the agent configuration"))
    }

    init(_ file: ConfigurationFile) throws(CommandFailure) {
        let top = try file.root.members(["ledger", "key", "contracts", "slots", "state", "wall", "drain"])
        ledger = try LedgerSettings(top.required("ledger", of: file.root))
        keyFile = try top.required("key", of: file.root).path()
        state = try top["state"]?.path()
        let list = try top.required("contracts", of: file.root)
        for (key, value) in try list.pairs() {
            guard let id = Identifier(hex: key) else {
                throw value.failure("must have a contract id of 64 hex digits as its key")
            }
            guard contracts[id] == nil else { throw value.failure("stands twice; keep one") }
            contracts[id] = try Self.targets(value)
        }
        guard !contracts.isEmpty else { throw list.failure("names no contract; add one") }
        slots = try top["slots"]?.integer(1...8) ?? 2
        isWalled = try top["wall"]?.boolean() ?? false
        if let value = top["drain"] { drain = .seconds(try value.seconds(0...AgentRunner.longestDrain)) }
    }

    private static func targets(_ value: ConfigurationValue) throws(CommandFailure) -> [String: ForwardTarget] {
        var result: [String: ForwardTarget] = [:]
        for (exposure, target) in try value.pairs() {
            guard Grammar.isLabel(exposure) else { throw target.failure("must have the id of an exposure as its key") }
            result[exposure] = try Self.target(target)
        }
        guard !result.isEmpty else { throw value.failure("leads nowhere; add `exposure: HOST:PORT`") }
        return result
    }
}

extension AgentFile {
    /// `HOST:PORT`, or `{ to: HOST:PORT, check: … }`, with a target over TLS also `ca`, `pin` and `name`.
    private static func target(_ value: ConfigurationValue) throws(CommandFailure) -> ForwardTarget {
        guard value.isMapping else { return try address(value) }
        let members = try value.members(["to", "check", "ca", "pin", "name"])
        var target = try address(members.required("to", of: value))
        if let place = members["check"] { target.check = try check(place) }
        var settings = TrustSettings()
        settings.authorityFile = try members["ca"]?.path()
        settings.name = try members["name"]?.string()
        for pin in try members["pin"]?.list() ?? [] { settings.pins.append(try pin.string()) }
        guard !settings.isEmpty else { return target }
        guard target.trust != nil else { throw value.failure(TrustSettings.targetRule) }
        target.trust = try settings.trust { subject, rule in
            let place =
                switch subject {
                case .authorities: members["ca"]
                case .pin: members["pin"]
                case .name: members["name"]
                }
            return (place ?? value).failure(rule)
        }
        return target
    }

    private static func address(_ value: ConfigurationValue) throws(CommandFailure) -> ForwardTarget {
        guard let target = ForwardTarget(try value.string()) else { throw value.failure(ForwardTarget.rule) }
        return target
    }

    /// `tcp`, `http:/path`, or `{ kind: …, interval: 2s, timeout: 1s, rise: 2, fall: 1 }`.
    private static func check(_ value: ConfigurationValue) throws(CommandFailure) -> HealthCheck {
        guard value.isMapping else { return HealthCheck(try kind(value)) }
        let members = try value.members(["kind", "interval", "timeout", "rise", "fall"])
        var check = HealthCheck(try kind(members.required("kind", of: value)))
        if let place = members["interval"] {
            check.interval = try place.duration(.milliseconds(200)...(.seconds(3600)))
        }
        if let place = members["timeout"] { check.timeout = try place.duration(.milliseconds(100)...(.seconds(60))) }
        if let place = members["rise"] { check.rise = Int(try place.integer(1...100)) }
        if let place = members["fall"] { check.fall = Int(try place.integer(1...100)) }
        return check
    }

    private static func kind(_ value: ConfigurationValue) throws(CommandFailure) -> HealthCheck.Kind {
        guard let kind = HealthCheck.Kind(try value.string()) else {
            throw value.failure("must be tcp, or http: with a path such as http:/health")
        }
        return kind
    }
}

extension HealthCheck.Kind {
    /// `tcp` or `http:/path`; nil for anything else.
    init?(_ text: String) {
        if text == "tcp" {
            self = .tcp
            return
        }
        guard text.hasPrefix("http:/"), text.utf8.count <= 1024, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return nil
        }
        self = .http(path: String(text.dropFirst(5)))
    }
}

extension ForwardTarget {
    static let rule = "must be HOST:PORT such as 127.0.0.1:8080, tls://HOST:PORT, or unix:PATH"
}
