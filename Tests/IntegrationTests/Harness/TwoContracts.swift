import Contracts
import Foundation
import TestSupport

@testable import Gateway

/// A gateway with two contracts: one is served by an honest agent, the key of the other is in the test's hands.
final class TwoContracts {
    let deployment: Deployment
    let gateway: Deployment.Gateway
    let process: NodeProcess
    let honest: Identifier
    let hostile: Identifier
    let hostileKey: SigningKey
    private let agent: NodeProcess
    private let origin: Origin

    static let honestHost = "honest.gw.test.example"
    static let hostileHost = "hostile.gw.test.example"
    static let honestText = "bytes of the honest workload"
    static let hostileText = "bytes of the hostile one"

    init() async throws {
        deployment = try await Deployment()
        try await deployment.makeTwin("farmer")
        gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
        try deployment.writeConfiguration(
            of: gateway,
            more: "limits: { handshakes_per_second: 100000, all_handshakes_per_second: 100000 }"
        )
        var contracts: [Identifier] = []
        for (name, port) in zip(["hostile", "honest"], gateway.leases) {
            try await deployment.makeTwin("user-of-\(name)")
            try await deployment.run(["keys", "new", "\(name).key"])
            try await deployment.act("user-of-\(name)", ["name", "reserve", name])
            let id = try await deployment.makeContract(
                "user-of-\(name)",
                agent: name,
                gateways: [gateway],
                expose: [
                    "{ id: web, kind: http, tls: none, hosts: [\(name).gw.test.example], backends: [b1] }",
                    "{ id: raw, kind: tcp, ports: [\(port)], backends: [b1] }",
                ],
                names: [name]
            )
            contracts.append(Identifier(hex: id)!)
        }
        (hostile, honest) = (contracts[0], contracts[1])
        hostileKey = try deployment.key("hostile.key")
        origin = try await Origin.start(.http(text: Self.honestText))
        process = try deployment.start(gateway)
        agent = try deployment.startAgent("honest", contract: honest.hex, forwards: ["web=\(origin.target)"])
        try await eventually(within: 30, "the honest page is served") { await page()?.status == 200 }
    }

    func page() async -> (status: Int, body: String)? {
        await fetch("/", host: Self.honestHost, at: gateway.address, gateway.http)
    }

    /// How many agents were refused, by reason.
    func refused() async throws -> [String: Int] {
        let tunnel = try await deployment.status(of: gateway)["tunnel"] as? [String: Any]
        return tunnel?["refused"] as? [String: Int] ?? [:]
    }

    /// Waits until exactly one more was refused for the reason, and none for another.
    func expectOneMore(_ reason: String, than before: [String: Int], _ claim: String) async throws {
        var wanted = before
        wanted[reason, default: 0] += 1
        try await eventually("\(claim) is counted as \(reason)") { try await refused() == wanted }
    }

    /// A visitor of the leased port of the contract in the test's hands, who says something and does not read.
    func visitor() -> BlockingSocket? {
        guard let socket = try? BlockingSocket.connected(gateway.address, gateway.leases.lowerBound) else { return nil }
        return socket.write([1, 2, 3]) ? socket : nil
    }
}

/// Set once, read by another thread.
final class Flag: Sendable {
    private let state = Lock(false)

    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}
