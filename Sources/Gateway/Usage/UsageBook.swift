public import Contracts

/// What a gateway or an agent keeps of its meters over restarts: one document in the state folder.
public struct UsageBook: Hashable, Sendable {
    /// A gateway's own meters.
    public var meters: [ContractMeter] = []
    /// What agents signed, newest of each agent and contract; on an agent, its own newest word to each gateway.
    public var statements: [Signed] = []
    /// On an agent: what it counted, and what gateways claim.
    public var counts: [UsageSubject: UsageTotals] = [:]
    public var claims: [UsageStatement] = []

    /// An agent's statement and its key.
    public struct Signed: Hashable, Sendable {
        public var agent: PublicKey
        public var statement: UsageStatement

        public init(agent: PublicKey, statement: UsageStatement) {
            self.agent = agent
            self.statement = statement
        }
    }

    public init() {}

    /// The document: one line of canonical JSON, and the SHA-256 of it in hex on a second line.
    public var document: [UInt8] {
        let object: JSONObject = [
            "claims": .array(claims.map(\.json)),
            "counts": .array(
                counts.sorted { ($0.key.contract, $0.key.node) < ($1.key.contract, $1.key.node) }.map {
                    UsageStatement(subject: $0.key, totals: $0.value, until: 0).json
                }
            ),
            "meters": .array(meters.map(Self.value)), "statements": .array(statements.map(Self.value)),
            "v": .integer(1),
        ]
        let line = object.canonical
        return line + [0x0A] + Array(Digest.sha256(line).hex.utf8) + [0x0A]
    }

    /// Reads a document; nil when it is damaged, or of another version.
    public init?(document: [UInt8]) {
        let lines = document.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count == 3, lines[2].isEmpty, lines[1].elementsEqual(Digest.sha256(Array(lines[0])).hex.utf8),
            let value = try? JSONValue(canonical: Array(lines[0])), value["v"]?.asInteger == 1,
            let claims = value["claims"]?.asArray, let counts = value["counts"]?.asArray,
            let meters = value["meters"]?.asArray, let statements = value["statements"]?.asArray
        else { return nil }
        for item in claims {
            guard let claim = UsageStatement(item) else { return nil }
            self.claims.append(claim)
        }
        for item in counts {
            guard let count = UsageStatement(item) else { return nil }
            self.counts[count.subject] = count.totals
        }
        for item in meters {
            guard let totals = UsageTotals(item), let number = item["period_number"]?.asInteger,
                let bytes = item["period_bytes"]?.asInteger,
                let contract = item["contract"]?.asString.flatMap({ Identifier(hex: $0) })
            else { return nil }
            let period = PeriodUse(number: number, bytes: bytes)
            self.meters.append(ContractMeter(contract: contract, totals: totals, period: period))
        }
        for item in statements {
            guard let agent = item["agent"]?.asString.flatMap({ PublicKey(hex: $0) }),
                let statement = UsageStatement(item), statement.isSigned(by: agent)
            else { return nil }
            self.statements.append(Signed(agent: agent, statement: statement))
        }
    }

    private static func value(_ meter: ContractMeter) -> JSONValue {
        .object([
            "bytes_in": .integer(meter.totals.bytesIn), "bytes_out": .integer(meter.totals.bytesOut),
            "conns": .integer(meter.totals.conns), "contract": .string(meter.contract.hex),
            "period_bytes": .integer(meter.period.bytes), "period_number": .integer(meter.period.number),
        ])
    }

    private static func value(_ signed: Signed) -> JSONValue {
        guard case .object(var object) = signed.statement.json else { preconditionFailure("a statement is an object") }
        object["agent"] = .string(signed.agent.hex)
        return .object(object)
    }
}
