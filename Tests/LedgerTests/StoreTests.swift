import Contracts
import Foundation
import GRDB
import TestSupport
import Testing

@testable import Ledger

@Suite("LedgerStore")
struct StoreTests {
    private func store(_ made: TestLedger.Made) throws -> LedgerStore {
        try LedgerStore(path: "\(made.directory)/ledger.db")
    }

    @Test("really has synchronous FULL, WAL and foreign keys on its writing connection")
    func pragmas() throws {
        let store = try store(TestLedger.Made())
        defer { try? store.close() }
        // The writing block runs on the one connection that writes.
        let found: [String?] = try store.writeBlocking { database in
            try ["synchronous", "journal_mode", "foreign_keys"].map { name in
                try String.fetchOne(database, sql: "PRAGMA \(name)")
            }
        }
        #expect(found == ["2", "wal", "1"])
    }

    static let forbidden = [
        "UPDATE entry SET leaf = x'00' WHERE idx = 0", "DELETE FROM entry", "UPDATE outcome SET canonical = x'00'",
        "DELETE FROM outcome", "DELETE FROM head", "UPDATE head SET size = 0", "DELETE FROM sign_guard",
        "UPDATE sign_guard SET size = 0", "UPDATE sign_guard SET root = zeroblob(32)", "DELETE FROM checkpoint",
        "UPDATE checkpoint SET note = x'00'", "DELETE FROM tile_root", "UPDATE tile_root SET hash = zeroblob(32)",
        "INSERT INTO entry (idx, leaf, leaf_hash, txid, code) VALUES (9999, x'00', zeroblob(32), zeroblob(32), 'ok')",
        "INSERT INTO outcome (idx, canonical) VALUES (9999, x'00')",
    ]

