import Contracts
import Gateway
import Ledger

extension GatewayNode {
    /// Makes the meters durable, tells the reporter what is, and asks agents for their word. About once a second.
    func keepUsage() async {
        let now = Posix.now()
        guard keeper.isDue(at: now) else { return }
        let meters = await gateway.meters()
        keepUsage(meters, at: now)
        if let state = verified?.state {
            // A contract that was purged takes no more reports.
            let gone = Set(meters.map(\.contract).filter { state.contract($0) == nil })
            if !gone.isEmpty { gateway.forgetMeters(of: gone) }
        }
        guard now >= claimedAt + settings.file.usage.confirmSeconds || now < claimedAt else { return }
        claimedAt = now
        gateway.claimUsage(keeper.book.meters)
    }

    /// Makes what was counted durable.
    func keepUsage(_ meters: [ContractMeter], at now: Timestamp) {
        var book = UsageBook()
        book.meters = meters
        book.statements = gateway.agentStatements
        keeper.keep(book, at: now)
    }

    /// What the ledger may be told: durable totals only, since a total that was reported can never be taken back.
    var usageSamples: [Identifier: UsageSample] {
        let now = Posix.now()
        return Dictionary(
            uniqueKeysWithValues: keeper.book.meters.map { meter in
                let totals = meter.totals
                return (
                    meter.contract,
                    UsageSample(
                        bytesIn: totals.bytesIn,
                        bytesOut: totals.bytesOut,
                        conns: totals.conns,
                        time: now
                    )
                )
            }
        )
    }
}
