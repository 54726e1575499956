import ArgumentParser
import Ledger
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// `ledger serve`: the sequencer and its HTTP server.
struct LedgerServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve a ledger over HTTP; prints `listening on http://ADDR` when it takes requests.",
        discussion: """
            One process serves a directory; a second one is refused. SIGTERM ends it when open requests are answered.
            TLS and caching belong to a reverse proxy in front.

            A ledger with witnesses asks those in the file `witnesses` of its directory, one line `VERIFIER-KEY URL` for each,
            and publishes what a quorum of them cosigned.

            Example:
              gw-node ledger serve /var/lib/ledger --listen 127.0.0.1:8080
              gw-node ledger serve /tmp/trial --listen 127.0.0.1:8080 --dev
            """
    )

    @Argument(help: ArgumentHelp("Directory that `ledger init` made.", valueName: "dir"))
    var directory: String
    @Option(help: ArgumentHelp("Address to listen on, HOST:PORT; port 0 takes a free one.", valueName: "addr"))
    var listen: String
    @Flag(name: .customLong("dev"), help: "Serve a trial ledger, whose checkpoints no witness cosigns.")
    var isDevelopment = false
    @Option(
        help: ArgumentHelp(
            "Entries that one client address may submit a second; ten times as many at once.",
            valueName: "number"
        )
    )
    var rate: Int?
    @Option(
        name: .customLong("snapshot-every"),
        help: ArgumentHelp(
            "Entries between two snapshots of the state, once the ledger has auditors; 0 takes none. Standard: 65536.",
            valueName: "number"
        )
    )
    var snapshotEvery: UInt64?
    @OptionGroup var cluster: ClusterServeOptions
    @Option(
        name: .customLong("mirror"),
        help: ArgumentHelp(
            "A copy of this log that is asked at the start whether it has seen a larger tree; repeatable.",
            valueName: "url"
        )
    )
    var mirrors: [String] = []
    @OptionGroup var common: CommonOptions

    func run() async throws {
        for url in mirrors where !LedgerSettings.isURL(url) {
            throw CommandFailure(.usage, "--mirror \(url) \(LedgerSettings.urlRule)")
        }
        let address = try ListenAddress.read(listen)
        var limits = ServiceLimits()
        if let rate {
            guard rate > 0 else { throw CommandFailure(.usage, "--rate \(rate) is not a number of entries above 0") }
            limits.submissionsPerSecond = Double(rate)
            limits.submissionBurst = Double(rate) * 10
        }
        if let snapshotEvery { limits.snapshotEvery = snapshotEvery }
        Posix.raiseFileLimit()
        let logger = common.logger("ledger", standard: .info)
        let service = try LedgerService(
            directory: directory,
            listen: address,
            dev: isDevelopment,
            limits: limits,
            cluster: try cluster.options(),
            mirrors: mirrors,
            logger: logger
        ) { host, port in
            Output.write("listening on http://\(ListenAddress.text(host, port))")
        }
        if let warning = service.policyWarning { logger.warning("\(warning)") }
        var configuration = ServiceGroupConfiguration(
            services: [service],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: quiet(logger)
        )
        configuration.maximumGracefulShutdownDuration = .seconds(30)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as IOError {
            throw ListenAddress.unavailable(listen, error)
        }
    }

    /// The lifecycle's own lines are not for the operator of a ledger.
    private func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        if quiet.logLevel > .debug { quiet.logLevel = .error }
        return quiet
    }
}

extension LedgerDirectoryError: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        switch self {
        case .origin, .name, .reservedName: CommandFailure(.usage, "\(self)")
        case .notEmpty: CommandFailure(.refused, "\(self)")
        case .inUse, .written: CommandFailure(.tryAgain, "\(self)")
        case .stopped: CommandFailure(.unsupported, "\(self)")
        case .missing, .notWritable, .keyFile, .foreignKey, .quorumNone, .witnesses:
            CommandFailure(.configuration, "\(self)")
        }
    }
}

extension StoreError: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        switch self {
        case .unusable, .notDurable, .missing: CommandFailure(.configuration, "\(self)")
        case .headMoved, .signingRefused, .contradiction: CommandFailure(.refused, "\(self)")
        case .diskUncertain: CommandFailure(.tryAgain, code: "disk.uncertain", "\(self)")
        }
    }
}
