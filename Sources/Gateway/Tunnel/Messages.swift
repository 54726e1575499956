public import Contracts

/// HELLO: what an agent serves, and which of its connections this is. Also the agent's UPDATE.
struct Hello: Equatable, Sendable {
    static let version: Int64 = 1
    /// Contracts one session may name, so that the answer fits a control frame.
    static let mostContracts = 200
    static let mostSlots: Int64 = 8

    var contracts: [Identifier]
    /// 16 random bytes in hex, made when the agent starts.
    var instance: String
    var slot: Int64
    var slots: Int64
    var version: Int64
    var agent: String

    init(contracts: [Identifier], instance: String, slot: Int64, slots: Int64, agent: String) {
        self.contracts = contracts
        self.instance = instance
        self.slot = slot
        self.slots = slots
        version = Self.version
        self.agent = agent
    }

    /// Nil for anything malformed; a version other than 1 is left for the caller to answer.
    init?(_ payload: [UInt8]) {
        guard let value = try? JSONValue(canonical: payload),
            let contracts = value["contracts"]?.identifiers, contracts.count <= Self.mostContracts,
            Set(contracts).count == contracts.count,
            let instance = value["instance"]?.asString, Hex.decode(instance)?.count == 16,
            let slots = value["slots"]?.asInteger, (1...Self.mostSlots).contains(slots),
            let slot = value["slot"]?.asInteger, (0..<slots).contains(slot),
            let version = value["version"]?.asInteger,
            let agent = value["agent"]?.asString, agent.utf8.count <= 256
        else { return nil }
        self.contracts = contracts
        self.instance = instance
        self.slot = slot
        self.slots = slots
        self.version = version
        self.agent = agent
    }

    var payload: [UInt8] {
        let object: JSONObject = [
            "contracts": .array(contracts.map { .string($0.hex) }), "instance": .string(instance),
            "slot": .integer(slot),
            "slots": .integer(slots), "version": .integer(version), "agent": .string(agent),
        ]
        return object.canonical
    }
}

/// A contract that a gateway does not serve over a session, and why.
public struct Refusal: Hashable, Sendable {
    public var contract: Identifier
    public var code: RefusalCode
    public var message: String

    public init(contract: Identifier, code: RefusalCode, message: String) {
        self.contract = contract
        self.code = code
        self.message = message
    }
}

/// WELCOME: the gateway's answer to HELLO; as UPDATE, its answer to a change.
struct Welcome: Equatable, Sendable {
    var accepted: [Identifier]
    var refused: [Refusal]
    /// Ledger height the gateway judged at.
    var height: Int64
    var node: Identifier
    /// Seconds a stream may be silent; 0 for no limit.
    var idle: Int64
    /// Window of every stream and direction at the start, in bytes.
    var window: Int64

    init(accepted: [Identifier], refused: [Refusal], height: Int64, node: Identifier, idle: Int64, window: Int64) {
        self.accepted = accepted
        self.refused = refused
        self.height = height
        self.node = node
        self.idle = idle
        self.window = window
    }

    init?(_ payload: [UInt8]) {
        guard let value = try? JSONValue(canonical: payload),
            let accepted = value["accepted"]?.identifiers,
            let refusedValues = value["refused"]?.asArray,
            let height = value["height"]?.asInteger, height >= 0,
            let node = value["node"]?.asString.flatMap({ Identifier(hex: $0) }),
            let idle = value["idle"]?.asInteger, idle >= 0,
            let window = value["window"]?.asInteger,
            (Int64(Frame.initialWindow)...Int64(Frame.largestWindow)).contains(window)
        else { return nil }
        var refused: [Refusal] = []
        for item in refusedValues {
            guard let contract = item["contract"]?.asString.flatMap({ Identifier(hex: $0) }),
                let code = item["code"]?.asString, let message = item["message"]?.asString
            else { return nil }
            // A code of a later version still refuses.
            refused.append(
                Refusal(contract: contract, code: RefusalCode(rawValue: code) ?? .contractRejected, message: message)
            )
        }
        self.accepted = accepted
        self.refused = refused
        self.height = height
        self.node = node
        self.idle = idle
        self.window = window
    }

    var payload: [UInt8] {
        let object: JSONObject = [
            "accepted": .array(accepted.map { .string($0.hex) }), "refused": .array(refused.map(Self.value)),
            "height": .integer(height), "node": .string(node.hex), "idle": .integer(idle), "window": .integer(window),
        ]
        return object.canonical
    }

