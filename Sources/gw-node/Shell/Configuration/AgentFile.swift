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

    init(_ path: String) throws(CommandFailure) {
        try self.init(ConfigurationFile(path, as: "the agent configuration"))
    }

    init(_ file: ConfigurationFile) throws(CommandFailure) {
        let top = try file.root.members(["ledger", "key", "contracts", "slots", "state"])
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
    }

    private static func targets(_ value: ConfigurationValue) throws(CommandFailure) -> [String: ForwardTarget] {
        var result: [String: ForwardTarget] = [:]
        for (exposure, target) in try value.pairs() {
            guard Grammar.isLabel(exposure) else { throw target.failure("must have the id of an exposure as its key") }
            guard let address = ForwardTarget(try target.string()) else {
                throw target.failure(ForwardTarget.rule)
            }
            result[exposure] = address
        }
        guard !result.isEmpty else { throw value.failure("leads nowhere; add `exposure: HOST:PORT`") }
        return result
    }
}

extension ForwardTarget {
    static let rule = "must be HOST:PORT such as 127.0.0.1:8080, or unix:PATH"
}
