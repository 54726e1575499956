public import Contracts
internal import Foundation

extension LedgerDirectory {
    /// What a new ledger is told about itself.
    public struct Genesis: Sendable {
        public var origin: String
        public var name: String
        public var policy: WitnessPolicy
        public var limits: LedgerLimits
        /// Names that nobody can create.
        public var reserved: [String]
        public var time: Timestamp
        /// Where the witnesses of the policy are.
        public var witnesses: [WitnessRoster.Member]

        public init(
            origin: String,
            name: String,
            policy: WitnessPolicy,
            limits: LedgerLimits = LedgerDirectory.usualLimits,
            reserved: [String] = [],
            time: Timestamp,
            witnesses: [WitnessRoster.Member] = []
        ) {
            self.origin = origin
            self.name = name
            self.policy = policy
            self.limits = limits
            self.reserved = reserved
            self.time = time
            self.witnesses = witnesses
        }
    }

    /// Limits of a new ledger. One twin may have 10,000 live contracts and 1,000 names, so that it cannot fill the
    /// state of every gateway; an unfunded contract has a week; a deleted one is remembered for a month; a contract
    /// lasts a year at most; ledger time moves once a minute.
    public static let usualLimits = LedgerLimits(
        contracts: 10_000,
        grace: 604_800,
        names: 1_000,
        purge: 2_592_000,
        term: 31_536_000,
        tickMinimum: 60
    )

    /// Makes keys, database and genesis in a directory that is empty or absent.
    ///
    /// All is written to a folder inside first; a crash leaves that folder and no ledger, and the next call removes it.
    /// - Returns: the ledger id, which everybody pins, and the key that its checkpoints are verified with.
    public static func initialise(
        at path: String,
        _ genesis: Genesis
    ) throws -> (ledgerID: Identifier, verifierKey: VerifierKey) {
        try check(genesis)
        let rootKey = newKey()
        let ledgerKey = newKey()
        let leaf = leaf(of: genesis, rootKey: rootKey, ledgerKey: ledgerKey)
        return try fill(path) { folder in
            try write(rootKey, "\(folder)/\(Self.rootKey)")
            try write(ledgerKey, "\(folder)/\(Self.ledgerKey)")
            let id = try makeDatabase("\(folder)/\(database)", genesis: leaf)
            if !genesis.witnesses.isEmpty { try write(genesis.witnesses, "\(folder)/\(WitnessRoster.fileName)") }
            return (id, CheckpointSigner.verifierKey(ledgerKey, origin: genesis.origin))
        }
    }

    /// Lets `make` write the files of a new ledger into a folder inside `path`, and moves them to their places, the
    /// database last: a directory with a database has its keys.
    static func fill<Made>(_ path: String, _ make: (_ folder: String) throws -> Made) throws -> Made {
        let files = FileManager.default
        do {
            try files.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
            for name in try files.contentsOfDirectory(atPath: path) {
                guard name.hasPrefix(staging) else { throw LedgerDirectoryError.notEmpty(path) }
                try files.removeItem(atPath: "\(path)/\(name)")
            }
            let folder = "\(path)/\(staging)\(UInt64.random(in: .min ... .max))"
            try files.createDirectory(
                atPath: folder,
                withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700]
            )
            do {
                let made = try make(folder)
                for name in try files.contentsOfDirectory(atPath: folder).filter({ $0 != database }) + [database] {
                    try files.moveItem(atPath: "\(folder)/\(name)", toPath: "\(path)/\(name)")
                }
                try files.removeItem(atPath: folder)
                try synchronise(path)
                // At this point the ledger survives a power cut.
                return made
            } catch {
                try? files.removeItem(atPath: folder)
                throw error
            }
        } catch let error as CocoaError {
            throw LedgerDirectoryError.notWritable(path, reason: reason(error))
        }
    }

    private static let staging = ".init-"

    private static func check(_ genesis: Genesis) throws {
        guard Grammar.isOrigin(genesis.origin) else { throw LedgerDirectoryError.origin(genesis.origin) }
        guard (1...64).contains(genesis.name.utf8.count), !genesis.name.utf8.contains(where: { $0 < 0x20 }) else {
            throw LedgerDirectoryError.name(genesis.name)
        }
        for name in genesis.reserved where !Grammar.isName(name) || genesis.reserved.count > 64 {
            throw LedgerDirectoryError.reservedName(name)
        }
    }

    private static func newKey() -> SigningKey {
        var generator = SystemRandomNumberGenerator()
        while true {
            let seed = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            if let key = try? SigningKey(seed: seed) { return key }
        }
    }

    static func write(_ key: SigningKey, _ path: String) throws {
        for (path, text, mode) in [(path, Hex.encode(key.seed), 0o600), ("\(path).pub", key.publicKey.hex, 0o644)] {
            // The folder is closed to others, so the mode may come after the bytes.
            try Data("\(text)\n".utf8).write(to: URL(fileURLWithPath: path), options: .withoutOverwriting)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            try synchronise(path)
        }
    }

    private static func write(_ witnesses: [WitnessRoster.Member], _ path: String) throws {
        let text = witnesses.map { "\($0.line)\n" }.joined()
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .withoutOverwriting)
        try synchronise(path)
    }

    static func synchronise(_ path: String) throws {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.synchronize()
    }

    private static func leaf(of genesis: Genesis, rootKey: SigningKey, ledgerKey: SigningKey) -> [UInt8] {
        let body = GenesisBody(
            keys: [CheckpointSigner.verifierKey(ledgerKey, origin: genesis.origin)],
            limits: genesis.limits,
            name: genesis.name,
            origin: genesis.origin,
            policy: genesis.policy,
            reserved: Set(genesis.reserved).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) },
            root: Quorum([rootKey.publicKey]),
            time: genesis.time
        )
        return EntryDraft.genesis(body, signer: rootKey.keyID).signed(by: [rootKey]).leaf
    }

    /// Makes the database of a log with one entry, and returns the ledger id.
    static func makeDatabase(_ path: String, genesis leaf: [UInt8]) throws -> Identifier {
        var state = ContractState()
        guard case .outcome(let outcome) = state.fold(leaf), outcome.code == .ok, let id = outcome.id else {
            throw StoreError.unusable("the fold refuses the genesis")
        }
        let hash = MerkleTree.leafHash(leaf)
        var tree = CompactRange()
        tree.append(hash)
        let entry = LogEntry(
            index: 0,
            leaf: leaf,
            leafHash: hash,
            id: id,
            code: outcome.code,
            outcome: outcome.canonical,
            keyChangeTime: state.now
        )
        let changes = state.takeChanges()
        let batch = Batch(
            base: 0,
            entries: [entry],
            changes: changes,
            head: LogHead(tree: tree, outcomes: state.outcomes)
        )
        let store = try LedgerStore.create(path: path)
        do {
            try store.writeBlocking { database in try LedgerStore.append(batch, to: database) }
        } catch {
            try? store.close()
            throw error
        }
        try store.close()
        try synchronise(path)
        return id
    }

    private static func reason(_ error: CocoaError) -> String {
        switch error.code {
        case .fileWriteNoPermission, .fileReadNoPermission: "permission denied"
        case .fileWriteOutOfSpace: "the disk is full"
        case .fileWriteFileExists: "a file is in the way"
        case .fileNoSuchFile, .fileReadNoSuchFile: "a part of the path does not exist"
        case .fileWriteVolumeReadOnly: "the file system is read-only"
        default: error.localizedDescription
        }
    }
}
