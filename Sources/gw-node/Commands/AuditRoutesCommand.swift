import ArgumentParser
import Contracts
import Ledger

extension AuditCommand {
    struct Routes: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "routes",
            abstract: "Print the route table that a gateway was allowed to serve after some entries, and its digest.",
            discussion: """
                The whole log is verified first.

                Example:
                  gw-node audit routes https://ledger.example.org --ledger-id HEX --node ID --height 1200 --json
                """
        )

        @OptionGroup var options: Options

        @Option(help: ArgumentHelp("Id of the gateway's node.", valueName: "id"))
        var node: String

        @Option(help: ArgumentHelp("Entries that the table follows from.", valueName: "entries"))
        var height: UInt64

        @Option(
            help: ArgumentHelp("Seconds since 1970; standard: the ledger's time at that height.", valueName: "time")
        )
        var at: Int64?

        @OptionGroup var common: CommonOptions

        func validate() throws {
            if let at, !(0...Timestamp.latest).contains(at) {
                throw ValidationError("--at is a time in seconds since 1970, 0 to \(Timestamp.latest)")
            }
        }

        func run() async throws {
            let node = try IdentifierArgument.read(node, "node")
            let audit = try options.audit()
            let log = try AuditedLog(options.log, common)
            defer { log.close() }
            let progress = AuditProgress()
            let found = try await AuditRoutes.run(
                log.source,
                node: node,
                height: height,
                at: at,
                options: audit,
                progress: progress.show
            )
            progress.finish()
            common.output.result(.encoded(found.json.canonical), text: found.text)
        }
    }
}

extension AuditRoutes {
    /// What people read: one route a line, then the digest.
    var text: String {
        var lines = ["node    \(table.node)", "height  \(height)"]
        lines += table.routes.map { String(decoding: $0.canonical, as: UTF8.self) }
        lines.append(table.routes.isEmpty ? "no routes" : "\(table.routes.count) routes")
        lines.append("digest  \(table.digest)")
        return lines.joined(separator: "\n")
    }
}

extension AuditRoutes.Refusal: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        switch self {
        case .failed(let failure):
            CommandFailure(.refused, code: failure.code, "\(failure.message); do not trust this log")
        case .beyondEnd(let size):
            CommandFailure(.usage, "the log has \(size) entries; give --height 0 to \(size)")
        case .unsupported(let size):
            CommandFailure(
                .unsupported,
                "entry \(size) is for a later version of the rules; give --height 0 to \(size), or use a newer gw-node"
            )
        }
    }
}
