import ArgumentParser
import Contracts
import Foundation
import Ledger

/// `make`: a log of so many valid entries, as a ledger's directory and as a folder of tiles.
struct MakeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "make")

    @Argument var folder: String
    @Option var entries: Int
    @Option var seed: UInt64 = 1
    @Option(help: "Ledger time after the last entry.") var end: Int64

    /// Worlds that are under way at the same time.
    private static let open = 64
    /// Entries of one world.
    private static let life = 500
    private static let entriesPerTick = 200
    private static let secondsPerTick: Timestamp = 60
    private static let origin = "bench.example.org"
    private static let chunk = 16_384

    func run() async throws {
        let root = Principal(seed: seed, number: 0, role: "root").key
        let signer = Principal(seed: seed, number: 0, role: "ledger").key
        let verifier = VerifierKey(name: Self.origin, type: VerifierKey.noteType, key: signer.publicKey)
        let ticks = Timestamp(entries / Self.entriesPerTick)
        var now = end - ticks * Self.secondsPerTick
        let genesis = GenesisBody(
            keys: [verifier],
            limits: LedgerDirectory.usualLimits,
            name: "Benchmark",
            origin: Self.origin,
            policy: .none,
            reserved: [],
            root: Quorum([root.publicKey]),
            time: now
        )
        let first = UnsignedEntry(.genesis(genesis, signer: root.keyID), [root])
        let ledger = first.id

        let writer = try LedgerWriter(
            at: "\(folder)/ledger",
            origin: Self.origin,
            rootKey: root,
            ledgerKey: signer
        )
        var tiles = TileFolder(path: "\(folder)/tiles")
        var worlds = (0..<Self.open).map {
            (world: World(ledger: ledger, seed: seed, number: UInt64($0)), left: $0 * 8)
        }
        var nextWorld = UInt64(Self.open)
        var random = SplitMix64(seed: seed)
        var sequence: Int64 = 0
        var pending = [first]
        var made = 1
        var (signatures, bytes) = (0, 0)
        while made < entries || !pending.isEmpty {
            while made < entries, pending.count < Self.chunk {
                if made % Self.entriesPerTick == 0 {
                    sequence += 1
                    let draft = EntryDraft(
                        .tick(TickBody(time: now + Self.secondsPerTick)),
                        ledger: ledger,
                        account: ledger,
                        signer: signer.keyID,
                        seq: sequence,
                        expires: now + 86_400
                    )
                    pending.append(UnsignedEntry(draft, [signer]))
                    now += Self.secondsPerTick
                } else {
                    let place = Int(random.next() % UInt64(worlds.count))
                    pending.append(worlds[place].world.next(now: now))
                    worlds[place].left += 1
                    if worlds[place].left >= Self.life {
                        worlds[place] = (World(ledger: ledger, seed: seed, number: nextWorld), 0)
                        nextWorld += 1
                    }
                }
                made += 1
            }
            let signed = await onAllCores(pending) { entry in
                let envelope = entry.signed
                let leaf = envelope.leaf
                return (parsed: ParsedEntry(envelope: envelope), leaf: leaf, leafHash: MerkleTree.leafHash(leaf))
            }
            try writer.append(signed)
            for entry in signed {
                try tiles.append(entry.leaf, entry.leafHash)
                bytes += entry.leaf.count
            }
            signatures += pending.reduce(0) { $0 + $1.keys.count }
            pending = []
        }
        try tiles.finish(checkpoint: try await writer.finish())
        let description: [String: Any] = [
            "ledger_id": ledger.hex, "entries": entries, "signatures": signatures, "bytes": bytes, "end": now,
        ]
        let data = try JSONSerialization.data(withJSONObject: description, options: [.sortedKeys])
        try data.write(to: URL(fileURLWithPath: "\(folder)/log.json"))
        try report(description)
    }
}
