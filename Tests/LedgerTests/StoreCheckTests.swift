import Contracts
import Foundation
import GRDB
import TestSupport
import Testing

@testable import Ledger

@Suite("ledger fsck")
struct StoreCheckTests {
    /// A ledger with names, a full tile, and several checkpoints.
    fileprivate static func filled(names: Int) async throws -> TestLedger.Made {
        let made = try TestLedger.Made()
        try await made.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            try await ledger.log(twin.creation)
            for number in 0..<4 { try await ledger.log(twin.next("name.create", ["name": .string("one-\(number)")])) }
            let rest = (4..<names).map { twin.next("name.create", ["name": .string("n-\($0)")]) }
            for entry in rest.dropLast() {
                #expect(try await ledger.post(entry.leaf, headers: [("Prefer", "respond-async")]).status == 202)
            }
            try await ledger.log(rest[rest.count - 1])
        }
        return made
    }

    @Test("accepts what the server wrote, and says what it found")
    func sound() async throws {
        let made = try await Self.filled(names: 300)
        let report = try await StoreCheck.run(directory: made.directory)
        #expect(report.fault == nil)
        #expect(report.ledgerID == made.ledgerID)
        #expect(report.size == 302)
        #expect(report.guardedSize == 302)
        #expect(report.checkpoints > 2)
        let store = try LedgerStore(path: "\(made.directory)/ledger.db")
        defer { try? store.close() }
        var stored = try store.restore()
        #expect(report.root == stored.head.root)
        #expect(report.outcomeRoot == stored.head.outcomes.root)
        let stateRoot = stored.state.stateRoot()
        #expect(report.stateRoot == stateRoot)
    }

    /// Tables with the columns whose bytes carry content.
    private static let columns: [(table: String, columns: [String])] = [
        ("entry", ["leaf", "leaf_hash", "txid", "code", "idx"]), ("outcome", ["canonical", "idx"]),
        ("tile_root", ["hash", "level", "idx"]), ("state", ["key", "value"]),
        ("head", ["size", "root", "tree_range", "outcome_range"]), ("sign_guard", ["size", "root"]),
        ("checkpoint", ["size", "note"]),
    ]

    @Test("finds every value that was altered by one bit, in whatever table, and says where", .timeLimit(.minutes(2)))
    func alteredValues() async throws {
        let made = try await Self.filled(names: 280)
        let seed = UInt64(ProcessInfo.processInfo.environment["WEBGW_SEED"] ?? "") ?? .random(in: 1...UInt64.max)
        print("WEBGW_SEED=\(seed)")
        var random = SplitMix64(seed: seed)
        let copy = Alteration(of: made)
        for (table, columns) in Self.columns {
            for column in columns {
                for _ in 0..<2 {
                    let place = try copy.flip(table, column, using: &random)
                    let report = try await StoreCheck.run(directory: copy.directory)
                    #expect(report.fault != nil, "\(table).\(column) \(place)")
                }
            }
        }
    }

    @Test(
        "names the table, the row and the rule",
        .sharesOneLedger,
        arguments: [
            ("UPDATE entry SET leaf_hash = zeroblob(32) WHERE idx = 3", "entry", "3", "entry.hash"),
            ("UPDATE entry SET code = 'seq.gap' WHERE idx = 2", "entry", "2", "entry.code"),
            ("UPDATE outcome SET canonical = x'00' WHERE idx = 4", "outcome", "4", "outcome.bytes"),
            ("UPDATE tile_root SET hash = zeroblob(32)", "tile_root", "1/0", "tile.hash"),
            ("DELETE FROM tile_root", "tile_root", "1/0", "tile.missing"),
            ("DELETE FROM state WHERE key = 'ledger/policy'", "state", "ledger/policy", "state.missing"),
            ("UPDATE state SET value = x'7b7d' WHERE key = 'ledger/time'", "state", "ledger/time", "state.value"),
            ("INSERT INTO state VALUES ('zzz', x'00')", "state", "zzz", "state.extra"),
            ("UPDATE head SET root = zeroblob(32)", "head", nil, "head.root"),
            ("UPDATE head SET size = 9999", "head", nil, "head.size"),
            ("UPDATE sign_guard SET size = 9999", "sign_guard", "9999", "guard.ahead"),
            ("UPDATE sign_guard SET root = zeroblob(32)", "sign_guard", "282", "guard.root"),
            ("DELETE FROM sign_guard", "sign_guard", nil, "guard.missing"),
            ("UPDATE checkpoint SET size = 9999 WHERE size = 282", "checkpoint", "9999", "checkpoint.bound"),
            ("UPDATE checkpoint SET note = x'00' WHERE size = 282", "checkpoint", "282", "checkpoint.form"),
            ("INSERT INTO meta VALUES ('a', 'b')", "meta", "a", "meta.unknown"),
            ("DROP TRIGGER entry_kept", "sqlite_schema", "trigger entry_kept", "file.schema"),
            ("CREATE TABLE stranger (a)", "sqlite_schema", "table stranger", "file.schema"),
            ("PRAGMA user_version = 99", "ledger.db", nil, "file.kind"),
        ] as [(String, String, String?, String)]
    )
    func names(statement: String, table: String, row: String?, rule: String) async throws {
        let copy = Alteration(of: try #require(SharedLedger.made))
        try copy.change { database in try database.execute(sql: statement) }
        let fault = try await StoreCheck.run(directory: copy.directory).fault
        #expect(fault?.table == table)
        #expect(fault?.row == row)
        #expect(fault?.rule == rule, "\(fault.map { "\($0)" } ?? "no fault")")
    }

    @Test("a flipped bit anywhere in the file is found, or has changed nothing that the file says")
    func alteredFile() async throws {
        let made = try await Self.filled(names: 20)
        let seed = UInt64(ProcessInfo.processInfo.environment["WEBGW_SEED"] ?? "") ?? .random(in: 1...UInt64.max)
        print("WEBGW_SEED=\(seed)")
        var random = SplitMix64(seed: seed)
        let copy = Alteration(of: made)
        try copy.refresh()
        let content = try copy.content()
        var found = 0
        for _ in 0..<150 {
            let place = try copy.flipByte(using: &random)
            if try await StoreCheck.run(directory: copy.directory).fault != nil {
                found += 1
            } else {
                // Free space, counters of SQLite and the like.
                #expect(try copy.content() == content, "byte \(place)")
            }
        }
        #expect(found > 20)
    }

    @Test("notices a database that was put back from an older copy, by the sign guard beside it")
    func olderCopy() async throws {
        let made = try TestLedger.Made()
        let twin = try TestTwin(made.ledgerID)
        try await made.serving { ledger in try await ledger.log(twin.creation) }
        let old = made.folder.path("old.db")
        try FileManager.default.copyItem(atPath: "\(made.directory)/ledger.db", toPath: old)
        try await made.serving { ledger in try await ledger.log(twin.next("name.create", ["name": "later"])) }
        try FileManager.default.removeItem(atPath: "\(made.directory)/ledger.db")
        try FileManager.default.copyItem(atPath: old, toPath: "\(made.directory)/ledger.db")
        let fault = try await StoreCheck.run(directory: made.directory).fault
        #expect(fault?.rule == "guard.ahead")
        #expect(fault?.table == "sign-guard")
    }
}

