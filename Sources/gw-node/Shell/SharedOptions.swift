public import ArgumentParser
import Contracts
public import Logging

/// Flags of every command.
struct CommonOptions: ParsableArguments {
    @Flag(name: .customLong("json"), help: "Print one JSON document (or one JSON line per event) on stdout.")
    var isJSON = false

    @Option(
        name: .customLong("log-level"),
        help: ArgumentHelp("Least severe log lines on stderr.", valueName: "level")
    )
    var logLevel: Logger.Level?

    @Option(name: .customLong("log-format"), help: ArgumentHelp("Form of the log lines.", valueName: "text|json"))
    var logFormat: LogOutput.Format = .text

    var output: Output { Output(isJSON: isJSON) }

    /// The logger of a command; short commands stay quiet unless something is wrong.
    func logger(_ label: String, standard: Logger.Level = .warning) -> Logger {
        let level = logLevel ?? standard
        let format = logFormat
        return Logger(label: label) { _ in LogOutput(logLevel: level, format: format) }
    }
}

extension LogOutput.Format: ExpressibleByArgument {}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Which ledger to believe, and where its verified copy is kept.
struct LedgerOptions: ParsableArguments {
    @Option(
        name: .customLong("ledger"),
        help: ArgumentHelp("URL of the ledger; repeat it for mirrors.", valueName: "url")
    )
    var ledgers: [String] = []

    @Option(
        name: .customLong("ledger-id"),
        help: ArgumentHelp("The pinned ledger id; never taken from the ledger itself.", valueName: "hex")
    )
    var ledgerID: String?

    @Flag(name: .customLong("dev"), help: "Accept a trial ledger, whose checkpoints no witness cosigns.")
    var isDevelopment = false

    @Option(
        name: .customLong("state"),
        help: ArgumentHelp(
            "Folder of the verified copy; one process at a time. Standard: $XDG_STATE_HOME/gw-node/<ledger id>.",
            valueName: "dir"
        )
    )
    var state: String?

    @Flag(
        name: .customLong("snapshot"),
        help: "Start an empty --state from a snapshot that the ledger's auditors attest, not from the first entry."
    )
    var startsFromSnapshot = false

    @Option(
        name: .customLong("profile"),
        help: ArgumentHelp("Profile written by `gw-node setup`.", valueName: "name")
    )
    var profile: String?
}

/// Who signs.
struct SigningOptions: ParsableArguments {
    @Option(name: .customLong("key"), help: ArgumentHelp("Private key file of the acting twin.", valueName: "file"))
    var key: String?

    @Option(
        name: .customLong("twin"),
        help: ArgumentHelp("The acting twin, when the key belongs to several.", valueName: "id")
    )
    var twin: String?

    @Option(
        name: .customLong("cosigner"),
        help: ArgumentHelp("Private key file of another signer that the entry needs; repeatable.", valueName: "file")
    )
    var cosigners: [String] = []
}

/// The ledger, the pin and the places that a command works with, after flags and profile were put together.
struct LedgerReference: Equatable {
    var urls: [String]
    var id: Identifier
    var isDevelopment: Bool
    var stateFolder: String
    var others = LedgerOthers()
    /// File with a checkpoint that the first start has to go through.
    var checkpoint: String?
    /// Whether an empty state folder may begin with an attested snapshot.
    var startsFromSnapshot = false
    /// Whether the history behind such a snapshot is verified in the background.
    var isParanoid = false

    /// Flags win over the profile; what neither names is a usage error that says how to give it.
    init(_ options: LedgerOptions, profile: Profile?) throws(CommandFailure) {
        let urls = options.ledgers.isEmpty ? profile?.ledgers ?? [] : options.ledgers
        guard !urls.isEmpty else {
            throw CommandFailure(
                .usage,
                "no ledger is named; give --ledger URL, or write a profile once with `gw-node setup`"
            )
        }
        for url in urls where !LedgerSettings.isURL(url) {
            throw CommandFailure(.usage, "--ledger \(url) \(LedgerSettings.urlRule)")
        }
        guard let pin = options.ledgerID ?? profile?.ledgerID else {
            throw CommandFailure(
                .usage,
                "no ledger id is pinned; give --ledger-id HEX, the id that the ledger's operator published"
            )
        }
        guard let id = Identifier(hex: pin) else {
            throw CommandFailure(.usage, "--ledger-id \(pin) \(LedgerSettings.pinRule)")
        }
        // What a profile says about its ledger says nothing about another one.
        let isDevelopment = options.isDevelopment || profile?.ledgerID == pin && profile?.isDevelopment == true
        try self.init(urls: urls, id: id, isDevelopment: isDevelopment, state: options.state)
        startsFromSnapshot = options.startsFromSnapshot
    }

    /// The ledger that a configuration file names.
    init(_ settings: LedgerSettings, state: String?) throws(CommandFailure) {
        guard let id = Identifier(hex: settings.id) else {
            throw CommandFailure(.configuration, "the ledger id \(LedgerSettings.pinRule)")
        }
        try self.init(urls: settings.urls, id: id, isDevelopment: settings.isDevelopment, state: state)
        others = settings.others
        checkpoint = settings.checkpoint
        startsFromSnapshot = settings.startsFromSnapshot
        isParanoid = settings.isParanoid
    }

    private init(urls: [String], id: Identifier, isDevelopment: Bool, state: String?) throws(CommandFailure) {
        self.urls = urls
        self.id = id
        self.isDevelopment = isDevelopment
        if let state { stateFolder = state } else { stateFolder = try Self.folder(of: id) }
    }

    private static func folder(of id: Identifier) throws(CommandFailure) -> String {
        if let base = Posix.environment("XDG_STATE_HOME") { return "\(base)/gw-node/\(id.hex)" }
        guard let home = Posix.environment("HOME") else {
            throw CommandFailure(.usage, "neither XDG_STATE_HOME nor HOME is set; give --state DIR")
        }
        return "\(home)/.local/state/gw-node/\(id.hex)"
    }
}
