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
        return state.withLock { state in
            var meters = state.restored
            for (id, shared) in state.contracts {
                meters[id] = ContractMeter(
                    contract: id,
                    totals: shared.usage.totals,
                    period: shared.usage.period
                )
            }
            return meters.values.sorted { $0.contract < $1.contract }
        }
    }

    /// Lets the meters begin where a process before this one ended. To be called before the first `apply`.
    public func restore(_ meters: [ContractMeter]) {
        state.withLock { state in
            for meter in meters { state.restored[meter.contract] = meter }
        }
    }

    /// Drops the meters of contracts that the ledger does not have any more.
    public func forgetMeters(of contracts: Set<Identifier>) {
        state.withLock { state in
            for id in contracts where state.index?.slots[id] == nil {
                state.contracts[id] = nil
                state.restored[id] = nil
            }
        }
    }
}
