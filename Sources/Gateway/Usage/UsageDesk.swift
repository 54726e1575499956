internal import Contracts

/// What agents signed, newest of each agent and contract. Safe from any thread; touched when a USAGE comes, not per byte.
final class UsageDesk: Sendable {
    private struct Key: Hashable {
        let agent: PublicKey
        let contract: Identifier
    }

    private let state = Lock([Key: UsageStatement]())

    func take(_ statement: UsageStatement, of agent: PublicKey) {
        let key = Key(agent: agent, contract: statement.subject.contract)
        state.withLock { statements in
            if let old = statements[key], old.until > statement.until { return }
            statements[key] = statement
        }
    }

    func forget(_ contracts: Set<Identifier>) {
        state.withLock { $0 = $0.filter { !contracts.contains($0.key.contract) } }
    }

    /// Ascending by contract and agent.
    var all: [UsageBook.Signed] {
        state.withLock { statements in
            statements.map { UsageBook.Signed(agent: $0.key.agent, statement: $0.value) }
        }
        .sorted { ($0.statement.subject.contract, $0.agent) < ($1.statement.subject.contract, $1.agent) }
    }
}
