internal import GRDB

/// The tables of a ledger's database.
///
/// Entries, outcomes and tile roots can be added in order and never be changed: the triggers hold for every program
/// that opens the file, not only for this one. Sizes and indices are below 2^53.
enum Schema {
    /// "webg", so that another program's database is not mistaken for a ledger.
    static let applicationID = 0x7765_6267
    static let version = 1

    static let statements = """
        CREATE TABLE meta (
            name TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE entry (
            idx INTEGER NOT NULL PRIMARY KEY CHECK (idx >= 0),
            leaf BLOB NOT NULL,
            leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
            txid BLOB NOT NULL CHECK (length(txid) = 32),
            code TEXT NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX entry_txid ON entry (txid) WHERE code = 'ok';

        CREATE TABLE outcome (
            idx INTEGER NOT NULL PRIMARY KEY REFERENCES entry (idx),
            canonical BLOB NOT NULL
        ) STRICT;

        -- Roots of full hash tiles: the hashes of tile level 1 and above.
        CREATE TABLE tile_root (
            level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 7),
            idx INTEGER NOT NULL CHECK (idx >= 0),
            hash BLOB NOT NULL CHECK (length(hash) = 32),
            PRIMARY KEY (level, idx)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE state (
            key TEXT NOT NULL PRIMARY KEY,
            value BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- One row. The ranges are the hashes of the compact ranges over leaves and outcomes.
        CREATE TABLE head (
            id INTEGER NOT NULL PRIMARY KEY CHECK (id = 0),
            size INTEGER NOT NULL CHECK (size >= 0),
            root BLOB NOT NULL CHECK (length(root) = 32),
            tree_range BLOB NOT NULL,
            outcome_range BLOB NOT NULL
        ) STRICT;

        -- One row: the last tree that was, or was about to be, signed.
        CREATE TABLE sign_guard (
            id INTEGER NOT NULL PRIMARY KEY CHECK (id = 0),
            size INTEGER NOT NULL CHECK (size >= 0),
            root BLOB NOT NULL CHECK (length(root) = 32)
        ) STRICT;

        CREATE TABLE checkpoint (
            size INTEGER NOT NULL PRIMARY KEY CHECK (size > 0),
            note BLOB NOT NULL
        ) STRICT;

        CREATE TRIGGER entry_in_order BEFORE INSERT ON entry
        WHEN NEW.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM entry)
        BEGIN SELECT raise(ABORT, 'entries are appended in order'); END;
        CREATE TRIGGER entry_kept BEFORE DELETE ON entry
        BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
        CREATE TRIGGER entry_unchanged BEFORE UPDATE ON entry
        BEGIN SELECT raise(ABORT, 'entries are append-only'); END;

        CREATE TRIGGER outcome_kept BEFORE DELETE ON outcome
        BEGIN SELECT raise(ABORT, 'outcomes are append-only'); END;
        CREATE TRIGGER outcome_unchanged BEFORE UPDATE ON outcome
        BEGIN SELECT raise(ABORT, 'outcomes are append-only'); END;

        CREATE TRIGGER tile_root_kept BEFORE DELETE ON tile_root
        BEGIN SELECT raise(ABORT, 'tile roots are append-only'); END;
        CREATE TRIGGER tile_root_unchanged BEFORE UPDATE ON tile_root
        BEGIN SELECT raise(ABORT, 'tile roots are append-only'); END;

        CREATE TRIGGER head_kept BEFORE DELETE ON head
        BEGIN SELECT raise(ABORT, 'the head is never removed'); END;
        CREATE TRIGGER head_grows BEFORE UPDATE ON head
        WHEN NEW.size <= OLD.size
        BEGIN SELECT raise(ABORT, 'the head only grows'); END;

        CREATE TRIGGER sign_guard_kept BEFORE DELETE ON sign_guard
        BEGIN SELECT raise(ABORT, 'the sign guard is never removed'); END;
        CREATE TRIGGER sign_guard_grows BEFORE UPDATE ON sign_guard
        WHEN NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root)
        BEGIN SELECT raise(ABORT, 'the sign guard only grows'); END;

        CREATE TRIGGER checkpoint_kept BEFORE DELETE ON checkpoint
        BEGIN SELECT raise(ABORT, 'checkpoints are kept'); END;
        CREATE TRIGGER checkpoint_unchanged BEFORE UPDATE ON checkpoint
        BEGIN SELECT raise(ABORT, 'checkpoints are kept'); END;
        """

    /// Makes the tables in an empty database, in the caller's transaction.
    static func create(_ database: Database) throws {
        try database.execute(sql: statements)
        try KeyChainTable.create(database)
        try database.execute(
            literal: """
                INSERT INTO head (id, size, root, tree_range, outcome_range)
                VALUES (0, 0, \(LedgerStore.blob(LogHead().root)), \(LedgerStore.blob([])), \(LedgerStore.blob([])))
                """
        )
        try database.execute(sql: "PRAGMA application_id = \(applicationID)")
        try database.execute(sql: "PRAGMA user_version = \(version)")
    }

    /// Refuses a file that is something else or of another version.
    static func check(_ database: Database) throws {
        let application = try Int.fetchOne(database, sql: "PRAGMA application_id")
        guard application == applicationID else { throw StoreError.unusable("the file is not a WebGW ledger") }
        let found = try Int.fetchOne(database, sql: "PRAGMA user_version")
        guard found == version else {
            throw StoreError.unusable("its schema has version \(found ?? 0), this gw-node knows version \(version)")
        }
    }
}
