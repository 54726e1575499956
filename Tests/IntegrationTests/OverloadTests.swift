import Foundation
import TestSupport
import Testing

@Suite("A gateway at its own limits, through real processes", .serialized)
struct OverloadTests {
    @Test("without descriptors it sheds new visitors and says so, and serves again when some are free")
    func descriptors() async throws {
        let scene = try await EndToEnd.Scene()
        let process = scene.gatewayProcess
        let limit = try process.usage().descriptors + 40
        let prlimit = Process()
        prlimit.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
        prlimit.arguments = ["--pid", "\(process.pid)", "--nofile=\(limit):\(limit)"]
        try prlimit.run()
        prlimit.waitUntilExit()
        #expect(prlimit.terminationStatus == 0)
        var visitors: [Visitor] = []
        for _ in 0..<120 {
            if let visitor = try? await Visitor(scene.gateway.address, scene.gateway.http) { visitors.append(visitor) }
        }
        try await eventually("new visitors are refused") { await scene.page() == nil }
        #expect(process.isRunning)
        for visitor in visitors { await visitor.close() }
        try await eventually(within: 20, "the page is served again") { await scene.page()?.status == 200 }
        let status = try await scene.deployment.status(of: scene.gateway)
        #expect((status["refused"] as? [String: Int])?["overload"] ?? 0 > 0)
    }

    @Test("SIGHUP takes other limits and addresses, and cuts nobody")
    func reload() async throws {
        let scene = try await EndToEnd.Scene()
        let gateway = scene.gateway
        let visitor = try await Visitor(gateway.address, gateway.http)
        #expect(try await visitor.get("/", host: scene.host).status == 200)
        let file = scene.deployment.folder.appendingPathComponent(gateway.configuration)
        let text = try String(contentsOf: file, encoding: .utf8)
        let port = try Loopback.freePort(gateway.address)
        let more = text.replacingOccurrences(
            of: "\"\(gateway.address):\(gateway.http)\"",
            with: "\"\(gateway.address):\(gateway.http)\", \"\(gateway.address):\(port)\""
        )
        try scene.deployment.write(gateway.configuration, more + "\nlimits: { connections: 100, header_size: 4KiB }\n")
        scene.gatewayProcess.send(SIGHUP)
        try await eventually("the new address is served") {
            await fetch("/", host: scene.host, at: gateway.address, port)?.status == 200
        }
        #expect(try await visitor.get("/", host: scene.host).status == 200)
        let long = ["X-Long: \(String(repeating: "a", count: 5000))"]
        #expect(try await visitor.get("/", host: scene.host, fields: long).status == 431)
        // What only a restart can change is refused, and the rest of the file with it.
        try scene.deployment.write(gateway.configuration, text.replacingOccurrences(of: "loops: 1", with: "loops: 2"))
        scene.gatewayProcess.send(SIGHUP)
        try await eventually("it says so") { scene.gatewayProcess.errors.contains("change only with a restart") }
        #expect(await fetch("/", host: scene.host, at: gateway.address, port)?.status == 200)
    }
}
