import Foundation
import TestSupport
import Testing

@Suite("UDP through real processes")
struct Datagrams {
    @Test("a leased UDP port passes datagrams both ways, beside the TCP port of the same number, until the cancel")
    func leasedPort() async throws {
        let deployment = try await Deployment()
        let gateway = try await deployment.furnish()
        let workload = try DatagramSocket("127.0.0.1")
        workload.serveEcho()
        let web = try await Origin.start(.http(text: "over TCP"))
        let port = gateway.leases.lowerBound
        let contract = try await deployment.makeContract(
            "user",
            gateways: [gateway],
            expose: [
                "{ id: dns, kind: udp, ports: [\(port)], backends: [b1] }",
                "{ id: web, kind: tcp, ports: [\(port)], backends: [b1] }",
            ],
            more: "drain: 0s"
        )
        let process = try deployment.start(gateway)
        let agent = try deployment.startAgent(
            contract: contract,
            forwards: ["dns=127.0.0.1:\(workload.port)", "web=\(web.target)"]
        )
        let visitor = try DatagramSocket("127.0.0.1")
        #expect(await visitor.ask([1, 2, 3], at: gateway.address, port, tries: 40) == [1, 2, 3])
        for length in [1, 1400, 65_507] {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7) }
            #expect(await visitor.ask(bytes, at: gateway.address, port) == bytes, "\(length) bytes")
        }
        try await eventually(within: 20, "TCP of the same number is served too") {
            await fetch("/", host: "a.b", at: gateway.address, port)?.body == "over TCP"
        }
        let status = try await deployment.status(of: gateway)
        let routes = try #require(status["routes"] as? [[String: Any]])
        #expect(routes.contains { ($0["ports"] as? [String]) == ["udp:\(port)"] })

        try await deployment.act("user", ["contract", "cancel", contract])
        try await eventually(within: 20, "datagrams meet nobody any more") {
            await visitor.ask([9], at: gateway.address, port, tries: 1) == nil
        }
        #expect(process.isRunning)
        _ = agent
    }
}
