import ArgumentParser
import Contracts
import Ledger
import Logging
import NIOCore
import ServiceLifecycle
import UnixSignals

/// `witness serve`: the HTTP server of a witness, with the watcher that its knowledge of the ledger comes from.
struct WitnessServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Cosign the checkpoints of one ledger; prints its verifier key and `listening on http://ADDR`.",
        discussion: """
            The state folder is the witness's memory of what it cosigned. A witness that lost it must not go on with the
            same key. TLS belongs to a reverse proxy in front.

            Example:
              gw-node witness serve --key w1.key --name w1.example.org --ledger https://ledger.example.org \\
                --ledger-id HEX --listen 0.0.0.0:7445 --state /var/lib/gw-witness
            """
    )

    @Option(help: ArgumentHelp("Private key file of the witness.", valueName: "file")) var key: String
    @Option(help: ArgumentHelp("Name of the witness in its signature lines.", valueName: "name")) var name: String
    @Option(help: ArgumentHelp("Address to listen on, HOST:PORT; port 0 takes a free one.", valueName: "addr"))
    var listen: String
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let reference = try LedgerReference(ledger, profile: try Profile.load(ledger.profile))
        let signing = try KeyFile.read(key)
        let verifierKey = try WitnessCommand.verifierKey(name, signing.publicKey)
        let address = try ListenAddress.read(listen)
        Posix.raiseFileLimit()
        let logger = common.logger("witness", standard: .info)
        let watcher = try reference.watcher(logger: logger, isPatient: true)
        defer { watcher.shutdown() }
        common.output.note("verifier key  \(verifierKey)")
        let service = try WitnessService(
            identity: WitnessIdentity(name: name, key: signing),
            watcher: watcher,
            listen: [address],
            logger: logger
        ) { host, port in
            Output.write("listening on http://\(ListenAddress.text(host, port))")
        }
        var quiet = logger
        if quiet.logLevel > .debug { quiet.logLevel = .error }
        var configuration = ServiceGroupConfiguration(
            services: [service, Following(watcher: watcher)],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: quiet
        )
        configuration.maximumGracefulShutdownDuration = .seconds(15)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as IOError {
            throw ListenAddress.unavailable(listen, error)
        }
    }

    /// The watcher as a service.
    private struct Following: Service {
        let watcher: Watcher

        func run() async throws {
            try await cancelWhenGracefulShutdown { try await watcher.run() }
        }
    }
}
