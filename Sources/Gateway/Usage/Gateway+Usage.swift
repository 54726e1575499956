public import Contracts

extension Gateway {
    /// The meters of every contract that was served, as of now.
    ///
    /// Totals never fall while the process runs. What is to survive it is made durable by the caller and given back with
    /// `restore`.
    public func meters() async -> [ContractMeter] {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            core.gather({ $0.meter() }, then: { _ in continuation.resume() })
        }
        return state.withLock { meters(of: $0) }
    }

    func meters(of state: State) -> [ContractMeter] {
        var meters = state.restored
        core.contracts.withLock { contracts in
            for (id, shared) in contracts {
                meters[id] = ContractMeter(contract: id, totals: shared.usage.totals, period: shared.usage.period)
            }
        }
        return meters.values.sorted { $0.contract < $1.contract }
    }

    /// Asks every connected agent to sign what it saw, where the meters have moved since it was asked last.
    public func claimUsage(_ meters: [ContractMeter]) {
        let totals = Dictionary(uniqueKeysWithValues: meters.map { ($0.contract, $0.totals) })
        let until = core.clock.seconds(at: monotonicNow())
        for front in core.allFronts {
            front.submit { front in
                for session in front.tunnels.flatMap(\.allSessions) { session.claim(totals, until: until) }
            }
        }
    }

    /// What agents signed, newest of each agent and contract.
    public var agentStatements: [UsageBook.Signed] { core.usageDesk.all }

    /// Lets the meters begin where a process before this one ended. To be called before the first `apply`.
    public func restore(_ meters: [ContractMeter], _ statements: [UsageBook.Signed] = []) {
        for signed in statements { core.usageDesk.take(signed.statement, of: signed.agent) }
        state.withLock { state in
            for meter in meters { state.restored[meter.contract] = meter }
        }
    }

    /// Drops the meters of contracts that the ledger does not have any more.
    public func forgetMeters(of contracts: Set<Identifier>) {
        core.usageDesk.forget(contracts)
        state.withLock { state in
            for id in contracts where state.index.contract(id) == nil {
                core.contracts.withLock { $0[id] = nil }
                state.restored[id] = nil
            }
        }
    }
}