    /// Payloads that say the same within the limit of a frame: the refusals that do not fit the first follow in more.
    var payloads: [[UInt8]] {
        var result: [[UInt8]] = []
        var rest = refused[...]
        repeat {
            var part = self
            part.refused = []
            var size = part.payload.count
            while let next = rest.first {
                size += Self.value(next).canonical.count + 1
                guard size < Frame.longestControl else { break }
                part.refused.append(next)
                rest = rest.dropFirst()
            }
            result.append(part.payload)
            if part.refused.isEmpty { break }
        } while !rest.isEmpty
        return result
    }

    private static func value(_ refusal: Refusal) -> JSONValue {
        .object([
            "contract": .string(refusal.contract.hex), "code": .string(refusal.code.rawValue),
            "message": .string(refusal.message),
        ])
    }
}

/// GOAWAY: no new streams; running ones have `drain` seconds.
struct GoAway: Equatable, Sendable {
    var code: GoAwayCode
    var drain: Int64
    var message: String
    /// Seconds to stay away, with `overload`.
    var retryAfter: Int64?

    /// Seconds for which a session is kept at most after GOAWAY, whatever the peer says; contracts drain for an hour at most.
    static let longestDrain: Int64 = 3660

    init(code: GoAwayCode, drain: Int64, message: String, retryAfter: Int64? = nil) {
        self.code = code
        self.drain = drain
        self.message = message
        self.retryAfter = retryAfter
    }

    init?(_ payload: [UInt8]) {
        guard let value = try? JSONValue(canonical: payload),
            let code = value["code"]?.asString,
            let drain = value["drain"]?.asInteger, drain >= 0,
            let message = value["message"]?.asString
        else { return nil }
        self.code = GoAwayCode(rawValue: code) ?? .shutdown
        self.drain = drain
        self.message = message
        retryAfter = value["retry_after"]?.asInteger.map { max(0, $0) }
    }

    var payload: [UInt8] {
        var object: JSONObject = [
            "code": .string(code.rawValue), "drain": .integer(drain), "message": .string(message),
        ]
        if let retryAfter { object["retry_after"] = .integer(retryAfter) }
        return object.canonical
    }
}

/// OPEN: a visitor, the contract and the exposure it came for.
struct StreamOpen: Equatable, Sendable {
    var contract: Identifier
    var expose: String
    /// `http`, `tls`, `tcp` or `udp`.
    var kind: String
    /// The visitor, `ip:port`.
    var peer: String
    /// The gateway's address the visitor reached, `ip:port`.
    var local: String?
    var sni: String?
    var host: String?
    var port: Int64?

    init(
        contract: Identifier,
        expose: String,
        kind: String,
        peer: String,
        local: String? = nil,
        sni: String? = nil,
        host: String? = nil,
        port: Int64? = nil
    ) {
        self.contract = contract
        self.expose = expose
        self.kind = kind
        self.peer = peer
        self.local = local
        self.sni = sni
        self.host = host
        self.port = port
    }

    /// Nil for anything malformed.
    init?(_ payload: [UInt8]) {
        if let open = StreamOpen(plain: payload) { self = open } else { self.init(general: payload) }
    }

    /// Reads any canonical JSON.
    init?(general payload: [UInt8]) {
        guard let object = (try? JSONValue(canonical: payload))?.asObject,
            let contract = object["contract"]?.asString.flatMap({ Identifier(hex: $0) }),
            let expose = object["expose"]?.asString,
            let kind = object["kind"]?.asString,
            let peer = object["peer"]?.asString
        else { return nil }
        self.contract = contract
        self.expose = expose
        self.kind = kind
        self.peer = peer
        for (name, value) in object.members {
            switch name {
            case "local", "sni", "host": guard value.asString != nil else { return nil }
            case "port": guard let port = value.asInteger, (1...65535).contains(port) else { return nil }
            default: break
            }
        }
        local = object["local"]?.asString
        sni = object["sni"]?.asString
        host = object["host"]?.asString
        port = object["port"]?.asInteger
    }
}

extension JSONValue {
    /// An array of ids, each 64 hex digits; nil for anything else.
    fileprivate var identifiers: [Identifier]? {
        guard let items = asArray else { return nil }
        var result: [Identifier] = []
        for item in items {
            guard let text = item.asString, let id = Identifier(hex: text) else { return nil }
            result.append(id)
        }
        return result
    }
}