    @Test("does not let anybody change what was logged or signed", arguments: forbidden)
    func appendOnly(statement: String) async throws {
        let made = try TestLedger.Made()
        try await made.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            try await ledger.log(twin.creation)
            // Enough for a full tile.
            if statement.contains("tile_root") {
                for name in 0..<256 { try await ledger.log(twin.next("name.create", ["name": .string("n-\(name)")])) }
            }
        }
        // Any program that opens the file meets the triggers.
        let queue = try DatabaseQueue(path: "\(made.directory)/ledger.db")
        #expect(throws: DatabaseError.self) { try queue.write { try $0.execute(sql: statement) } }
        try queue.close()
        try made.check()
    }

    @Test("commits a batch onto exactly one head, and all of it or nothing")
    func compareAndSwap() async throws {
        let made = try TestLedger.Made()
        let store = try store(made)
        defer { try? store.close() }
        let stored = try store.restore()
        let entry = try TestTwin(made.ledgerID).creation
        var state = stored.state
        guard case .outcome(let outcome) = state.fold(entry.leaf) else { return }
        var tree = stored.head.tree
        let hash = MerkleTree.leafHash(entry.leaf)
        tree.append(hash)
        var batch = Batch(base: 1, head: LogHead(tree: tree, outcomes: state.outcomes))
        batch.entries = [
            LogEntry(
                index: 1,
                leaf: entry.leaf,
                leafHash: hash,
                id: entry.id,
                code: outcome.code,
                outcome: outcome.canonical
            )
        ]
        batch.changes = state.takeChanges()
        var stale = batch
        stale.base = 0
        await #expect(throws: StoreError.headMoved(expected: 0, found: 1)) { try await store.commit(stale) }
        // The last statement of the transaction fails: the entries and the state before it go too.
        var broken = batch
        broken.tileRoots = [TileRoot(level: 9, index: 0, hash: .zero)]
        await #expect(throws: DatabaseError.self) { try await store.commit(broken) }
        #expect(try await store.head() == stored.head)
        let twin = try store.restore().state.twin(entry.id)
        #expect(twin == nil)
        try await store.commit(batch)
        #expect(try await store.head() == batch.head)
        try made.check()
    }

    @Test(
        "refuses a file that is no ledger, of another version, or altered",
        arguments: [
            "PRAGMA application_id = 1", "PRAGMA user_version = 2",
            "DROP TRIGGER entry_unchanged; UPDATE entry SET leaf = x'00'",
            "DROP TRIGGER entry_unchanged; UPDATE entry SET leaf_hash = zeroblob(32)",
            "DROP TRIGGER head_grows; UPDATE head SET root = zeroblob(32)",
            "DROP TRIGGER head_grows; UPDATE head SET size = 7", "DELETE FROM state WHERE key = 'ledger/meta'",
            "UPDATE state SET value = x'7b7d' WHERE key = 'ledger/time'",
        ]
    )
    func altered(statement: String) throws {
        let made = try TestLedger.Made()
        let queue = try DatabaseQueue(path: "\(made.directory)/ledger.db")
        try queue.writeWithoutTransaction { try $0.execute(sql: statement) }
        try queue.close()
        #expect(throws: StoreError.self) { try LedgerDirectory.open(at: made.directory, isDevelopment: true) }
    }

    @Test("keeps tile roots exactly as a tree of any size needs them")
    func edge() {
        var edge = TreeEdge()
        var completed: [TileRoot] = []
        var tree = CompactRange()
        for number in 0..<66_000 {
            let hash = Digest.sha256(Array("\(number)".utf8))
            completed += edge.append(hash)
            tree.append(hash)
        }
        #expect(completed.filter { $0.level == 1 }.map(\.index) == Array(0..<257))
        #expect(completed.filter { $0.level == 2 }.map(\.index) == [0])
        #expect(edge.partialTiles.map(\.count) == [66_000 % 256, 257 % 256, 1])
        // The same tree, put together from the edge.
        let hashes = edge.partialTiles.reversed().flatMap { tile -> [Digest] in
            var range = CompactRange()
            for hash in tile { range.append(hash) }
            return range.hashes
        }
        #expect(CompactRange(size: 66_000, hashes: hashes) == tree)
        #expect(TreeEdge(size: 66_000, partialTiles: edge.partialTiles) == edge)
        #expect(TreeEdge(size: 65_999, partialTiles: edge.partialTiles) == nil)
    }
}

@Suite("LedgerDirectory")
struct StoreDirectoryTests {
    private func genesis(_ change: (inout LedgerDirectory.Genesis) -> Void = { _ in }) -> LedgerDirectory.Genesis {
        var genesis = LedgerDirectory.Genesis(origin: "a.test", name: "A", policy: .none, time: 1_000_000)
        change(&genesis)
        return genesis
    }

    @Test("makes keys that only their owner reads, and a ledger that the fold accepts")
    func initialises() throws {
        let made = try TestLedger.Made()
        for name in ["root.key", "ledger.key"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(made.directory)/\(name)")
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
            let key = try SigningKey(seed: made.seed(name))
            let text = try String(contentsOfFile: "\(made.directory)/\(name).pub", encoding: .utf8)
            #expect(text == "\(key.publicKey.hex)\n")
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: made.directory).sorted()
        #expect(names == ["ledger.db", "ledger.key", "ledger.key.pub", "root.key", "root.key.pub"])
        let state = try made.state()
        let (id, keys) = (state.ledgerID, state.ledgerKeys)
        #expect(id == made.ledgerID)
        #expect(keys == [made.verifierKey])
        try made.check()
    }

