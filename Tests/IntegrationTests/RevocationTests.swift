import Foundation
import TestSupport
import Testing

@Suite("What the ledger takes back ends on live streams, through real processes", .serialized)
struct RevocationTests {
    /// How a live stream loses its permit.
    enum Cause: String, CaseIterable, CustomTestStringConvertible {
        case cancelled, keyRemoved, portMoved
        var testDescription: String { rawValue }
    }

    private static let drain = 2

    @Test(
        "a cancelled contract, a removed backend key or a moved port cuts live streams within poll + drain + a second",
        arguments: Cause.allCases
    )
    func live(cause: Cause) async throws {
        let deployment = try await Deployment()
        try await deployment.makeTwin("farmer")
        try await deployment.makeTwin("user")
        for key in ["agent", "other"] { try await deployment.run(["keys", "new", "\(key).key"]) }
        let gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
        let echo = try await Origin.start(.echo)
        let port = gateway.leases.lowerBound
        let contract = try await deployment.makeContract(
            "user",
            gateways: [gateway],
            expose: ["{ id: raw, kind: tcp, ports: [\(port)], backends: [b1] }"],
            more: "drain: \(Self.drain)s"
        )
        let process = try deployment.start(gateway)
        let agent = try deployment.startAgent(contract: contract, forwards: ["raw=\(echo.target)"])
        var live: [Visitor] = []
        for _ in 0..<5 { live.append(try await echoing(gateway, port)) }

        switch cause {
        case .cancelled: try await deployment.act("user", ["contract", "cancel", contract])
        case .keyRemoved: try await update(deployment, contract, gateway, agent: "other", port: port)
        case .portMoved: try await update(deployment, contract, gateway, agent: "agent", port: port + 1)
        }
        // The command ends when the ledger has answered: from then on it counts.
        let start = ContinuousClock.now
        for visitor in live {
            _ = try? await visitor.readToEnd(within: .seconds(20))
            #expect(ContinuousClock.now - start < .seconds(Double(Self.drain) + 3), "\(cause)")
        }
        let lasted = ContinuousClock.now - start
        #expect(try await isRefused(gateway, port))
        try await eventually("all of them are measured") {
            try await revocation(deployment, gateway)["streams"] ?? 0 >= live.count
        }
        let figures = try await revocation(deployment, gateway)
        print("\(cause): live streams ended \(lasted) after the ledger's answer; the gateway measured \(figures)")
        #expect(figures["worst_ms"] ?? 0 >= Self.drain * 1000)
        #expect(figures["worst_late_ms"] ?? .max <= 1500)
        for visitor in live { await visitor.close() }
        withExtendedLifetime((process, agent)) {}
    }

    /// A visitor whose stream carries bytes both ways.
    private func echoing(_ gateway: Deployment.Gateway, _ port: UInt16) async throws -> Visitor {
        try await awaited("the port echoes", within: 30) {
            guard let visitor = try? await Visitor(gateway.address, port) else { return nil }
            try? await visitor.send([1, 2, 3])
            if (try? await visitor.read(within: .seconds(3)) { $0 == [1, 2, 3] }) == true { return visitor }
            await visitor.close()
            return nil
        }
    }

    private func isRefused(_ gateway: Deployment.Gateway, _ port: UInt16) async throws -> Bool {
        guard let visitor = try? await Visitor(gateway.address, port) else { return true }
        try? await visitor.send([1])
        let isAnswered = (try? await visitor.read(within: .seconds(3)) { !$0.isEmpty }) == true
        await visitor.close()
        return !isAnswered
    }

    private func update(
        _ deployment: Deployment,
        _ contract: String,
        _ gateway: Deployment.Gateway,
        agent: String,
        port: UInt16
    ) async throws {
        let text = deployment.contractText(
            agent: agent,
            gateways: [gateway],
            expose: ["{ id: raw, kind: tcp, ports: [\(port)], backends: [b1] }"],
            more: "drain: \(Self.drain)s"
        )
        try deployment.write("changed.yaml", text)
        try await deployment.act("user", ["contract", "update", contract, "changed.yaml"])
    }

    private func revocation(_ deployment: Deployment, _ gateway: Deployment.Gateway) async throws -> [String: Int] {
        try await deployment.status(of: gateway)["revocation"] as? [String: Int] ?? [:]
    }
}
