import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("A mirror is a verified copy behind any static web server", .serialized)
struct Mirrors {
    /// `python3 -m http.server` over a folder.
    private final class StaticServer {
        let process = Process()
        let url: String

        init(_ folder: URL) async throws {
            let port = try Loopback.freePort("127.0.0.1")
            url = "http://127.0.0.1:\(port)"
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "python3", "-m", "http.server", "\(port)", "--bind", "127.0.0.1", "--directory", folder.path,
            ]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            _ = try await awaited("the static server answers", within: 30) {
                try? await Visitor("127.0.0.1", port).close()
            }
        }

        deinit { process.endNow() }
    }

    private func mirror(_ deployment: Deployment, _ more: [String], ledger url: String? = nil) -> [String] {
        [
            "ledger", "mirror", "--ledger", url ?? deployment.ledgerURL, "--ledger-id", deployment.ledgerID, "--dev",
            "--json", "site",
        ] + more
    }

    @Test("a mirror resumes, follows, serves clients and snapshots, and an audit replays its folder")
    func mirrors() async throws {
        let deployment = try await Deployment()
        let auditors = try await Auditors(deployment, names: ["ann"], quorum: 1)
        let size = try await auditors.offeredSize()
        try await auditors.attest("ann")

        // Once: everything up to now, durable, and nothing more the second time.
        let first = try await deployment.run(mirror(deployment, ["--once"])).json()
        #expect((first["size"] as? Int ?? 0) > Int(size))
        #expect(first["entries"] as? Int == first["size"] as? Int)
        #expect(try await deployment.run(mirror(deployment, ["--once"])).json()["entries"] as? Int == 0)

        // More than a bundle, so that partial tiles become full ones, followed live.
        let live = try NodeProcess("mirror", mirror(deployment, []), in: deployment.folder)
        let maker = try TwinMaker(deployment)
        defer { maker.client.shutdown() }
        for _ in 0..<5 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<60 {
                    group.addTask {
                        let made = try await maker.append()
                        #expect(made != nil)
                    }
                }
                try await group.waitForAll()
            }
        }
        let site = deployment.folder.appendingPathComponent("site")
        let replay = ["--ledger-id", deployment.ledgerID, "--dev", "--json"]
        let truth = try await deployment.run(["audit", "replay", "ledger"] + replay).json()
        let end = try #require(truth["size"] as? Int)
        #expect(end > 300)
        try await eventually(within: 60, "the mirror has all entries") {
            let note = try? Data(contentsOf: site.appendingPathComponent("checkpoint"))
            return note.flatMap { try? Checkpoint(parsing: [UInt8]($0)) }.map { Int($0.size) >= end } ?? false
        }
        live.send(SIGTERM)
        #expect(try await live.finish().status == 0)

        // The audit of the folder says what the audit of the ledger says.
        let copy = try await deployment.run(["audit", "replay", "site"] + replay).json()
        for member in ["size", "root", "outcome_root", "state_root"] {
            #expect("\(copy[member] ?? "")" == "\(truth[member] ?? "-")", "\(member)")
        }

        // A client whose only source is the folder: by replay, and from the snapshot.
        let server = try await StaticServer(site)
        let client = [
            "contract", "list", "--key", "ann.key", "--ledger", server.url, "--ledger-id", deployment.ledgerID, "--dev",
        ]
        try await deployment.run(client + ["--state", "plain"])
        let started = try await deployment.run(
            client + ["--state", "quick", "--snapshot", "--log-level", "info"]
        )
        #expect(started.errors.contains("started from an attested snapshot"), "\(started.errors)")

        // A damaged file is noticed by whoever reads it.
        let bundle = site.appendingPathComponent("tile/entries/000")
        var bytes = try Data(contentsOf: bundle)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: bundle)
        let bad = try await deployment.run(["audit", "replay", "site"] + replay, status: 1).json()
        #expect(bad["error"] as? String == "entries.mismatch")
    }

    @Test("a gateway whose only source is a static mirror serves, and takes up what is deployed later")
    func gateway() async throws {
        let deployment = try await Deployment()
        try await deployment.run(mirror(deployment, ["--once"]))
        let live = try NodeProcess("mirror", mirror(deployment, []), in: deployment.folder)
        let server = try await StaticServer(deployment.folder.appendingPathComponent("site"))
        try await deployment.makeTwin("farmer")
        try await deployment.makeTwin("user")
        let gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
        try deployment.writeConfiguration(of: gateway, ledger: server.url)
        let running = try deployment.start(gateway)
        try await deployment.run(["keys", "new", "agent.key"])
        try await deployment.act("user", ["name", "reserve", "shop"])
        let contract = try await deployment.makeContract(
            "user",
            gateways: [gateway],
            expose: ["{ id: web, kind: http, tls: none, hosts: [shop.gw.test.example], backends: [b1] }"],
            names: ["shop"]
        )
        try await eventually(within: 60, "the gateway has the route from the mirror; \(running.errors)") {
            guard let status = try? await deployment.status(of: gateway) else { return false }
            let routes = status["routes"] as? [[String: Any]] ?? []
            return routes.contains { $0["contract"] as? String == contract }
        }
        live.send(SIGTERM)
        running.send(SIGTERM)
    }

    @Test("a mirror takes nothing of a lying ledger, and a folder of something else is refused")
    func lies() async throws {
        let deployment = try await Deployment(address: "127.0.0.1")
        try await deployment.makeTwin("user")
        try await deployment.run(mirror(deployment, ["--once"]))
        let site = deployment.folder.appendingPathComponent("site")
        let before = try Data(contentsOf: site.appendingPathComponent("checkpoint"))
        try await deployment.act("user", ["name", "reserve", "shop"])
        let port = Int(deployment.ledgerPort)
        let liar: LyingServer.Answer = { request in
            guard var truth = await LyingServer.forward(request, to: port) else { return .close }
            if request.path.hasPrefix("/tile/entries/"), truth.body.count > 200 {
                truth.body[truth.body.count - 50] ^= 1
            }
            return truth.reply
        }
        try await LyingServer.serving(liar) { server in
            let refused = try await deployment.run(mirror(deployment, ["--once"], ledger: server.url), status: 1)
            #expect(try refused.json()["code"] as? String == "entries.mismatch")
            #expect(try Data(contentsOf: site.appendingPathComponent("checkpoint")) == before)
        }
        #expect(try await deployment.run(mirror(deployment, ["--once"])).json()["entries"] as? Int ?? 0 > 0)

        // The folder of another history.
        try deployment.write("site/checkpoint", String(decoding: Self.otherHistory(before), as: UTF8.self))
        let other = try await deployment.run(mirror(deployment, ["--once"]), status: 1)
        #expect(try other.json()["code"] as? String == "mirror.history")
        var foreign = mirror(deployment, ["--once"])
        foreign[foreign.firstIndex(of: "site")!] = "ledger"
        try await deployment.run(foreign, status: 2)
    }

    /// The same size with another root; the folder's note is compared, not its signature.
    private static func otherHistory(_ note: Data) -> [UInt8] {
        let checkpoint = try! Checkpoint(parsing: [UInt8](note))
        let key = try! SigningKey(seed: [UInt8](repeating: 3, count: 32))
        let text = Checkpoint.text(origin: checkpoint.origin, size: checkpoint.size, root: .sha256([1]))
        let verifierKey = VerifierKey(name: checkpoint.origin, type: VerifierKey.noteType, key: key.publicKey)
        return SignedNote.signed(text: text, by: [(key, verifierKey)]).bytes
    }
}
