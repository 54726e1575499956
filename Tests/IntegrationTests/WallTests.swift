import Foundation
import TestSupport
import Testing

@Suite("tunnel --wall: an agent that proves that nobody reaches its workload but over the gateways")
struct WallTests {
    private static let listener = """
        import os, socket, sys, time
        parent = os.getppid()
        kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
        family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
        opened = socket.socket(family, kind)
        opened.bind((sys.argv[2], 0))
        if sys.argv[1] == "tcp": opened.listen()
        print("listening", opened.getsockname()[1], flush=True)
        open("listening", "w").close()
        while os.getppid() == parent: time.sleep(0.1)
        """

    @Test(
        "serves from behind the wall and says so to programs and gateways; a listener that appears ends it within seconds, by name"
    )
    func serves() async throws {
        guard let network = OverlayNetwork.make(isPrivate: true) else { return }
        let (deployment, gateway) = try await Deployment.withGateway(at: network.ownIPv4, name: "shop")
        let host = "shop.gw.test.example"
        let contract = try await deployment.makeContract(
            "user",
            gateways: [gateway],
            expose: ["{ id: web, kind: http, tls: none, hosts: [\(host)], backends: [b1] }"],
            names: ["shop"]
        )
        let process = try deployment.start(gateway)
        let origin = try await ProvingOrigin("one", address: "::1", .missing, in: deployment.folder, network: network)
        let agent = try network.start(
            "agent",
            [
                GWNode.program.path, "tunnel", "--wall", "--contract", contract, "--key", "agent.key", "--forward",
                "web=\(origin.target)",
            ] + deployment.ledgerFlags(state: "state-agent"),
            in: deployment.folder
        )
        try await eventually(within: 20, "the page is served from behind the wall; \(agent.errors)") {
            await fetch("/", host: host, at: gateway.address, gateway.http)?.body == "one"
        }
        let first = try #require(agent.output.split(separator: "\n").first)
        #expect(first.hasPrefix(#"{"event":"wall","state":"proven","loopback_sockets":1,"interfaces":["#), "\(first)")
        let sessions = try await deployment.status(of: gateway)["sessions"] as? [[String: Any]] ?? []
        #expect(sessions.allSatisfy { $0["agent"] as? String == "gw-node, walled" } && !sessions.isEmpty)

        try deployment.write("listener.py", Self.listener)
        let offender = try network.start(
            "offender",
            ["python3", "listener.py", "tcp", "0.0.0.0"],
            in: deployment.folder
        )
        let port = try await offender.line(beginning: "listening ")
        let appeared = ContinuousClock.now
        let finished = try await agent.finish(within: 20)
        print("a listener that appeared ended the agent after \(ContinuousClock.now - appeared)")
        #expect(finished.status == 1)
        #expect(
            finished.errors.contains("the network wall has a hole: tcp 0.0.0.0:\(port) of python"),
            "\(finished.errors)"
        )
        #expect(finished.output.contains(#"{"event":"wall","state":"broken","code":"wall.listener""#))
        try await eventually(within: 10, "nothing is served any more") {
            await fetch("/", host: host, at: gateway.address, gateway.http)?.status == 503
        }
        #expect(process.isRunning)
    }

    @Test(
        "refuses to connect, with a sentence that names the hole",
        arguments: [
            ("exec python3 listener.py tcp ::", "hole: tcp [::]:"),
            ("exec python3 listener.py udp 0.0.0.0", "hole: udp 0.0.0.0:"),
            ("ip -6 addr add 2001:db8::5/64 dev lo nodad; touch listening", "hole: the interface lo has 2001:db8::5"),
            ("ip -6 addr add 200:db8::5/64 dev lo nodad; touch listening", "hole: the interface lo has 200:db8::5"),
            ("ip addr add 203.0.113.5/32 dev lo; touch listening", "hole: the interface lo has 203.0.113.5"),
            ("ip -6 route add local fd00:1::/64 dev lo; touch listening", "is local here; delete that route"),
            (
                "echo 1 > /proc/sys/net/ipv4/conf/lo/route_localnet; touch listening",
                "net.ipv4.conf.lo.route_localnet lets others"
            ),
            (
                "ip link add left0 type veth peer name right0; ip addr add 10.9.0.1/24 dev left0; "
                    + "ip addr add 10.9.1.1/24 dev right0; "
                    + "ip link set left0 up; ip link set right0 up; echo 1 > /proc/sys/net/ipv4/ip_forward; touch listening",
                "hole: net.ipv4.ip_forward passes packets between its interfaces"
            ),
        ]
    )
    func holes(preparation: String, words: String) async throws {
        guard let finished = try await tunnel(preparation, endsItself: true) else { return }
        #expect(finished.status == 1, "\(finished)")
        #expect(finished.errors.contains(words), "\(finished.errors)")
        #expect(finished.output.isEmpty || finished.output.contains(#""code":"wall."#), "\(finished.output)")
    }

    @Test("passes listeners on loopback only", arguments: ["tcp 127.0.0.1", "tcp ::1", "udp 127.0.0.1"])
    func loopback(listener: String) async throws {
        guard let finished = try await tunnel("exec python3 listener.py \(listener)", endsItself: false) else { return }
        #expect(finished.output.hasPrefix(#"{"event":"wall","state":"proven","loopback_sockets":1"#), "\(finished)")
    }

    /// Runs the agent in a fresh namespace after a preparation there; nil where no namespace can be made.
    private func tunnel(_ preparation: String, endsItself: Bool) async throws -> Finished? {
        guard OverlayNetwork.make(isPrivate: true) != nil else { return nil }
        let folder = try TemporaryFolder()
        try folder.write("listener.py", Self.listener)
        let keys = try NodeProcess("keys", ["keys", "new", "agent.key"], in: folder.url)
        #expect(try await keys.finish().status == 0)
        let script = """
            ip link set lo up
            {
                exec </dev/null >/dev/null 2>&1
                \(preparation)
            } &
            until [ -e listening ]; do sleep 0.05; done
            exec "$@"
            """
        let zero = String(repeating: "0", count: 64)
        let process = try NodeProcess(
            "tunnel",
            [
                "-n", "bash", "-c", script, "bash", GWNode.program.path, "tunnel", "--wall", "--contract", zero,
                "--key",
                "agent.key", "--forward", "web=127.0.0.1:8080", "--ledger", "http://127.0.0.1:1", "--ledger-id", zero,
                "--state", "state", "--json",
            ],
            in: folder.url,
            program: URL(fileURLWithPath: "/usr/bin/unshare")
        )
        if endsItself { return try await process.finish() }
        _ = try await process.line(beginning: #"{"event":"wall""#)
        process.send(SIGKILL)
        return try await process.finish()
    }
}
