import Contracts
import Logging
import Testing

@testable import Ledger

/// The trusted tree that every history of a log begins with: the shared entries up to a size, at quorum, followed by the real
/// steps of a watcher that starts from nothing.
struct SimulatedStart: Sendable {
    let size: Int
    let checkpoint: [UInt8]
    let leaves: [Digest]
    let follower: FollowerStart
    let configuration: WatcherConfiguration
    let witness: @Sendable (_ number: Int) -> Witness

    init(_ log: ForkedLog, _ keys: SimulatedKeys) async throws {
        size = 1
        let text = Checkpoint.text(origin: log.origin, size: 1, root: log.branches[0].roots[1])
        let line = SignedNote.Signature(
            name: log.ledgerVKey.name,
            hash: log.ledgerVKey.hash,
            blob: keys.sign(log.ledgerKey, text)
        )
        let signed = try #require(Checkpoint(note: SignedNote(text: text, signatures: [line])))
        witness = { number in
            Witness(
                identity: WitnessIdentity(verifierKey: log.witnessVKeys[number]) {
                    keys.sign(log.witnessKeys[number], $0)
                },
                store: WitnessMemory(WitnessedCheckpoint(checkpoint: signed, time: SimulatedWorld.now)),
                check: keys.check,
                clock: { SimulatedWorld.now }
            )
        }
        var note = signed
        for number in 0..<3 {
            let bytes = try #require(try await witness(number).checkpoint(of: log.origin))
            note = note.adding([try #require(try SignedNote(parsing: bytes).signatures.last)])
        }
        checkpoint = note.bytes
        leaves = [log.branches[0].hashes[0]]
        var configuration = WatcherConfiguration(urls: ["http://ledger"], ledgerID: log.ledgerID, stateDirectory: "")
        configuration.now = { SimulatedWorld.now }
        configuration.monotonic = { .zero }
        // Nothing stalls here: what does not come fails at once.
        configuration.patience = nil
        self.configuration = configuration
        let empty = FollowerStart(TrustedPosition(ledgerID: log.ledgerID), ContractState(), TrustStore.Memory())
        let first = LedgerFollower(
            configuration: configuration,
            client: OneBundle(
                checkpoint: checkpoint,
                bundle: try #require(log.branches[0].resource("/tile/entries/000.p/1"))
            ),
            store: FollowerMemory(),
            start: empty,
            logger: Logger(label: "simulation"),
            check: keys.check
        )
        _ = try await first.round(SimulatedTransport.ledger)
        follower = FollowerStart(await first.position, await first.state, TrustStore.Memory())
    }
}

/// Serves a log of one entry.
private struct OneBundle: LogTransport {
    let checkpoint: [UInt8]
    let bundle: [UInt8]

    var sources: [LedgerClient.Source] { [SimulatedTransport.ledger] }
    let limits = ClientLimits()

    func checkpoint(
        from source: LedgerClient.Source,
        after: UInt64?,
        wait: Int?,
        etag: String?
    ) async throws(LedgerClientError) -> LedgerClient.CheckpointAnswer { .note(checkpoint, etag: nil) }

    func resource(
        _ path: String,
        from source: LedgerClient.Source,
        limit: Int,
        deadline: Duration?,
        acceptsGzip: Bool,
        isBypassingCaches: Bool
    ) async throws(LedgerClientError) -> [UInt8] { bundle }
}
