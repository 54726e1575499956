import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("A newcomer to a ledger with witnesses", .serialized)
struct Newcomers {
    /// What a server between newcomer and ledger does to a note, and which paths it does not have.
    private struct Between: Sendable {
        /// Names of witnesses whose cosignatures are left out of `/checkpoint`.
        var silenced: Set<String> = []
        var missing: @Sendable (String) -> Bool = { _ in false }
    }

    private static func answer(_ between: NIOLockedValueBox<Between>, _ port: Int) -> LyingServer.Answer {
        { request in
            let between = between.withLockedValue { $0 }
            if between.missing(request.path) { return .respond(404) }
            guard var truth = await LyingServer.forward(request, to: port) else { return .close }
            if request.path == "/checkpoint", let note = try? SignedNote(parsing: truth.body) {
                let heard = note.signatures.filter { !between.silenced.contains($0.name) }
                truth.body = SignedNote(text: note.text, signatures: heard).bytes
            }
            return truth.reply
        }
    }

    private func list(_ deployment: Deployment, at url: String, state: String, _ more: [String] = []) -> [String] {
        [
            "contract", "list", "--key", "ann.key", "--ledger", url, "--ledger-id", deployment.ledgerID, "--json",
            "--state", state,
        ] + more
    }

    @Test("starts from a snapshot under a quorum of witnesses, and from none without that quorum")
    func snapshot() async throws {
        let deployment = try await Deployment(address: "127.0.0.1", witnesses: 3)
        let auditors = try await Auditors(deployment, names: ["ann", "bob"], quorum: 2)
        let size = try await auditors.offeredSize()
        try await auditors.attest("ann")
        try await auditors.attest("bob")
        try await deployment.makeTwin("user")
        let between = NIOLockedValueBox(Between())
        try await LyingServer.serving(Self.answer(between, Int(deployment.ledgerPort))) { server in
            let flags = ["--snapshot", "--log-level", "info"]
            let started = try await deployment.run(list(deployment, at: server.url, state: "quick", flags))
            #expect(started.errors.contains("started from an attested snapshot"), "\(started.errors)")
            #expect(started.errors.contains("snapshot=\(size)"))
            // What follows is judged by the same witnesses.
            try await deployment.makeTwin("later")
            try await deployment.run(list(deployment, at: server.url, state: "quick", flags))

            // Auditors vouch for a state, never for a checkpoint that too few witnesses saw.
            between.withLockedValue { $0.silenced = ["w1.test.example", "w2.test.example"] }
            let refused = try await deployment.run(
                list(deployment, at: server.url, state: "alone", flags),
                status: 1
            )
            #expect(try refused.json()["code"] as? String == "checkpoint.quorum")
            #expect(!refused.errors.contains("started from an attested snapshot"))
        }
    }

    @Test("gets by the receipts of policy changes to a ledger all of whose first witnesses were replaced, twice")
    func replacedWitnesses() async throws {
        let deployment = try await Deployment(address: "127.0.0.1", witnesses: 3)
        try await deployment.makeTwin("ann")
        // A node that follows from the start and then rests.
        try await deployment.run(list(deployment, at: deployment.ledgerURL, state: "sleeper"))
        var retired: Set<String> = []
        for names in [["w4", "w5", "w6"], ["w7", "w8", "w9"]] {
            retired.formUnion(deployment.witnesses.values.map { "\($0.name).test.example" })
            for name in names {
                try await deployment.addWitness(name)
                try await deployment.start(name)
            }
            let members = names.compactMap { deployment.witnesses[$0] }
            try await deployment.run(
                ["ledger", "rotate", "policy", "ledger", "--root-key", "ledger/root.key"]
                    + members.flatMap { ["--witness", "\($0.key)@\($0.url)"] }
                    + deployment.ledgerFlags(state: "state-operator")
            )
            try await deployment.makeTwin("user-of-\(names[0])")
        }
        // After 14 days the ledger asks the old ones no more.
        let between = NIOLockedValueBox(Between(silenced: retired))
        try await LyingServer.serving(Self.answer(between, Int(deployment.ledgerPort))) { server in
            between.withLockedValue { $0.missing = { $0.hasPrefix("/receipts/") } }
            let lost = try await deployment.run(list(deployment, at: server.url, state: "lost"), status: 1)
            #expect(try lost.json()["code"] as? String == "checkpoint.quorum")
            #expect(lost.errors.contains("--snapshot") && lost.errors.contains("changed its policy"), "\(lost.errors)")

            between.withLockedValue { $0.missing = { _ in false } }
            for state in ["newcomer", "sleeper", "lost"] {
                let found = try await deployment.run(
                    list(deployment, at: server.url, state: state, ["--log-level", "info"])
                )
                let passed = found.errors.components(separatedBy: "passed a change of the policy").count - 1
                #expect(passed == 2, "\(state): \(found.errors)")
            }
            // Nobody gets there on the word of the last witnesses alone.
            between.withLockedValue { $0.silenced.formUnion(["w7.test.example", "w8.test.example"]) }
            try await deployment.run(list(deployment, at: server.url, state: "misled"), status: 1)
        }
    }
}
