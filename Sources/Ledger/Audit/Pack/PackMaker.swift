public import Contracts
import Foundation

/// Makes a fixture pack of a log (section 13): its files, what a replay of it yields, and attacks on it.
///
/// The same log, checkpoint and keys give the same bytes.
public struct PackMaker: Sendable {
    /// The pinned ledger, and how its checkpoint is judged.
    public var audit: AuditOptions

    /// The key that signs MANIFEST, under the name of its verifier key.
    public var manifestKey: (key: SigningKey, verifierKey: VerifierKey)

    /// The ledger's own key; with it the pack has forks, without it only attacks that a stranger can make.
    public var ledgerKey: SigningKey?

    /// Keys of witnesses who cosign the forks, so that these are judged behind the quorum.
    public var witnessKeys: [SigningKey]

    /// Whether the pack has tampered envelopes and attack files.
    public var hasAttacks: Bool

    public init(
        audit: AuditOptions,
        manifestKey: (key: SigningKey, verifierKey: VerifierKey),
        ledgerKey: SigningKey? = nil,
        witnessKeys: [SigningKey] = [],
        hasAttacks: Bool = true
    ) {
        self.audit = audit
        self.manifestKey = manifestKey
        self.ledgerKey = ledgerKey
        self.witnessKeys = witnessKeys
        self.hasAttacks = hasAttacks
    }

    /// Writes the pack into a folder that does not exist yet: all of it, or nothing.
    ///
    /// A log that does not hold is an `AuditFailure`. Tampered envelopes and attack files are listed with what the replay of
    /// the pack makes of them.
    public func make(
        from source: any LogSource,
        into folder: String,
        progress: (UInt64) -> Void = { _ in }
    ) async throws -> AuditReport {
        let draft = "\(folder).\(UInt64.random(in: .min ... .max)).part"
        do {
            let writer = try PackWriter(draft)
            let report = try await write(source, writer, progress)
            try FileManager.default.moveItem(atPath: draft, toPath: folder)
            return report
        } catch {
            try? FileManager.default.removeItem(atPath: draft)
            if let error = error as? LogUnreadable { throw error.failure }
            throw error
        }
    }

    private func write(
        _ source: any LogSource,
        _ writer: PackWriter,
        _ progress: (UInt64) -> Void
    ) async throws -> AuditReport {
        let leaves = try await LogAudit.leaves(from: source)
        let checkpoint = leaves.checkpoint
        try writer.write("checkpoint", checkpoint.bytes)
        var tiles = PackTiles(size: checkpoint.size)
        try await tiles.copy(leaves, from: source, to: writer)

        var recorder = PackRecorder(size: checkpoint.size, samples: hasAttacks ? tiles.samples : [:])
        var replay = LogReplay()
        try await LogAudit.fold(
            leaves,
            from: source,
            ledgerID: audit.ledgerID,
            into: &replay,
            observe: { recorder.observe(&$0, $1) },
            progress: progress
        )
        let judged = try replay.judge(checkpoint, dev: audit.dev, localNow: audit.localNow).get()
        try writer.write("outcomes.jsonl", recorder.outcomes)
        try writer.write("expect.json", recorder.expectation(&replay, ledger: audit.ledgerID).canonical)
        let policy = replay.state.ledgerKeys.map { "log \($0)\n" }.joined() + replay.state.policyText
        try writer.write("policy.txt", Array(policy.utf8))
        try writer.write("state.txt", Self.rows(replay.state))

        let forger = AttackForger(
            checkpoint: checkpoint,
            tree: tiles,
            policy: replay.state.policy ?? .none,
            time: judged.quorumTime ?? audit.localNow,
            ledgerKey: signer(in: replay.state.ledgerKeys),
            witnessKeys: witnessKeys
        )
        let attacks = hasAttacks ? forger.attacks : []
        for attack in attacks { try writer.write("attack/\(attack.file)", attack.bytes) }
        try await judge(recorder.tampered, attacks, writer)

        let text = PackManifest.text(ledger: audit.ledgerID, files: writer.files)
        let note = SignedNote.signed(text: text, by: [manifestKey])
        try writer.write("MANIFEST", note.bytes)
        var options = audit
        options.manifestKey = manifestKey.verifierKey
        options.each = true
        let pack = LogFolder(path: writer.folder)
        let report = try await AuditReplay.run(pack, pack: pack.pack, options: options)
        if let failure = report.failures.first { throw failure }
        return report
    }

    /// Lists the cases with what the replay says about each.
    private func judge(_ tampered: [PackCase], _ attacks: [PackCase], _ writer: PackWriter) async throws {
        try list(tampered, attacks, [], writer)
        var options = audit
        options.manifestKey = nil
        options.each = true
        let pack = LogFolder(path: writer.folder)
        let report = try await AuditReplay.run(pack, pack: pack.pack, options: options)
        guard let verdicts = report.each, verdicts.count == tampered.count + attacks.count else {
            throw report.failures.first ?? AuditFailure(code: "pack", "the pack cannot be replayed")
        }
        // The replay judges envelopes in the order of the entries; names are unique.
        try list(tampered, attacks, verdicts, writer)
    }

    private func list(
        _ tampered: [PackCase],
        _ attacks: [PackCase],
        _ verdicts: [CaseVerdict],
        _ writer: PackWriter
    ) throws {
        let results = Dictionary(verdicts.map { ($0.name, $0.got) }, uniquingKeysWith: { first, _ in first })
        let envelopes = tampered.map { element -> JSONValue in
            [
                "after": .integer(Int64(element.after)), "envelope": .string(Base64.encode(element.bytes)),
                "expect": .string(results[element.file] ?? "?"), "name": .string(element.file),
            ]
        }
        let files = attacks.map { element -> JSONValue in
            [
                "expect": .string(results[element.file] ?? "?"), "file": .string(element.file),
                "kind": .string(element.kind.rawValue), "trusted": .integer(Int64(element.after)),
            ]
        }
        try writer.write("tampered.json", JSONValue.array(envelopes).canonical)
        try writer.write("attack/index.json", JSONValue.array(files).canonical)
    }

    private func signer(in keys: [VerifierKey]) -> (key: SigningKey, verifierKey: VerifierKey)? {
        guard let ledgerKey, let verifierKey = keys.first(where: { $0.key == ledgerKey.publicKey }) else { return nil }
        return (ledgerKey, verifierKey)
    }

    private static func rows(_ state: ContractState) -> [UInt8] {
        state.rows.flatMap { Array($0.key.utf8) + [0x20] + $0.value + [0x0A] }
    }
}

/// An envelope or a file that a pack lists with the result that it must get.
struct PackCase: Sendable {
    /// Name of the envelope, or of the file below `attack/`.
    var file: String
    var kind: AttackCase.Kind = .checkpoint
    /// Entries before it.
    var after: UInt64
    var bytes: [UInt8]
}

/// Writes the files of a pack and remembers what MANIFEST says about each.
final class PackWriter {
    let folder: String
    private var written: [String: PackManifest.File] = [:]

    init(_ folder: String) throws {
        self.folder = folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    var files: [PackManifest.File] { Array(written.values) }

    /// Writes a file, or writes it anew.
    func write(_ path: String, _ bytes: [UInt8]) throws {
        let url = URL(fileURLWithPath: folder, isDirectory: true).appending(path: path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
        written[path] = PackManifest.File(digest: .sha256(bytes), size: UInt64(bytes.count), path: path)
    }
}
