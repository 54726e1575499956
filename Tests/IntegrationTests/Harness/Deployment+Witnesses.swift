import Foundation
import Ledger
import TestSupport

/// Witnesses of the deployment's ledger as processes of their own.
extension Deployment {
    struct Witness {
        var name: String
        /// What policies name it by.
        var key: String
        var port: UInt16
        var url: String
        var process: NodeProcess?
    }

    var orderedWitnesses: [Witness] { witnesses.values.sorted { $0.name < $1.name } }

    /// Makes a witness's key and gives it an address; `start(_:)` runs it.
    @discardableResult
    func addWitness(_ name: String) async throws -> Witness {
        try await run(["keys", "new", "\(name).key"])
        let shown = try await run(["witness", "key", "\(name).key", "--name", "\(name).test.example", "--json"])
        let port = try Loopback.freePort(address)
        let witness = Witness(
            name: name,
            key: try shown.json()["verifier_key"] as? String ?? "",
            port: port,
            url: "http://\(address):\(port)"
        )
        witnesses[name] = witness
        return witness
    }

    /// Starts a witness, or starts it again with the memory it had.
    func start(_ witness: String) async throws {
        guard let port = witnesses[witness]?.port else {
            throw NeverHappened(description: "there is no witness \(witness)")
        }
        let process = try NodeProcess(
            witness,
            [
                "witness", "serve", "--key", "\(witness).key", "--name", "\(witness).test.example",
                "--ledger", ledgerURL, "--ledger-id", ledgerID, "--listen", "\(address):\(port)",
                "--state", "state-\(witness)",
            ],
            in: folder
        )
        witnesses[witness]?.process = process
        _ = try await process.line(beginning: "listening on http://")
    }

    /// Waits until a quorum has cosigned: before that there is nothing to start from.
    func awaitQuorum() async throws {
        let client = try LedgerClient(urls: [ledgerURL])
        defer { client.shutdown() }
        try await eventually(within: 30, "a quorum of witnesses cosigns") {
            (try? await client.checkpoint()) != nil
        }
    }

    func kill(_ witness: String) async throws {
        try await witnesses[witness]?.process?.killHard()
        witnesses[witness]?.process = nil
    }
}
