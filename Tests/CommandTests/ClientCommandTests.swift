import Foundation
import TestSupport
import Testing

@Suite("Commands that write to a ledger")
struct ClientCommandTests {
    let folder: TemporaryFolder
    let ledger: TrialLedger

    init() async throws {
        folder = try TemporaryFolder()
        ledger = try await TrialLedger(in: folder)
    }

    private func contract(hosts: String = "shop.gw.example.org", names: String = "names: [shop]") throws {
        try folder.write(
            "contract.yaml",
            """
            gateways: [north/gw1]
            backends: [ { id: b1, key: agent.key.pub } ]
            expose:
              - { id: web, kind: http, tls: none, hosts: [\(hosts)] }
            \(names)
            valid: 1h
            """
        )
    }

    private func registerGateway() async throws {
        let node = try await ledger.registerGateway(["--endpoint", "http=127.0.0.1:8080"])
        #expect((node.json?["twin"] as? String)?.count == 64)
    }

    @Test("a contract lives from its file to its end, each step proven and with the promised JSON")
    func life() async throws {
        try await registerGateway()
        try await ledger.join("user")
        let name = try await ledger.run("user", "name", "reserve", "shop", "--json")
        #expect(name.status == 0, "\(name)")
        #expect(Set((name.json ?? [:]).keys) == ["id", "index", "code", "receipt"])
        #expect(name.json?["code"] as? String == "ok")
        #expect((name.json?["receipt"] as? String)?.hasPrefix("c2sp.org/tlog-proof@v1\n") == true)

        try contract()
        let created = try await ledger.run("user", "contract", "create", "contract.yaml", "--json")
        #expect(created.status == 0, "\(created)")
        let id = try #require(created.json?["id"] as? String)

        let shown = try await ledger.run("user", "contract", "list", "--json")
        let contracts = try #require(shown.json?["contracts"] as? [[String: Any]])
        #expect(contracts.map { $0["id"] as? String } == [id])
        #expect(contracts.first?["state"] as? String == "Created")

        let updated = try await ledger.run("user", "contract", "update", id, "contract.yaml")
        #expect(updated.status == 0, "\(updated)")
        let used = try await ledger.run("user", "name", "release", "shop", "--json")
        #expect(used.status == 1 && used.json?["code"] as? String == "name.in_use", "\(used)")

        let canceled = try await ledger.run("user", "contract", "cancel", id)
        #expect(canceled.status == 0, "\(canceled)")
        let again = try await ledger.run("user", "contract", "cancel", id, "--json")
        #expect(again.status == 1 && again.json?["code"] as? String == "contract.deleted", "\(again)")
        let released = try await ledger.run("user", "name", "release", "shop")
        #expect(released.status == 0, "\(released)")
    }

