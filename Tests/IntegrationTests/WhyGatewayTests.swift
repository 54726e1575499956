import Foundation
import TestSupport
import Testing

@Suite("why, asked of a gateway on this machine")
struct WhyGateway {
    private func why(_ scene: EndToEnd.Scene, _ arguments: String..., status: Int32) async throws -> [String: Any] {
        let asked = ["why"] + arguments + ["--config", scene.gateway.configuration, "--json"]
        return try await scene.deployment.run(asked, status: status).json()
    }

    @Test(
        "answers from what the running gateway verified, at every height of it, and still when everything else is down"
    )
    func answers() async throws {
        let scene = try await EndToEnd.Scene()
        let (deployment, host) = (scene.deployment, scene.host)
        try await eventually(within: 30, "the gateway says that the contract is deployed") {
            let asked = ["why", host, "--config", scene.gateway.configuration, "--json"]
            let answer = try await deployment.run(asked).json()
            return answer["reason"] as? String == "Accepted"
        }
        let served = try await why(scene, host, status: 0)
        #expect(served["verdict"] as? String == "served" && served["contract"] as? String == scene.contract)
        #expect(served["node"] as? String == scene.gateway.node && served["subject"] as? String == host)
        let types = (served["entries"] as? [[String: Any]] ?? []).compactMap { $0["type"] as? String }
        #expect(Set(["contract.create", "node.register", "name.create", "contract.report"]).isSubset(of: Set(types)))
        let running = try #require(served["gateway"] as? [String: Any])
        #expect(running["running"] as? Bool == true && running["halt"] == nil)
        let conditions = try #require(running["conditions"] as? [[String: Any]])
        #expect(conditions.contains { $0["type"] as? String == "Connected" && $0["status"] as? String == "True" })

        let created = try #require(
            (served["entries"] as? [[String: Any]])?.first { $0["type"] as? String == "contract.create" }?["index"]
                as? Int
        )
        let before = try await why(scene, host, "--height", "\(created)", status: 1)
        #expect(before["reason"] as? String == "NoContract" && before["height"] as? Int == created)
        let then = try await why(scene, host, "--height", "\(created + 1)", status: 0)
        #expect(then["height"] as? Int == created + 1 && then["gateway"] == nil)
        #expect(try await why(scene, "tcp:9", status: 1)["reason"] as? String == "NoContract")
        _ = try await why(scene, host, "--height", "100000", status: 2)
        _ = try await why(scene, host, "--ledger-id", deployment.ledgerID, status: 2)

        try await scene.gatewayProcess.killHard()
        let stopped = try await why(scene, host, status: 0)
        #expect((stopped["gateway"] as? [String: Any])?["running"] as? Bool == false)
        try await deployment.ledger?.killHard()
        let alone = try await why(scene, host, status: 0)
        #expect(alone["verdict"] as? String == "served" && (alone["entries"] as? [Any])?.isEmpty == true)
        #expect((alone["unread"] as? String)?.contains("client.unreachable") == true, "\(alone)")
        let past = try await why(scene, host, "--height", "\(created + 1)", status: 69)
        #expect(past["code"] as? String == "client.unreachable")
    }

    @Test("says what is wrong with a gateway that verified nothing, is not there, or whose store is damaged")
    func failures() async throws {
        let deployment = try await Deployment()
        try await deployment.makeTwin("farmer")
        let gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
        func why(_ status: Int32) async throws -> Finished {
            try await deployment.run(["why", "a.gw.test.example", "--config", gateway.configuration], status: status)
        }
        let missing = try await why(78)
        #expect(missing.errors.contains("does not exist or cannot be seen by this user"), "\(missing)")

        try deployment.writeConfiguration(of: gateway, ledger: "http://127.0.0.1:9")
        let process = try deployment.start(gateway)
        let file = deployment.folder.appendingPathComponent("state-gw1/trust.sqlite")
        try await eventually(within: 20, "the store is there") {
            FileManager.default.fileExists(atPath: file.path)
        }
        let empty = try await why(75)
        #expect(empty.errors.contains("has not verified anything"), "\(empty)")
        try await process.killHard()
        for name in ["trust.sqlite-wal", "trust.sqlite-shm"] {
            try? FileManager.default.removeItem(at: deployment.folder.appendingPathComponent("state-gw1/\(name)"))
        }
        try Data("no database, but as long as a header of one might be".utf8).write(to: file)
        let damaged = try await why(78)
        #expect(damaged.errors.contains("trust.sqlite"), "\(damaged)")
    }
}
