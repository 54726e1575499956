import Foundation
import TestSupport
import Testing

@Suite("Overlay contracts on two event loops")
struct OverlayBalanceTests {
    @Test("least-conn levels the open connections, and client-ip keeps a visitor at one workload, on whatever loop")
    func balance() async throws {
        guard let scene = try await OverlayTests.Scene() else { return }
        let file = scene.deployment.folder.appendingPathComponent(scene.gateway.configuration)
        let text = try String(contentsOf: file, encoding: .utf8)
        try scene.deployment.write(scene.gateway.configuration, text.replacing("loops: 1", with: "loops: 2"))
        let first = try await scene.origin("one")
        let second = try await scene.origin("two", number: 3)
        let sticky = "sticky.\(scene.host)"
        func exposure(_ id: String, _ host: String, _ balance: String) -> String {
            "{ id: \(id), kind: http, tls: none, hosts: [\(host)], backends: [b1, b2], balance: \(balance) }"
        }
        let exposures = [exposure("level", scene.host, "least-conn"), exposure("sticky", sticky, "client-ip")]
        _ = try await scene.contract([first.target, second.target], expose: exposures.joined(separator: "\n  - "))
        try scene.startGateway()
        let gateway = scene.gateway
        func ask(from source: String) async -> String? {
            guard let visitor = try? await Visitor(gateway.address, gateway.http, from: source) else { return nil }
            let answer = try? await visitor.get("/", host: sticky, fields: ["Connection: close"])
            await visitor.close()
            return answer?.body
        }
        let sources = (1...16).map { "127.0.8.\($0)" }
        try await eventually(within: 30, "both backends are proven") {
            var seen: Set<String?> = []
            for source in sources { seen.insert(await ask(from: source)) }
            return seen == ["one", "two"]
        }

        // Each loop levels its own connections, so each may be one off.
        var held: [(name: String, visitor: Visitor)] = []
        func hold(_ count: Int) async throws {
            for _ in 0..<count {
                let visitor = try await Visitor(gateway.address, gateway.http)
                held.append((try await visitor.get("/", host: scene.host).body, visitor))
            }
        }
        func difference() -> Int { held.count { $0.name == "one" } - held.count { $0.name == "two" } }
        try await hold(40)
        #expect(abs(difference()) <= 2, "\(difference())")
        for (name, visitor) in held where name == "one" { await visitor.close() }
        held.removeAll { $0.name == "one" }
        let left = held.count
        try await eventually("the gateway has seen them leave") {
            let status = try await scene.deployment.status(of: gateway)
            return (status["contracts"] as? [[String: Any]])?.first?["streams"] as? Int == left
        }
        // As many as a loop needs, whichever the kernel gives them to.
        while abs(difference()) > 2, held.count < left + 200 { try await hold(1) }
        #expect(abs(difference()) <= 2, "\(difference())")
        for (_, visitor) in held { await visitor.close() }

        var home: [String: String] = [:]
        for _ in 0..<4 {
            for source in sources {
                let name = await ask(from: source)
                #expect(name != nil && (home[source] == nil || home[source] == name), "\(source)")
                home[source] = name
            }
        }
        #expect(Set(home.values) == ["one", "two"])
    }
}
