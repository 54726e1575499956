import Contracts
import Ledger
import Logging
import NIOConcurrencyHelpers

/// One command's dealings with a ledger: its verified copy, the acting twin, and entries proven to be in the log.
struct LedgerSession {
    /// Who acts: a twin and the key that signs for it.
    struct Actor {
        var twin: Identifier
        var key: SigningKey
    }

    let reference: LedgerReference
    let watcher: Watcher
    let key: SigningKey?
    let keyFile: String?
    let twin: Identifier?
    /// Keys of others that the entry needs: co-owners, or the twin of a gateway that signs each contract.
    let cosigners: [SigningKey]

    /// Whether a command signs.
    enum KeyNeed {
        case required
        case optional
        case none
    }

    /// Opens the ledger that flags and profile name, runs the body, and closes it.
    ///
    /// Everything that flags and files can get wrong is said before the ledger or its folder is touched.
    static func run(
        _ options: LedgerOptions,
        _ signing: SigningOptions?,
        _ common: CommonOptions,
        key need: KeyNeed = .required,
        usesProfile: Bool = true,
        _ body: (LedgerSession) async throws -> Void
    ) async throws {
        let profile = usesProfile ? try Profile.load(options.profile) : nil
        let reference = try LedgerReference(options, profile: profile)
        let keyFile = need == .none ? nil : signing?.key ?? profile?.key
        if need == .required, keyFile == nil { throw missingKey }
        // A twin of the profile belongs to the profile's key, not to another one given by flag.
        let twin = signing?.twin ?? (signing?.key == nil && need != .none ? profile?.twin : nil)
        let actingTwin = try twin.map { try IdentifierArgument.read($0, "twin") }
        let key = try keyFile.map { try KeyFile.read($0) }
        let cosigners = try (signing?.cosigners ?? []).map { try KeyFile.read($0) }
        let watcher = try reference.watcher(logger: common.logger("gw-node"))
        defer { watcher.shutdown() }
        try await body(
            LedgerSession(
                reference: reference,
                watcher: watcher,
                key: key,
                keyFile: keyFile,
                twin: actingTwin,
                cosigners: cosigners
            )
        )
    }

    /// The newest state, verified up to now.
    func state() async throws -> ContractState {
        try await watcher.catchUp().state
    }

    func requireKey() throws(CommandFailure) -> SigningKey {
        guard let key else { throw Self.missingKey }
        return key
    }

    private static let missingKey = CommandFailure(
        .usage,
        "no key is named; give --key FILE, or write a profile once with `gw-node setup`"
    )

    /// The twin that the key acts for.
    func actor(in state: ContractState) throws(CommandFailure) -> Actor {
        let key = try requireKey()
        if let twin { return Actor(twin: twin, key: key) }
        let twins = state.twins(of: key.keyID)
        guard let first = twins.first else {
            throw CommandFailure(
                .refused,
                code: Code.accountUnknown.rawValue,
                "the key \(keyFile ?? "") (\(key.keyID.hex)) belongs to no twin of this ledger; "
                    + "create one with `gw-node twin create`"
            )
        }
        guard twins.count == 1 else {
            throw CommandFailure(
                .usage,
                "the key \(keyFile ?? "") belongs to several twins; choose one with --twin: "
                    + twins.map(\.hex).joined(separator: ", ")
            )
        }
        return Actor(twin: first, key: key)
    }

    /// Signs an entry as the acting twin, submits it, and returns it proven.
    ///
    /// - Parameter body: makes the body from the verified state.
    func submit(
        alsoSignedBy cosigners: [SigningKey] = [],
        _ body: (ContractState, Actor) throws -> EntryBody
    ) async throws -> Submission {
        let state = try await state()
        let actor = try actor(in: state)
        // The node of a farmer may be run with the farmer's own key; one key signs once.
        var others: [SigningKey] = []
        for other in cosigners + self.cosigners
        where other.keyID != actor.key.keyID && !others.contains(where: { $0.keyID == other.keyID }) {
            others.append(other)
        }
        return try await Submitter(watcher: watcher)
            .submit(try body(state, actor), account: actor.twin, key: actor.key, cosigners: others)
    }

    /// Creates a twin that the key owns alone.
    func createTwin(_ key: SigningKey) async throws -> Submission {
        try await Submitter(watcher: watcher)
            .submit(.twinCreate(TwinCreateBody(keys: TwinKeys(owner: [key.publicKey]))), account: nil, key: key)
    }
}

extension LedgerReference {
    /// Where this ledger is, whom else to ask about it, and where the verified copy is kept.
    var watcherConfiguration: WatcherConfiguration {
        var configuration = WatcherConfiguration(
            urls: urls + others.mirrors,
            ledgerID: id,
            stateDirectory: stateFolder,
            isDev: isDevelopment
        )
        configuration.peers = others.peers
        configuration.witnesses = others.witnesses
        configuration.auditors = others.auditors
        return configuration
    }

    /// A watcher of this ledger.
    ///
    /// - Parameter isPatient: for commands that wait for a ledger, and therefore have to say once what they wait for.
    func watcher(logger: Logger, isPatient: Bool = false) throws -> Watcher {
        if isDevelopment {
            logger.warning("--dev: checkpoints count although no witness vouches for them; for trials only")
        }
        var configuration = watcherConfiguration
        if let checkpoint {
            configuration.startCheckpoint = try Files.read(checkpoint, limit: 64 << 10, as: "the pinned checkpoint")
        }
        configuration.startsFromSnapshot = startsFromSnapshot
        configuration.verifiesHistory = isParanoid
        let said = NIOLockedValueBox<Set<String>>([])
        configuration.onRefusal = { refusal in
            let isNews = isPatient && said.withLockedValue { $0.insert("\(refusal.source) \(refusal.code)").inserted }
            logger.log(
                level: isNews ? .warning : .debug,
                "\(refusal.message); trying again",
                metadata: ["code": "\(refusal.code)"]
            )
        }
        return try Watcher(configuration: configuration, logger: logger)
    }
}

extension ContractState {
    /// Twins that have the key among their owner and operator keys, ascending by id.
    func twins(of key: KeyID) -> [Identifier] {
        twins.filter { $0.1.keys.contains(key) }.map(\.0)
    }
}

extension Submission {
    var text: String { "\(id.hex) (entry \(index), \(code.rawValue), proven)" }

    var json: JSONText { json(adding: []) }

    func json(adding members: [(String, JSONText)]) -> JSONText {
        .object(
            [
                ("id", .string(id.hex)), ("index", .integer(Int64(index))), ("code", .string(code.rawValue)),
                ("receipt", .string(String(decoding: receipt, as: UTF8.self))),
            ] + members
        )
    }
}
