import Foundation
import TestSupport
import Testing

@Suite("Planning a contract before it is signed")
struct ContractPlanTests {
    let folder: TemporaryFolder
    let ledger: TrialLedger

    init() async throws {
        folder = try TemporaryFolder()
        ledger = try await TrialLedger(in: folder)
        for person in ["farmer", "other", "user"] { try await ledger.join(person) }
        _ = try await GWNode.run(["keys", "new", "agent.key"], in: folder)
        try await farm("north", of: "farmer")
        try await farm("south", of: "other")
        try await node("gw1", "north", of: "farmer", country: "BE", ports: "6000-6009")
        try await node("gw2", "north", of: "farmer", country: "BE", ports: "6000-6009")
        try await node("gw3", "south", of: "other", country: "JP", ports: "7000-7009", accept: "cosign")
    }

    private func farm(_ name: String, of person: String) async throws {
        let made = try await ledger.run(person, "farm", "create", "--name", name)
        #expect(made.status == 0, "\(made)")
    }

    private func node(
        _ name: String,
        _ farm: String,
        of person: String,
        country: String,
        ports: String,
        accept: String = "offer"
    ) async throws {
        _ = try await GWNode.run(["keys", "new", "\(name).key"], in: folder)
        try folder.write("offer.yaml", "kinds: [http, tcp]\ntcp: [\(ports)]\nconns: 100\naccept: \(accept)\n")
        let made = try await ledger.run(
            person,
            "node",
            "register",
            "--farm",
            farm,
            "--node-key",
            "\(name).key",
            "--name",
            name,
            "--domain",
            "gw.example.org",
            "--endpoint",
            "tunnel=127.0.0.1:7443",
            "--offer",
            "offer.yaml",
            "--country",
            country
        )
        #expect(made.status == 0, "\(made)")
    }

    private func contract(_ gateways: String, ports: String = "6001", limits: String = "{ conns: 10, bps: 1Mbit }")
        throws
    {
        try folder.write(
            "contract.yaml",
            """
            gateways: [\(gateways)]
            backends: [ { id: b1, key: agent.key.pub } ]
            expose:
              - { id: web, kind: http, tls: none, hosts: [shop.gw.example.org] }
              - { id: raw, kind: tcp, ports: [\(ports)] }
            names: [shop]
            limits: \(limits)
            valid: 1h
            """
        )
    }

    /// The plan of the file: exit status, the document, and for each gateway its codes.
    private func plan(_ more: [String] = []) async throws -> (GWNode.Result, [String: Any], [String: [String]]) {
        let result = try await GWNode.run(
            ["contract", "plan", "contract.yaml", "--json"] + more + ledger.flags
                + ["--key", "user.key", "--state", "user.state", "--log-level", "error"],
            in: folder
        )
        let json = result.json ?? [:]
        var codes: [String: [String]] = [:]
        for gateway in json["gateways"] as? [[String: Any]] ?? [] {
            let reasons = gateway["reasons"] as? [[String: Any]] ?? []
            codes[gateway["gateway"] as? String ?? ""] = reasons.compactMap { $0["code"] as? String }
            #expect(gateway["accepts"] as? Bool == reasons.isEmpty)
        }
        return (result, json, codes)
    }

    private func codes(_ json: [String: Any]) -> [String] {
        (json["reasons"] as? [[String: Any]] ?? []).compactMap { $0["code"] as? String }
    }

    @Test(
        "what plan accepts is accepted by the ledger; names, ports, offers and signers that are missing are told by gateway"
    )
    func verdicts() async throws {
        try contract("north/gw1, south/gw3, north/gw9")
        let (first, json, byGateway) = try await plan()
        #expect(first.status == 1, "\(first)")
        #expect(json["verdict"] as? String == "refused")
        #expect(codes(json) == ["name.unknown"])
        #expect(first.output.contains("shop is free; reserve it first: gw-node name reserve shop"))
        #expect(byGateway["north/gw1"] == [])
        #expect(byGateway["south/gw3"] == ["port.not_offered", "signature.missing"])
        #expect(byGateway["north/gw9"] == ["node.unknown"])
        #expect(json["warnings"] as? [String] == [])

        #expect(try await ledger.run("user", "name", "reserve", "shop").status == 0)
        try contract("north/gw1, north/gw2")
        let (second, accepted, all) = try await plan()
        #expect(second.status == 0, "\(second)")
        #expect(accepted["verdict"] as? String == "accepted")
        #expect(all == ["north/gw1": [], "north/gw2": []])
        let warnings = try #require(accepted["warnings"] as? [String])
        #expect(warnings.contains { $0.hasPrefix("all 2 gateways belong to the farm north") }, "\(warnings)")
        #expect(warnings.contains { $0.hasPrefix("all 2 gateways stand in one region (BE)") }, "\(warnings)")
        let created = try await ledger.run("user", "contract", "create", "contract.yaml", "--json")
        #expect(created.status == 0, "\(created)")

        // The same again: the port is leased and the host has an earlier owner; as an update of itself neither counts.
        let (third, _, again) = try await plan()
        #expect(third.status == 1)
        #expect(again["north/gw1"] == ["port.taken", "HostnameConflict"])
        #expect(third.output.contains("tcp 6001: another contract leases this port"))
        let id = try #require(created.json?["id"] as? String)
        let (update, _, _) = try await plan(["--update", id])
        #expect(update.status == 0, "\(update)")

        try contract("north/gw1", ports: "6002", limits: "{ conns: 101, bps: 1Mbit }")
        let (over, alone, exceeded) = try await plan()
        #expect(over.status == 1)
        #expect(exceeded["north/gw1"] == ["offer.exceeded", "HostnameConflict"])
        #expect((alone["warnings"] as? [String])?.first?.hasPrefix("one gateway serves all of it") == true)
    }

    @Test("a cosigner's key lifts its objection, and people read the same as programs")
    func cosigned() async throws {
        #expect(try await ledger.run("user", "name", "reserve", "shop").status == 0)
        try contract("south/gw3", ports: "7001")
        let (missing, _, codes) = try await plan()
        #expect(missing.status == 1 && codes["south/gw3"] == ["signature.missing"], "\(missing)")
        let (signed, _, _) = try await plan(["--cosigner", "gw3.key"])
        #expect(signed.status == 0, "\(signed)")
        let text = try await ledger.run("user", "contract", "plan", "contract.yaml")
        #expect(text.status == 1)
        #expect(text.output.contains("contract.yaml: would be refused"), "\(text)")
        #expect(text.output.contains("gateway south/gw3 (south, JP): refuses"), "\(text)")
        #expect(text.output.contains("  note: it has not reported about any contract yet"), "\(text)")
        let size = try await ledger.run("user", "contract", "list", "--json")
        #expect((size.json?["contracts"] as? [Any])?.isEmpty == true, "a plan signed something: \(size)")
    }

    @Test("an overlay contract may be planned where the offer takes it, without an agent's endpoint")
    func overlay() async throws {
        try folder.write(
            "contract.yaml",
            """
            gateways: [north/gw1]
            conn: overlay
            backends: [ { id: b1, address: "[200:db8::2]:8080" } ]
            expose: [ { id: web, kind: http, tls: none, hosts: [shop.gw.example.org] } ]
            names: [shop]
            valid: 1h
            """
        )
        #expect(try await ledger.run("user", "name", "reserve", "shop").status == 0)
        let (result, _, _) = try await plan()
        #expect(result.status == 0, "\(result)")
    }
}
