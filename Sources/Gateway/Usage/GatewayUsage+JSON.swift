public import Contracts

extension Gateway {
    /// Calls `then` with the document of `GET /usage`: each contract's meter, what agents signed, and the ledger's row.
    func withUsage(_ then: @escaping @Sendable ([UInt8]) -> Void) {
        core.gather(
            { $0.meter() },
            then: { _ in
                let (meters, index) = self.state.withLock { (self.meters(of: $0), $0.index) }
                then(self.usage(meters, index).canonical)
            }
        )
    }

    private func usage(_ meters: [ContractMeter], _ index: RoutingIndex) -> JSONValue {
        let node = core.configuration.node
        let signed = Dictionary(grouping: agentStatements, by: \.statement.subject.contract)
        let state = index.context.state
        let contracts = meters.map { meter -> JSONValue in
            var object: JSONObject = [
                "contract": .string(meter.contract.hex), "gateway": .object(meter.totals.members),
                "agents": .array(
                    (signed[meter.contract] ?? []).map { item in
                        var agent = item.statement.totals.members
                        agent["key"] = .string(item.agent.hex)
                        agent["until"] = .integer(item.statement.until)
                        agent["sig"] = item.statement.signature.map { .string(Base64.encode($0)) }
                        return .object(agent)
                    }
                ),
            ]
            if let row = state?.usage(contract: meter.contract, node: node) {
                var ledger = UsageTotals(row).members
                ledger["until"] = .integer(row.until)
                object["ledger"] = .object(ledger)
            }
            return .object(object)
        }
        return .object(["node": .string(node.hex), "contracts": .array(contracts)])
    }
}

extension UsageTotals {
    /// `bytes_in`, `bytes_out` and `conns`.
    public var members: JSONObject {
        ["bytes_in": .integer(bytesIn), "bytes_out": .integer(bytesOut), "conns": .integer(conns)]
    }
}