    @Test("`valid` counts from the present, not from a ledger time that is behind, and `not_before` from where it says")
    func validity() async throws {
        try await registerGateway()
        try await ledger.join("user")
        let before = Int64(Date().timeIntervalSince1970)
        // Ledger time stands at the genesis until the first tick, a minute later.
        try await eventually(within: 10, "ledger time is three seconds behind") {
            Int64(Date().timeIntervalSince1970) >= before + 3
        }
        func create(_ window: String) async throws -> (begin: Int, end: Int) {
            try folder.write(
                "short.yaml",
                """
                gateways: [north/gw1]
                backends: [ { id: b1, key: agent.key.pub } ]
                expose:
                  - { id: web, kind: http, tls: none, hosts: [shop.example.net] }
                \(window)
                """
            )
            let created = try await ledger.run("user", "contract", "create", "short.yaml", "--json")
            let id = try #require(created.json?["id"] as? String, "\(created)")
            let shown = try await ledger.run("user", "contract", "list", "--json")
            let contracts = try #require(shown.json?["contracts"] as? [[String: Any]], "\(shown)")
            let mine = try #require(contracts.first { $0["id"] as? String == id }, "\(shown)")
            let spec = try #require(mine["spec"] as? [String: Any], "\(shown)")
            return (try #require(spec["not_before"] as? Int), try #require(spec["not_after"] as? Int))
        }
        let start = Int(Date().timeIntervalSince1970)
        let counted = try await create("valid: 5m")
        #expect(counted.end >= start + 300)
        let tomorrow = ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: Double(start + 86_400)))
        let said = try await create("valid: 1h\nnot_before: \(tomorrow)")
        #expect(said.begin == start + 86_400)
        #expect(said.end == said.begin + 3600)
    }

    @Test("a contract file that the ledger contradicts is answered with file, line and rule")
    func contradictions() async throws {
        try await registerGateway()
        try await ledger.join("user")
        try contract()
        let unreserved = try await ledger.run("user", "contract", "create", "contract.yaml")
        #expect(unreserved.status == 78, "\(unreserved)")
        #expect(unreserved.errors.contains("contract.yaml:5: `names[0]` is not reserved"), "\(unreserved)")
        try contract(names: "")
        let unnamed = try await ledger.run("user", "contract", "create", "contract.yaml", "--json")
        #expect(unnamed.status == 1 && unnamed.json?["code"] as? String == "name.required", "\(unnamed)")
        let text = try String(contentsOfFile: folder.path("contract.yaml"), encoding: .utf8)
        try folder.write("contract.yaml", text.replacing("north/gw1", with: "north/gw9"))
        let nowhere = try await ledger.run("user", "contract", "create", "contract.yaml")
        #expect(nowhere.status == 78, "\(nowhere)")
        #expect(nowhere.errors.contains("contract.yaml:1: `gateways[0]` names no gateway"), "\(nowhere)")
        try folder.write("contract.yaml", text.replacing("1h", with: "3000d"))
        let long = try await ledger.run("user", "contract", "create", "contract.yaml")
        #expect(long.errors.contains("contract.yaml:6: `valid` is longer than this ledger allows"), "\(long)")
    }

    @Test("nobody acts for a twin that is not theirs")
    func foreign() async throws {
        try await registerGateway()
        _ = try await GWNode.run(["keys", "new", "stranger.key"], in: folder)
        let nobody = try await ledger.run("stranger", "name", "reserve", "shop", "--json")
        #expect(nobody.status == 1 && nobody.json?["code"] as? String == "account.unknown", "\(nobody)")
        try await ledger.join("other")
        let farm = try await ledger.registerNode("gw2", by: "other", ["--endpoint", "tunnel=127.0.0.1:7444"])
        #expect(farm.status == 1 && farm.json?["code"] as? String == "farm.forbidden", "\(farm)")
        let twin = try await ledger.run("other", "twin", "create", "--json")
        #expect(twin.status == 1 && twin.json?["code"] as? String == "twin.exists", "\(twin)")
    }

    @Test("a wrong pin, a missing --dev and a foreign state folder are refused before anything is signed")
    func pins() async throws {
        try await ledger.join("user")
        let wrong = String(repeating: "ab", count: 32)
        let pinned = try await GWNode.run(
            [
                "twin", "create", "--ledger", ledger.url, "--ledger-id", wrong, "--dev", "--key", "user.key", "--state",
                "x",
            ],
            in: folder
        )
        #expect(pinned.status == 1, "\(pinned)")
        let strict = try await GWNode.run(
            ["twin", "create", "--ledger", ledger.url, "--ledger-id", ledger.id, "--key", "user.key", "--state", "y"],
            in: folder
        )
        #expect(strict.status == 1 && strict.errors.contains("--dev"), "\(strict)")
        let foreign = try await GWNode.run(
            [
                "twin", "create", "--ledger", ledger.url, "--ledger-id", wrong, "--dev", "--key", "user.key", "--state",
                "user.state",
            ],
            in: folder
        )
        #expect(foreign.status == 78 && foreign.errors.contains("give another --state"), "\(foreign)")
        for result in [pinned, strict, foreign] { UsageTests.expectNoDump(result) }
    }

    @Test("setup writes a profile that the other commands use")
    func profile() async throws {
        _ = try await GWNode.run(["keys", "new", "user.key"], in: folder)
        let setup = try await GWNode.run(["setup", "--create-twin", "--key", "user.key"] + ledger.flags, in: folder)
        #expect(setup.status == 0, "\(setup)")
        let name = try await GWNode.run(["name", "reserve", "shop", "--log-level", "error"], in: folder)
        #expect(name.status == 0 && name.errors.isEmpty, "\(name)")
        let named = try await GWNode.run(["contract", "list", "--profile", "default"], in: folder)
        #expect(named.status == 0 && named.output.contains("no contracts"), "\(named)")
        #expect(named.errors.contains("--dev"), "a trial ledger says so at every start")
    }

    @Test("a gateway that signs each contract signs with --cosigner, and nothing goes without it")
    func cosign() async throws {
        try await ledger.join("user")
        try folder.write("offer.yaml", "accept: cosign\nkinds: [http]\n")
        _ = try await ledger.registerGateway(["--offer", "offer.yaml"])
        _ = try await ledger.run("user", "name", "reserve", "shop")
        try contract()
        let alone = try await ledger.run("user", "contract", "create", "contract.yaml", "--json")
        #expect(alone.status == 1 && alone.json?["code"] as? String == "signature.missing", "\(alone)")
        let both = try await ledger.run("user", "contract", "create", "contract.yaml", "--cosigner", "node.key")
        #expect(both.status == 0, "\(both)")
    }

    @Test("log lines are JSON objects when they are asked for")
    func logs() async throws {
        _ = try await GWNode.run(["keys", "new", "user.key"], in: folder)
        let result = try await GWNode.run(
            ["twin", "create", "--key", "user.key", "--state", "s", "--log-format", "json"] + ledger.flags,
            in: folder
        )
        #expect(result.status == 0, "\(result)")
        let line = try #require(result.errors.split(separator: "\n").first)
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["level"] as? String == "warning", "\(result)")
        #expect((object?["message"] as? String)?.contains("--dev") == true)
    }

    @Test("what is no ledger is not believed, and not called unreachable", arguments: ["/checkpoint/", "/tile"])
    func notALedger(path: String) async throws {
        _ = try await GWNode.run(["keys", "new", "user.key"], in: folder)
        let result = try await GWNode.run(
            [
                "twin", "create", "--ledger", ledger.url + path, "--ledger-id", ledger.id, "--dev", "--key", "user.key",
                "--state", "z",
            ],
            in: folder
        )
        #expect(result.status == 69, "\(result)")
        UsageTests.expectNoDump(result)
    }
}
