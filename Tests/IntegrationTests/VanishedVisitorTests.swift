import Foundation
import TestSupport
import Testing

@Suite("Visitors whose host vanishes without a word", .serialized)
struct VanishedVisitorTests {
    private static let program = """
        import socket, sys, time
        address, http, port, host, isLong = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5] == "1"
        opened = []
        def visit(port, text):
            opened.append(socket.create_connection((address, port)))
            opened[-1].sendall(text.encode())
        visit(http, f"GET / HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n")
        opened[-1].recv(4096)
        visit(http, f"GET / HTTP/1.1\\r\\nHo")
        visit(http, f"POST / HTTP/1.1\\r\\nHost: {host}\\r\\nContent-Length: 1000\\r\\n\\r\\nbody")
        visit(http, f"GET /bytes/50000000 HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n")
        opened[-1].recv(1)
        if isLong:
            visit(port, "said")
            opened[-1].recv(4)
        print("connected", flush=True)
        time.sleep(600)
        """

    @Test("between requests, in a head, in a body and in a download: all are let go in time, with their streams")
    func http() async throws { try await vanish(isLong: false, within: 15) }

    @Test(
        "on a silent TCP port, two minutes after their last word",
        .enabled(if: More.heavy, "`scripts/test-more.sh heavy` runs it")
    )
    func tcp() async throws { try await vanish(isLong: true, within: 160) }

    private func vanish(isLong: Bool, within seconds: Double) async throws {
        guard let network = OverlayNetwork.make(isPrivate: true) else { return }
        let (deployment, gateway) = try await Deployment.withGateway(at: network.ownIPv4, name: "shop")
        try deployment.writeConfiguration(of: gateway, more: "limits: { idle: 2s, header_time: 2s, slow_time: 2s }")
        let host = "shop.gw.test.example"
        let port = gateway.leases.lowerBound
        let contract = try await deployment.makeContract(
            "user",
            gateways: [gateway],
            expose: [
                "{ id: raw, kind: tcp, ports: [\(port)], backends: [b1] }",
                "{ id: web, kind: http, tls: none, hosts: [\(host)], backends: [b1] }",
            ],
            names: ["shop"]
        )
        let origin = try await Origin.start(.http(text: "page"))
        let echo = try await Origin.start(.echo)
        let process = try deployment.start(gateway)
        let agent = try deployment.startAgent(
            contract: contract,
            forwards: ["raw=\(echo.target)", "web=\(origin.target)"]
        )
        try await eventually(within: 30, "the page is served") {
            await fetch("/", host: host, at: gateway.address, gateway.http)?.status == 200
        }
        func open() async throws -> (visitors: Int?, streams: Int?) {
            let status = try await deployment.status(of: gateway)
            let contracts = status["contracts"] as? [[String: Any]] ?? []
            return ((status["visitors"] as? [String: Int])?["now"], contracts.first?["streams"] as? Int)
        }
        try await eventually("nobody is there") { try await open() == (0, 0) }
        try deployment.write("visitor.py", Self.program)
        let arguments = ["visitor.py", gateway.address, "\(gateway.http)", "\(port)", host, isLong ? "1" : "0"]
        let visitor = try network.start("visitor", ["python3"] + arguments, in: deployment.folder)
        _ = try await visitor.line(beginning: "connected")
        try network.vanish()
        let start = ContinuousClock.now
        if isLong {
            try await eventually(within: 15, "the silent one is left") { try await open() == (1, 1) }
        }
        try await eventually(within: seconds, "nobody is left") { try await open() == (0, 0) }
        let lasted = ContinuousClock.now - start
        print("visitors whose host vanished were let go after \(lasted)")
        #expect(!isLong || lasted > .seconds(100))
        #expect(process.isRunning && agent.isRunning && visitor.isRunning)
    }
}
