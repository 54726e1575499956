internal import Contracts

extension AgentCore {
    /// Payload bytes and streams of a contract from a gateway, since the agent first served it.
    func counted(_ subject: UsageSubject) -> UsageTotals {
        let before = usageBefore[subject] ?? UsageTotals()
        guard let flow = flows[subject] else { return before }
        return before + UsageTotals(bytesIn: flow.received, bytesOut: flow.sent, conns: flow.opened)
    }

    /// Takes a gateway's claim and answers with what this agent saw, signed; nil for a contract that it does not serve.
    func answer(_ claim: UsageStatement) -> UsageStatement? {
        guard contracts[claim.subject.contract] != nil, claim.signature == nil else { return nil }
        let statement = UsageStatement(
            subject: claim.subject,
            totals: counted(claim.subject),
            until: claim.until
        ).signed(by: key)
        claims[claim.subject] = claim
        statements[claim.subject] = statement
        return statement
    }

    /// What is to be kept over a restart.
    var usageBook: UsageBook {
        var book = UsageBook()
        for subject in Set(usageBefore.keys).union(flows.keys) { book.counts[subject] = counted(subject) }
        func precedes(_ left: UsageStatement, _ right: UsageStatement) -> Bool {
            (left.subject.contract, left.subject.node) < (right.subject.contract, right.subject.node)
        }
        book.claims = claims.values.sorted(by: precedes)
        book.statements = statements.values.sorted(by: precedes)
            .map { UsageBook.Signed(agent: key.publicKey, statement: $0) }
        return book
    }

    /// Goes on where an earlier process ended.
    func restore(_ book: UsageBook) {
        usageBefore = book.counts
        for claim in book.claims { claims[claim.subject] = claim }
        for signed in book.statements where signed.agent == key.publicKey {
            statements[signed.statement.subject] = signed.statement
        }
    }
}

extension TunnelAgent {
    /// What the agent counted, what gateways claim, and what it signed; nil once it has stopped.
    public func usage() async -> UsageBook? { await core.run { $0.usageBook } }
}
