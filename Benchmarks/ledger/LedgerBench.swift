import ArgumentParser
import Contracts
import Foundation

/// Makes long logs, and measures what only a program that knows the library can: `scripts/bench-ledger.sh` calls it.
@main
struct LedgerBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger-bench",
        abstract: "Make long logs and measure the ledger.",
        subcommands: [
            MakeCommand.self, RequestsCommand.self, VerifyCommand.self, FollowCommand.self, AuditorCommand.self,
        ]
    )
}

/// An id on the command line.
func identifier(_ text: String) throws -> Identifier {
    guard let id = Identifier(hex: text) else { throw ValidationError("\(text) is not 64 hex digits") }
    return id
}

/// Prints one line of JSON.
func report(_ members: [String: Any]) throws {
    let data = try JSONSerialization.data(withJSONObject: members, options: [.sortedKeys])
    print(String(decoding: data, as: UTF8.self))
}

/// Seconds that a body took.
func seconds(_ body: () async throws -> Void) async rethrows -> Double {
    let start = ContinuousClock.now
    try await body()
    let (whole, rest) = (ContinuousClock.now - start).components
    return Double(whole) + Double(rest) / 1e18
}
