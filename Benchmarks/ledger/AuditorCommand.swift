import ArgumentParser
import Contracts
import Foundation
import Ledger

/// `auditor`: gives a served ledger an auditor and an attested snapshot of its newest state.
///
/// It signs the note that the ledger made and replays nothing: what is measured afterwards is the start from a snapshot.
struct AuditorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "auditor")

    @Argument var url: String
    @Option(transform: identifier) var ledger: Identifier
    @Option(help: "Directory that is served.") var folder: String
    @Option(help: "File for the auditor's key.") var key: String
    @Option(help: "Seed of the log.") var seed: UInt64 = 1

    func run() async throws {
        let client = try LedgerClient(urls: [url])
        defer { client.shutdown() }
        let now = Int64(Date().timeIntervalSince1970)
        var auditor = Principal(seed: seed, number: 0, role: "auditor")
        try await submit(auditor.join(ledger, now), client)
        let verifierKey = VerifierKey(
            name: "auditor.example.org",
            type: VerifierKey.noteType,
            key: auditor.key.publicKey
        )
        var root = Principal(seed: seed, number: 0, role: "root")
        root.id = ledger
        let policy = PolicySetBody(
            auditorQuorum: 1,
            auditors: auditor.id.map { [Auditor(twin: $0, key: verifierKey)] } ?? [],
            billing: [],
            policy: .none,
            version: 2
        )
        try await submit(root.act(.policySet(policy), ledger, now), client)
        var size: UInt64?
        while size == nil {
            try await Task.sleep(for: .milliseconds(100))
            size = try await client.snapshotSizes().first?.size
        }
        guard let size, let text = FileManager.default.contents(atPath: "\(folder)/snapshots/\(size)/state"),
            let note = StateNote(text: [UInt8](text))
        else { throw ValidationError("\(folder) has no snapshot") }
        let signed = note.signed(by: auditor.key, as: verifierKey)
        let answer = try await client.submit(stateNote: signed, size: size)
        guard case .taken(_, _, true) = answer else { throw ValidationError("the note was not taken: \(answer)") }
        let seed = Digest.sha256(Array("\(seed) 0 auditor".utf8)).hex
        _ = FileManager.default.createFile(
            atPath: key,
            contents: Data("\(seed)\n".utf8),
            attributes: [.posixPermissions: 0o600]
        )
        try report(["size": size])
    }

    private func submit(_ entry: UnsignedEntry, _ client: LedgerClient) async throws {
        let answer = try await client.submit(entry.signed)
        guard case .included = answer else { throw ValidationError("the ledger did not take an entry: \(answer)") }
    }
}
