internal import Contracts

/// Which sessions name a contract, admitted or not. Loop-owned.
struct SessionNames {
    private var sessions: [Identifier: [TunnelSession]] = [:]

    /// A session names other contracts than before.
    mutating func move(_ session: TunnelSession, from before: [Identifier], to after: [Identifier]) {
        for contract in before {
            sessions[contract]?.removeAll { $0 === session }
            if sessions[contract]?.isEmpty == true { sessions[contract] = nil }
        }
        for contract in after { sessions[contract, default: []].append(session) }
    }

    /// The sessions that name one of the contracts, each once.
    func naming(_ contracts: Set<Identifier>) -> [TunnelSession] {
        var seen: Set<ObjectIdentifier> = []
        var found: [TunnelSession] = []
        for contract in contracts {
            for session in sessions[contract] ?? [] where seen.insert(ObjectIdentifier(session)).inserted {
                found.append(session)
            }
        }
        return found
    }
}
