import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

/// What a server between client and ledger does to the files of a snapshot.
struct SnapshotLie: Sendable, CustomTestStringConvertible {
    var name: String
    /// The code that the client gives.
    var code: String
    /// The answer to a path; nil for the ledger's own.
    var pervert: @Sendable (_ path: String, _ scene: SnapshotStarts.Scene, _ truth: [UInt8]) -> LyingServer.Reply?

    var testDescription: String { name }

    static func manifest(
        _ name: String,
        _ code: String,
        _ change: @escaping @Sendable (SnapshotStarts.Scene, SignedNote) -> [UInt8]
    ) -> SnapshotLie {
        SnapshotLie(name: name, code: code) { path, scene, truth in
            guard path.hasSuffix("/manifest"), let note = try? SignedNote(parsing: truth) else { return nil }
            return .respond(200, body: change(scene, note))
        }
    }
}

@Suite("A node starts from an attested snapshot, and from no other", .serialized)
struct SnapshotStarts {
    /// What a liar knows.
    struct Scene: Sendable {
        /// Folder of a mirror, whose key chain is served.
        var site: URL
        var size: UInt64
        var state: StateNote
        var keys: [(note: SigningKey, vkey: VerifierKey)]
    }

    static let lies: [SnapshotLie] = [
        SnapshotLie(name: "an altered bucket", code: "snapshot.mismatch") { path, _, truth in
            // Four bytes for each bucket are a chunk without rows.
            guard path.utf8.count > 3, path.dropLast(2).hasSuffix("/"), truth.count > 1024 else { return nil }
            var bytes = truth
            bytes[bytes.count / 2] ^= 1
            return .respond(200, body: bytes)
        },
        SnapshotLie(name: "a missing chunk", code: "snapshot.missing") { path, _, _ in
            path.hasSuffix("/7f") ? .respond(404) : nil
        },
        SnapshotLie(name: "an altered proof", code: "snapshot.mismatch") { path, _, truth in
            path.hasSuffix("/proof") ? .respond(200, body: [truth[0] ^ 1] + truth.dropFirst()) : nil
        },
        SnapshotLie(name: "the manifest of another size", code: "snapshot.note") { path, scene, truth in
            if path == "/snapshot/sizes" { return .respond(200, body: Array("\(scene.size + 1) attested\n".utf8)) }
            guard path == "/snapshot/\(scene.size + 1)/manifest" else { return nil }
            return .respond(200, body: scene.state.signed(by: scene.keys[0].note, as: scene.keys[0].vkey))
        },
        .manifest("a note by a stranger", "snapshot.quorum") { scene, note in
            let key = try! SigningKey(seed: [UInt8](repeating: 9, count: 32))
            let stranger = VerifierKey(name: "stranger", type: VerifierKey.noteType, key: key.publicKey)
            return SignedNote.signed(text: note.text, by: [(key, stranger), (scene.keys[0].note, scene.keys[0].vkey)])
                .bytes
        },
        .manifest("one auditor twice", "snapshot.quorum") { _, note in
            SignedNote(text: note.text, signatures: [note.signatures[0], note.signatures[0]]).bytes
        },
        .manifest("a forged line of an auditor", "snapshot.note") { scene, note in
            SignedNote.signed(
                text: note.text,
                by: [(scene.keys[1].note, scene.keys[0].vkey), (scene.keys[1].note, scene.keys[1].vkey)]
            ).bytes
        },
        .manifest("an attestation of another state root", "snapshot.mismatch") { scene, _ in
            var state = scene.state
            state.stateRoot = .sha256([1])
            return SignedNote.signed(text: state.text, by: scene.keys.map { ($0.note, $0.vkey) }).bytes
        },
        .manifest("an attestation of another log", "snapshot.log") { scene, _ in
            var state = scene.state
            state.root = .sha256([1])
            return SignedNote.signed(text: state.text, by: scene.keys.map { ($0.note, $0.vkey) }).bytes
        },
        SnapshotLie(name: "another key chain", code: "snapshot.keys") { path, _, truth in
            guard path.hasPrefix("/keyset/"), !truth.isEmpty else { return nil }
            var bytes = truth
            bytes[bytes.count - 20] ^= 1
            return .respond(200, body: bytes)
        },
    ]

