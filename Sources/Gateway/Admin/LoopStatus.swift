internal import Contracts

/// What one loop knows for a status; copied out of the loop.
struct LoopStatus: Sendable {
    struct Session: Sendable {
        var key: PublicKey
        var peer: String
        var contracts: [Identifier]
        var slot: Int64
        var agent: String
        var streams: Int
        var spare: Int
        var isDraining: Bool
    }

    var sessions: [Session]
    var figures: [Identifier: ContractFigures]
    var refusals: RefusalCounts
    var tunnelRefusals = TunnelRefusals()
    var revocation: RevocationFigures
    /// Bytes held for those who do not read.
    var stuckBytes: Int

    init(_ front: Front) {
        sessions = front.tunnels.flatMap(\.allSessions).map { session in
            Session(
                key: session.key,
                peer: session.peer?.description ?? "",
                contracts: session.contracts.sorted(),
                slot: session.slot,
                agent: session.agent,
                streams: session.activeStreams,
                spare: session.lines.spareCount,
                isDraining: session.isDraining
            )
        }
        figures = front.contractFigures
        refusals = front.allRefusals
        for tunnel in front.tunnels { tunnelRefusals.add(tunnel.allRefusals) }
        revocation = front.revocations.figures
        stuckBytes = front.loop.stuck.used
    }
}
