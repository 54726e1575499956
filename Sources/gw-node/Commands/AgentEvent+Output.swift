import Contracts
import Gateway

/// What an agent's health checks find, as people and programs read it.
extension HealthNews {
    /// `{"event":"health","contract","exposure","state","reason"?}` with the states up and down.
    var json: JSONText {
        var members: [(String, JSONText)] = [
            ("event", .string("health")), ("contract", .string(contract.hex)), ("exposure", .string(exposure)),
            ("state", .string(isHealthy ? "up" : "down")),
        ]
        if let reason { members.append(("reason", .string(reason))) }
        return .object(members)
    }

    var text: String {
        "service of \(contract.hex.prefix(12)) \(exposure): \(isHealthy ? "up" : "down")"
            + (reason.map { " (\($0.withoutControls))" } ?? "")
    }
}

/// What an agent finds when it takes visitors to a workload over TLS, as people and programs read it.
extension WorkloadNews {
    /// `{"event":"workload","contract","exposure","state","reason"?}` with the states unreachable and reachable.
    var json: JSONText {
        var members: [(String, JSONText)] = [
            ("event", .string("workload")), ("contract", .string(contract.hex)), ("exposure", .string(exposure)),
            ("state", .string(reason == nil ? "reachable" : "unreachable")),
        ]
        if let reason { members.append(("reason", .string(reason))) }
        return .object(members)
    }

    var text: String {
        "workload of \(contract.hex.prefix(12)) \(exposure): "
            + (reason.map { "unreachable (\($0.withoutControls))" } ?? "reachable")
    }
}

/// An agent's news as people and programs read it.
extension AgentEvent {
    /// `{"event":"session","gateway","slot","state","reason"?}` with the states dialing, serving, refused, going_away, lost.
    var json: JSONText {
        var members: [(String, JSONText)] = [
            ("event", .string("session")), ("gateway", .string(gateway.hex)), ("slot", .integer(Int64(slot))),
            ("state", .string(word)),
        ]
        if let reason { members.append(("reason", .string(reason))) }
        return .object(members)
    }

    var text: String {
        let tail = reason.map { " (\($0.withoutControls))" } ?? ""
        return "gateway \(gateway.hex.prefix(12)) session \(slot): \(word)\(tail)"
    }

    private var word: String {
        switch state {
        case .dialing: "dialing"
        case .serving(let accepted, let refused): accepted.isEmpty && !refused.isEmpty ? "refused" : "serving"
        case .goneAway: "going_away"
        case .lost: "lost"
        }
    }

    private var reason: String? {
        switch state {
        case .dialing: nil
        case .serving(_, let refused):
            refused.isEmpty
                ? nil : refused.map { "\($0.contract.hex): \($0.code.rawValue): \($0.message)" }.joined(separator: "; ")
        case .goneAway(let code, let message): "\(code.rawValue): \(message)"
        case .lost(let reason, let retry): "\(reason); dialing again in \(Quantities.text(retry))"
        }
    }
}