/// One ledger for the cases of a test, each of which works on a copy; removed with its folder after the last of them.
private enum SharedLedger {
    @TaskLocal static var made: TestLedger.Made?

    struct Trait: TestTrait, TestScoping {
        /// The scope of all cases, not of each.
        func scopeProvider(for test: Test, testCase: Test.Case?) -> Trait? { testCase == nil ? self : nil }

        func provideScope(
            for test: Test,
            testCase: Test.Case?,
            performing function: @concurrent @Sendable () async throws -> Void
        ) async throws {
            let made = try await StoreCheckTests.filled(names: 280)
            try await SharedLedger.$made.withValue(made, operation: function)
        }
    }
}

extension Trait where Self == SharedLedger.Trait {
    fileprivate static var sharesOneLedger: Self { SharedLedger.Trait() }
}

/// A copy of a ledger's directory, altered behind the back of its triggers and made anew for each alteration.
private struct Alteration {
    let made: TestLedger.Made
    let directory: String

    init(of made: TestLedger.Made) {
        self.made = made
        directory = made.folder.path("altered-\(UUID().uuidString)")
    }

    func refresh() throws {
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.copyItem(atPath: made.directory, toPath: directory)
    }

    /// Runs statements without triggers and checks in a fresh copy; the triggers are back afterwards, unless dropped.
    func change(_ body: (Database) throws -> Void) throws {
        try refresh()
        let queue = try DatabaseQueue(path: "\(directory)/ledger.db")
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF")
            let triggers = try Row.fetchAll(database, sql: "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            var dropped: Set<String> = []
            for row in triggers { try database.execute(sql: "DROP TRIGGER \(row["name"] as String)") }
            do {
                try body(database)
            } catch let error as DatabaseError where error.message?.contains("no such trigger") == true {
                // The alteration is a trigger that goes.
                dropped.insert(String(error.message?.split(separator: " ").last ?? ""))
            }
            for row in triggers where !dropped.contains(row["name"]) { try database.execute(sql: row["sql"]) }
            try database.checkpoint(.truncate)
        }
        try queue.close()
    }

