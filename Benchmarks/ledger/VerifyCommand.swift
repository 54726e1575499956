import ArgumentParser
import Contracts
import Crypto
import Foundation
import Ledger

/// `verify`: how many signatures of a log one core, and all cores, verify a second when they do nothing else.
///
/// Messages, keys and signatures are in memory before the clock starts.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "verify")

    @Argument var folder: String
    @Option(help: "Entries to take from the log, evenly.") var sample = 50_000

    private struct Item: Sendable {
        let key: Curve25519.Signing.PublicKey
        let signature: [UInt8]
        let message: [UInt8]
    }

    func run() async throws {
        let items = try load()
        let before = clock()
        let one = await seconds { check(items[...]) }
        let cpu = Double(clock() - before) / Double(CLOCKS_PER_SEC)
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let share = (items.count + cores - 1) / cores
        let all = await seconds {
            await withTaskGroup(of: Void.self) { group in
                for start in stride(from: 0, to: items.count, by: share) {
                    group.addTask { check(items[start..<min(start + share, items.count)]) }
                }
            }
        }
        try report([
            "signatures": items.count, "cores": cores, "one_core_per_second": Double(items.count) / one,
            "all_cores_per_second": Double(items.count) / all, "cpu_us": cpu * 1e6 / Double(items.count),
        ])
    }

    private func check(_ items: ArraySlice<Item>) {
        for item in items {
            precondition(item.key.isValidSignature(item.signature, for: item.message), "the log has a bad signature")
        }
    }

    /// Reads every bundle, because keys stand where they were announced, and keeps a sample of the signatures.
    private func load() throws -> [Item] {
        let note = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/checkpoint"))
        let size = try Checkpoint(parsing: [UInt8](note)).size
        let paths = TilePath.all(.entries, size: size)
        // Whole bundles from the beginning: a signer is announced shortly before it signs.
        let count = min(paths.count, (sample + 255) / 256)
        var keys: [KeyID: PublicKey] = [:]
        var items: [Item] = []
        for path in paths[..<count] {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(path)"))
            for leaf in EntryBundle.decode([UInt8](bytes)) ?? [] {
                guard case .entry(let entry) = ParsedEntry(leaf: leaf) else { continue }
                switch entry.body {
                case .genesis(let body):
                    learn(body.root.keys.keys + body.keys.map(\.key), &keys)
                case .twinCreate(let body):
                    learn(body.keys.owner.keys.keys, &keys)
                default:
                    break
                }
                let message = entry.envelope.signedBytes
                for (id, signature) in entry.envelope.signatures {
                    guard let key = keys[id] else { continue }
                    items.append(
                        Item(
                            key: try Curve25519.Signing.PublicKey(rawRepresentation: key.bytes),
                            signature: signature,
                            message: message
                        )
                    )
                }
            }
        }
        return items
    }

    private func learn(_ new: [PublicKey], _ keys: inout [KeyID: PublicKey]) {
        for key in new { keys[key.keyID] = key }
    }
}
