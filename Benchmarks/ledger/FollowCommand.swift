import ArgumentParser
import Contracts
import Ledger

/// `follow`: one catch-up of a gateway's watcher, from what its state directory holds to the ledger's checkpoint.
struct FollowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "follow")

    @Argument var url: String
    @Option(transform: identifier) var ledger: Identifier
    @Option var state: String

    func run() async throws {
        var size: UInt64 = 0
        var opening = 0.0
        let following = try await seconds {
            var watcher: Watcher?
            opening = try await seconds {
                watcher = try Watcher(
                    configuration: WatcherConfiguration(
                        urls: [url],
                        ledgerID: ledger,
                        stateDirectory: state,
                        isDev: true
                    )
                )
            }
            size = try await watcher?.catchUp().size ?? 0
            watcher?.shutdown()
        }
        try report(["size": size, "seconds": following, "opening_seconds": opening])
    }
}