    /// Flips one bit of one value of a random row; returns where.
    func flip(_ table: String, _ column: String, using random: inout SplitMix64) throws -> String {
        var generator = random
        var place = ""
        try change { database in
            let rows = try Row.fetchAll(database, sql: "SELECT \(column) FROM \(table)")
            let row = Int.random(in: 0..<rows.count, using: &generator)
            let value: DatabaseValue = rows[row][column]
            let altered: DatabaseValue
            switch value.storage {
            case .int64(let number):
                altered = (number ^ (1 << Int64.random(in: 0..<20, using: &generator))).databaseValue
            case .string(let text):
                var bytes = Array(text.utf8)
                bytes[.random(in: 0..<bytes.count, using: &generator)] ^= 1
                altered = String(decoding: bytes, as: UTF8.self).databaseValue
            case .blob(let data):
                var bytes = [UInt8](data)
                bytes[.random(in: 0..<bytes.count, using: &generator)] ^=
                    1 << UInt8.random(in: 0..<8, using: &generator)
                altered = Data(bytes).databaseValue
            default: altered = value
            }
            place = "row \(row)"
            // Integers of a key may meet another row; then that row is replaced, which is an alteration too.
            try database.execute(
                sql: """
                    UPDATE OR REPLACE \(table) SET \(column) = ? WHERE \(column) IS ?
                    """,
                arguments: [altered, value]
            )
        }
        random = generator
        return place
    }

    /// Flips one bit of a random byte of the database file.
    func flipByte(using random: inout SplitMix64) throws -> Int {
        try refresh()
        let url = URL(fileURLWithPath: "\(directory)/ledger.db")
        var bytes = try Data(contentsOf: url)
        let place = Int.random(in: 0..<bytes.count, using: &random)
        bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        try bytes.write(to: url)
        return place
    }

    /// All rows of all tables.
    func content() throws -> [String] {
        let queue = try DatabaseQueue(path: "\(directory)/ledger.db")
        defer { try? queue.close() }
        return try queue.read { database in
            let tables = try String.fetchAll(database, sql: "SELECT name FROM sqlite_schema WHERE type = 'table'")
            return try tables.flatMap { table in
                try Row.fetchAll(database, sql: "SELECT * FROM \(table)").map { "\(table) \($0)" }
            }
        }
    }
}