    @Test("never overwrites anything")
    func neverOverwrites() throws {
        let made = try TestLedger.Made()
        let before = try made.seed("root.key")
        #expect(throws: LedgerDirectoryError.notEmpty(made.directory)) {
            try LedgerDirectory.initialise(at: made.directory, genesis())
        }
        #expect(try made.seed("root.key") == before)
    }

    @Test("begins again where an interrupted attempt left its folder")
    func interrupted() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.path("ledger/.init-1"),
            withIntermediateDirectories: true
        )
        try Data("half a key".utf8).write(to: URL(fileURLWithPath: folder.path("ledger/.init-1/root.key")))
        _ = try LedgerDirectory.initialise(at: folder.path("ledger"), genesis())
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("ledger"))
        #expect(names.count == 5)
    }

    @Test("refuses an origin, a name or a reserved name that the fold would refuse, and leaves nothing behind")
    func refusesNames() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("ledger")
        #expect(throws: LedgerDirectoryError.origin("UPPER")) {
            try LedgerDirectory.initialise(at: path, genesis { $0.origin = "UPPER" })
        }
        #expect(throws: LedgerDirectoryError.name("")) {
            try LedgerDirectory.initialise(at: path, genesis { $0.name = "" })
        }
        #expect(throws: LedgerDirectoryError.reservedName("-")) {
            try LedgerDirectory.initialise(at: path, genesis { $0.reserved = ["-"] })
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("is held by one process at a time")
    func locks() async throws {
        let made = try TestLedger.Made()
        try await made.serving { _ in
            #expect(throws: LedgerDirectoryError.inUse(made.directory)) {
                try LedgerDirectory.open(at: made.directory, isDevelopment: true)
            }
        }
        let opened = try LedgerDirectory.open(at: made.directory, isDevelopment: true)
        opened.lock.release()
        try opened.store.close()
    }

    @Test("refuses to serve without witnesses unless it is told that this is a trial")
    func quorumNone() throws {
        let made = try TestLedger.Made()
        #expect(throws: LedgerDirectoryError.quorumNone(made.directory)) {
            try LedgerDirectory.open(at: made.directory, isDevelopment: false)
        }
    }

    @Test(
        "refuses to serve under a policy whose witnesses it cannot ask, and serves when it can",
        arguments: [true, false]
    )
    func quorumOfWitnesses(isDevelopment: Bool) throws {
        let key = try SigningKey(seed: Array(repeating: 3, count: 32))
        let witness = VerifierKey(name: "w.test", type: VerifierKey.cosignatureType, key: key.publicKey)
        let policy = try #require(WitnessPolicy("witness w \(witness)\nquorum w\n"))
        let made = try TestLedger.Made(policy: policy)
        let file = "\(made.directory)/witnesses"
        func refuses(because reason: String) {
            let error = #expect(throws: LedgerDirectoryError.self) {
                try LedgerDirectory.open(at: made.directory, isDevelopment: isDevelopment)
            }
            let sentence = error?.description ?? ""
            #expect(sentence.contains(reason), "\(sentence)")
        }
        refuses(because: "0 of the policy's witnesses")
        try "# where\n\(witness)\n".write(toFile: file, atomically: true, encoding: .utf8)
        refuses(because: "line 2 is not")
        try "\(witness) http://127.0.0.1:1\n".write(toFile: file, atomically: true, encoding: .utf8)
        let opened = try LedgerDirectory.open(at: made.directory, isDevelopment: isDevelopment)
        try opened.store.close()
        opened.lock.release()
    }

    @Test("refuses a key file that others may read, that is malformed, or that is of another ledger")
    func keyFiles() throws {
        let made = try TestLedger.Made()
        let path = "\(made.directory)/ledger.key"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        func put(_ text: String, mode: Int = 0o600) throws {
            try text.write(toFile: path, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }
        func refuses() {
            #expect(throws: LedgerDirectoryError.self) {
                try LedgerDirectory.open(at: made.directory, isDevelopment: true)
            }
        }
        try put(text, mode: 0o644)
        refuses()
        try put("nonsense\n")
        refuses()
        try put(String(repeating: "11", count: 32) + "\n")
        refuses()
        try FileManager.default.removeItem(atPath: path)
        refuses()
        try put(text)
        let opened = try LedgerDirectory.open(at: made.directory, isDevelopment: true)
        opened.lock.release()
        try opened.store.close()
    }
}
