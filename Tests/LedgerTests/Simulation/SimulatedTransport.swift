import Contracts
import NIOConcurrencyHelpers
import TestSupport

@testable import Ledger

/// The network of one simulated watcher: what it asks is answered by a ledger that shows one of its faces, late or not at all.
struct SimulatedTransport: LogTransport {
    static let ledger = LedgerClient.Source(index: 0, url: "sim:ledger", role: .ledger)
    static let mirror = LedgerClient.Source(index: 1, url: "sim:mirror", role: .mirror)
    static func witness(_ number: Int) -> LedgerClient.Source {
        LedgerClient.Source(index: 2 + number, url: "sim:witness", role: .witness)
    }
    static func peer(_ number: Int) -> LedgerClient.Source {
        LedgerClient.Source(index: 6 + number, url: "sim:peer", role: .peer)
    }

    unowned let world: SimulatedWorld
    let watcher: Int

    var sources: [LedgerClient.Source] { [Self.ledger, Self.mirror] }
    let limits = ClientLimits()

    private func lost(_ source: LedgerClient.Source) -> LedgerClientError {
        LedgerClientError(.unreachable, source: source.url, message: "lost")
    }

    func checkpoint(
        from source: LedgerClient.Source,
        after: UInt64?,
        wait: Int?,
        etag: String?
    ) async throws(LedgerClientError) -> LedgerClient.CheckpointAnswer {
        guard !world.isLost() else { throw lost(source) }
        let note = world.roll { state in
            // A mirror may hold either history, and the ledger sometimes shows its other face.
            let isOther = source.role == .mirror ? state.random.chance(0.5) : state.random.chance(0.1)
            let face = isOther ? 1 - state.shown[watcher] : state.shown[watcher]
            state.shown[watcher] = face
            let published = state.faces[face].published
            if let pending = state.faces[face].pending, state.random.chance(0.1) { return pending.note.bytes }
            // A delayed answer is an older one.
            let late = state.random.chance(0.2) ? Int(state.random.below(UInt64(published.count))) : 0
            return published[published.count - 1 - late]
        }
        return .note(note, etag: nil)
    }

    func resource(
        _ path: String,
        from source: LedgerClient.Source,
        limit: Int,
        deadline: Duration?,
        acceptsGzip: Bool,
        isBypassingCaches: Bool
    ) async throws(LedgerClientError) -> [UInt8] {
        guard !world.isLost() else { throw lost(source) }
        let bytes = source.role.isObserver ? await observed(source) : branch.resource(path)
        guard let bytes else { throw lost(source) }
        return bytes
    }

    /// What a peer trusts, or a witness stands by.
    private func observed(_ source: LedgerClient.Source) async -> [UInt8]? {
        if source.role == .peer {
            return await world.followers.withLockedValue { $0[source.index - 6] }.position.checkpoint
        }
        let memories = world.witnesses[source.index - 2]
        let memory = world.roll { Int($0.random.below(UInt64(memories.count))) }
        return try? await memories[memory].checkpoint(of: world.log.origin)
    }

    /// The history that the source shows now: that of the checkpoint it gave.
    private var branch: ForkedLog.Branch { world.log.branches[world.roll { $0.shown[watcher] }] }
}