    @Test("state, keys and everything that follows are those of a replay, and the truth is told from every lie")
    func starts() async throws {
        let deployment = try await Deployment(address: "127.0.0.1")
        let auditors = try await Auditors(deployment, names: ["ann", "bob"], quorum: 2)
        let size = try await auditors.offeredSize()
        try await auditors.attest("ann")
        try await auditors.attest("bob")
        try await deployment.makeTwin("user")
        let manifest = try SignedNote(parsing: [UInt8](try await auditors.get("/snapshot/\(size)/manifest").body))
        try await Self.mirror(deployment)
        let scene = Scene(
            site: deployment.folder.appendingPathComponent("site"),
            size: size,
            state: try #require(StateNote(text: manifest.text)),
            keys: auditors.members.map { ($0.noteKey, $0.auditor.key) }
        )
        let lie = NIOLockedValueBox<SnapshotLie?>(nil)
        let port = Int(deployment.ledgerPort)
        let answer: LyingServer.Answer = { await Self.answer($0, scene, lie, port) }
        try await LyingServer.serving(answer) { server in
            let flags = { (state: String) in
                [
                    "--ledger", server.url, "--ledger-id", deployment.ledgerID, "--dev", "--snapshot", "--state", state,
                    "--log-level", "info",
                ]
            }
            let honest = try await deployment.run(["contract", "list", "--key", "ann.key"] + flags("from-snapshot"))
            #expect(honest.errors.contains("started from an attested snapshot"))
            let bundles = server.requests.filter { $0.path.hasPrefix("/tile/entries/") }
            #expect(!bundles.isEmpty)
            try await deployment.run(["contract", "list", "--key", "ann.key"] + ledgerFlags(deployment, "replayed"))
            let started = try await roots(deployment, "from-snapshot", "replayed")
            #expect(started.0 == started.1)

            // What follows is folded on it, and a client with that state can act.
            let reserve = ["name", "reserve", "shop", "--key", "user.key"]
            try await deployment.run(reserve + flags("from-snapshot"))
            try await deployment.run(["contract", "list", "--key", "ann.key"] + ledgerFlags(deployment, "replayed"))
            let later = try await roots(deployment, "from-snapshot", "replayed")
            #expect(later.0 != started.0)
            #expect(later.0 == later.1)

            for (number, told) in Self.lies.enumerated() {
                lie.withLockedValue { $0 = told }
                let state = "lie-\(number)"
                let result = try await deployment.run(["contract", "list", "--key", "ann.key"] + flags(state))
                #expect(result.errors.contains(told.code), "\(told.name): \(result.errors)")
                #expect(!result.errors.contains("started from an attested snapshot"), "\(told.name)")
                let ends = try await roots(deployment, state, "replayed")
                #expect(ends.0 == ends.1, "\(told.name): the replay from genesis")
            }
        }
    }

    @Test("without an auditor quorum no snapshot is believed")
    func noQuorum() async throws {
        let deployment = try await Deployment(address: "127.0.0.1")
        var auditors = try await Auditors(deployment, names: ["ann"], quorum: 1)
        _ = try await auditors.offeredSize()
        try await auditors.attest("ann")
        try await auditors.setPolicy(auditors.members.map(\.auditor), quorum: 0)
        let lie = NIOLockedValueBox<SnapshotLie?>(nil)
        let port = Int(deployment.ledgerPort)
        try await Self.mirror(deployment)
        let scene = Scene(
            site: deployment.folder.appendingPathComponent("site"),
            size: 1,
            state: StateNote(origin: "x", size: 1, root: .zero, outcomeRoot: .zero, stateRoot: .zero),
            keys: []
        )
        let answer: LyingServer.Answer = { await Self.answer($0, scene, lie, port) }
        try await LyingServer.serving(answer) { server in
            let result = try await deployment.run([
                "contract", "list", "--key", "ann.key", "--ledger", server.url, "--ledger-id", deployment.ledgerID,
                "--dev", "--snapshot",
                "--state", "none",
            ])
            #expect(result.errors.contains("snapshot.quorum"))
        }
    }

    private static func mirror(_ deployment: Deployment) async throws {
        try await deployment.run([
            "ledger", "mirror", "site", "--once", "--ledger", deployment.ledgerURL, "--ledger-id", deployment.ledgerID,
            "--dev",
        ])
    }

    private func ledgerFlags(_ deployment: Deployment, _ state: String) -> [String] {
        ["--ledger", deployment.ledgerURL, "--ledger-id", deployment.ledgerID, "--dev", "--state", state]
    }

    /// The state roots that two state folders lead to at the same size, the newest. The ledger ticks meanwhile, which is
    /// another state: then both follow once more.
    private func roots(_ deployment: Deployment, _ first: String, _ second: String) async throws -> (Digest, Digest) {
        while true {
            let (one, other) = (try await end(deployment, first), try await end(deployment, second))
            if one.size == other.size { return (one.root, other.root) }
        }
    }

    private func end(_ deployment: Deployment, _ state: String) async throws -> (size: UInt64, root: Digest) {
        let watcher = try Watcher(
            configuration: WatcherConfiguration(
                urls: [deployment.ledgerURL],
                ledgerID: Identifier(hex: deployment.ledgerID)!,
                stateDirectory: deployment.folder.appendingPathComponent(state).path,
                isDev: true
            )
        )
        defer { watcher.shutdown() }
        var found = try await watcher.catchUp().state
        return (found.size, found.stateRoot())
    }

    private static func answer(
        _ request: LyingServer.Request,
        _ scene: Scene,
        _ lie: NIOLockedValueBox<SnapshotLie?>,
        _ port: Int
    ) async -> LyingServer.Reply {
        guard var truth = await LyingServer.forward(request, to: port) else { return .close }
        if request.path.hasPrefix("/keyset/"),
            let leaf = try? Data(contentsOf: scene.site.appendingPathComponent(request.path))
        {
            (truth.status, truth.body) = (200, [UInt8](leaf))
        }
        let body = truth.status == 200 ? truth.body : []
        if let told = lie.withLockedValue({ $0 }), let reply = told.pervert(request.path, scene, body) { return reply }
        return truth.reply
    }
}
