internal import Contracts

extension TunnelSession {
    /// Asks the agent to sign what it saw, beside this gateway's own totals. Asked once for each change of the totals; the first
    /// connection of an agent is asked for all of them.
    func claim(_ meters: [Identifier: UsageTotals], until: Timestamp) {
        guard slot == 0, isOpen, !isDraining else { return }
        for contract in contracts {
            guard let totals = meters[contract], claims[contract]?.totals != totals else { continue }
            let subject = UsageSubject(contract: contract, node: node)
            let statement = UsageStatement(subject: subject, totals: totals, until: until)
            claims[contract] = statement
            openClaims += 1
            send(usage: statement)
        }
    }

    /// The agent's answer. One that was not asked for, or that its key did not sign, breaks the protocol; false then. The answer to a claim that a
    /// newer one has followed says nothing.
    func heard(usage payload: [UInt8], desk: UsageDesk?) -> Bool {
        guard openClaims > 0, let statement = UsageStatement(payload, node: node),
            let claim = claims[statement.subject.contract], statement.until <= claim.until
        else { return false }
        openClaims -= 1
        if statement.until < claim.until { return true }
        guard statement.isSigned(by: key) else { return false }
        desk?.take(statement, of: key)
        return true
    }
}
