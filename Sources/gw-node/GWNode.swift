import ArgumentParser

/// The one executable of WebGW.
@main
struct GWNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gw-node",
        abstract: "Puts services of private networks on the open Internet, as contracts on a verified ledger allow."
    )
}
