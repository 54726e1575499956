internal import Contracts

extension GatewayStatus {
    /// One JSON document with the members that `status --json` promises, and counters beside them.
    public var json: [UInt8] {
        var ledger: JSONObject = ["size": .integer(Int64(clamping: height)), "condition": .string(ledgerCondition)]
        ledger["quorum_time"] = quorumTime.map(JSONValue.integer)
        ledger["age"] = ledgerAge.map(JSONValue.integer)
        ledger["stale"] = .boolean((ledgerAge ?? 0) > Freshness.staleAfter)
        ledger["halt"] = ledgerHalt.map(JSONValue.string)
        ledger["alarms"] = .array(
            ledgerAlarms.map { .object(["code": .string($0.code), "message": .string($0.message)]) }
        )
        ledger["history"] = ledgerHistory.map {
            .object([
                "entries": .integer(Int64(clamping: $0.entries)), "state": .string($0.state),
                "verified": .integer(Int64(clamping: $0.verified)),
            ])
        }
        let document: JSONObject = [
            "node": .string(node.hex), "ledger": .object(ledger), "routes": .array(routes.map(value)),
            "sessions": .array(sessions.map(Self.value)), "generation": .integer(generation),
            "draining": .boolean(isDraining),
            "contracts": .array(contracts.map(Self.value)), "refused": Self.value(refused),
            "stuck_bytes": .integer(Int64(stuckBytes)),
            "tunnel": .object([
                "refused": .object(
                    JSONObject(
                        members: TunnelRefusals.reasons.map { ($0.word, .integer(tunnelRefusals[keyPath: $0.place])) }
                    )
                )
            ]),
            "revocation": .object([
                "streams": .integer(revocation.streams),
                "worst_ms": .integer(Int64(clamping: revocation.worst / 1_000_000)),
                "worst_late_ms": .integer(Int64(clamping: revocation.worstLate / 1_000_000)),
            ]),
            "visitors": .object(["now": .integer(visitors), "total": .integer(visitorsTotal)]),
        ]
        return JSONValue.object(document).canonical
    }

    private func value(_ route: Exposure) -> JSONValue {
        var conditions: [JSONValue] = []
        func add(_ type: String, _ status: Bool, _ reason: String, _ message: String) {
            conditions.append(
                .object([
                    "type": .string(type), "status": .string(status ? "True" : "False"), "reason": .string(reason),
                    "message": .string(message), "height": .integer(Int64(clamping: height)),
                ])
            )
        }
        if let condition = route.condition {
            add("Deployed", condition.state == .deployed, condition.code.rawValue, condition.message)
        } else {
            add("Deployed", false, "Suspended", "suspended by the gateway's operator")
        }
        if let period = route.period {
            let reason = period.isUsedUp ? "UsedUp" : period.isNear ? "NearLimit" : "Within"
            add("Allowance", !period.isNear, reason, "\(period.used) of \(period.limit) bytes until \(period.ends)")
        }
        if let proof = route.proof {
            add("Proven", proof.isProven, proof.reason, proof.text)
        } else {
            add("Connected", route.sessions > 0, route.sessions > 0 ? "AgentConnected" : "NoAgent", "")
        }
        return .object([
            "contract": .string(route.contract.hex), "exposure": .string(route.expose),
            "kind": .string(route.kind.rawValue),
            "mode": .string(route.mode.rawValue), "hosts": .array(route.hosts.map(JSONValue.string)),
            "ports": .array(route.ports.map(JSONValue.string)), "conditions": .array(conditions),
            "sessions": .integer(Int64(route.sessions)),
        ])
    }

    private static func value(_ session: Session) -> JSONValue {
        .object([
            "key": .string(session.key.hex), "peer": .string(session.peer), "slot": .integer(session.slot),
            "agent": .string(session.agent), "streams": .integer(Int64(session.streams)),
            "spare": .integer(Int64(session.spare)), "draining": .boolean(session.isDraining),
            "contracts": .array(session.contracts.map { .string($0.hex) }),
        ])
    }

    private static func value(_ figures: Figures) -> JSONValue {
        var object: JSONObject = [
            "contract": .string(figures.contract.hex), "streams": .integer(Int64(figures.streams)),
            "refused": value(figures.refused), "delays": .integer(figures.delays),
            "bytes_in": .integer(figures.totals.bytesIn), "bytes_out": .integer(figures.totals.bytesOut),
            "conns": .integer(figures.totals.conns),
        ]
        if let period = figures.period {
            object["period"] = .object([
                "used": .integer(period.used), "limit": .integer(period.limit), "ends": .integer(period.ends),
            ])
        }
        return .object(object)
    }

    private static func value(_ refused: [VisitorRefusal: Int64]) -> JSONValue {
        .object(JSONObject(members: refused.map { ($0.key.rawValue, JSONValue.integer($0.value)) }))
    }
}
