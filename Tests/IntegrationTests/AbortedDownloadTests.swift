import Foundation
import TestSupport
import Testing

@Suite("Downloads that are broken off", .serialized)
struct AbortedDownloadTests {
    @Test("downloads of 1 GB that visitors break off leave the memory of gateway and agent where it was")
    func aborted() async throws {
        let port = try Loopback.freePort("127.0.0.1")
        try Self.serveGigabytes(port)
        let scene = try await Load.PortScene(.echo, target: "127.0.0.1:\(port)")
        let count = More.heavy ? 1_000 : 50
        try await breakOff(scene, 30)
        let before = try scene.usage()
        let start = ContinuousClock.now
        try await breakOff(scene, count)
        let after = try scene.usage()
        print(
            "\(count) broken off in \(ContinuousClock.now - start): \(after.residentKiB - before.residentKiB) KiB and "
                + "\(after.descriptors - before.descriptors) descriptors more"
        )
        #expect(after.residentKiB - before.residentKiB < 8 << 10)
        #expect(after.descriptors <= before.descriptors + 4)
    }

    @Test("a visitor who stops reading costs less than the window of a stream, gateway and agent together")
    func stalled() async throws {
        let port = try Loopback.freePort("127.0.0.1")
        try Self.serveGigabytes(port)
        let scene = try await Load.PortScene(.echo, target: "127.0.0.1:\(port)")
        try await breakOff(scene, 30)
        let before = try scene.usage()
        let stalled = try BlockingSocket.connected(scene.gateway.address, scene.port)
        #expect(stalled.write(Array("GET / HTTP/1.1\r\n\r\n".utf8)[...]))
        var seen = -1
        try await eventually(within: 30, "nothing moves any more") {
            let status = try await scene.deployment.status(of: scene.gateway)
            let contracts = status["contracts"] as? [[String: Any]] ?? []
            let bytes = contracts.first?["bytes_out"] as? Int ?? 0
            defer { seen = bytes }
            return bytes == seen && bytes > 0
        }
        let after = try scene.usage()
        print("a stalled download costs \(after.residentKiB - before.residentKiB) KiB")
        #expect(after.residentKiB - before.residentKiB < 16 << 10)
        withExtendedLifetime(stalled) {}
    }

    /// Downloads, four at a time, of which each visitor takes a different part; half of them reset.
    private func breakOff(_ scene: Load.PortScene, _ count: Int) async throws {
        let (address, port) = (scene.gateway.address, scene.port)
        let isFine = await withTaskGroup(of: Bool.self) { group in
            for lane in 0..<4 {
                group.addTask {
                    await onThread {
                        (0..<((count + 3 - lane) / 4)).allSatisfy { Self.download(address, port, lane + 4 * $0) }
                    }
                }
            }
            return await group.allSatisfy { $0 }
        }
        #expect(isFine, "a download did not begin")
        try await eventually(within: 20, "no stream is left") {
            let status = try await scene.deployment.status(of: scene.gateway)
            return (status["contracts"] as? [[String: Any]])?.first?["streams"] as? Int == 0
        }
    }

    private static func download(_ address: String, _ port: UInt16, _ number: Int) -> Bool {
        guard let socket = try? BlockingSocket.connected(address, port) else { return false }
        socket.setDeadline(seconds: 20)
        guard socket.write(Array("GET / HTTP/1.1\r\n\r\n".utf8)[...]) else { return false }
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var left = 1 + (number * 377_777) % (4 << 20)
        while left > 0 {
            let count = socket.read(into: &buffer)
            guard count > 0 else { return false }
            left -= count
        }
        if number % 2 == 0 { socket.resetOnClose() }
        return true
    }

    /// Answers every connection with 1 GB of zeros, until it breaks.
    private static func serveGigabytes(_ port: UInt16) throws {
        let listener = try BlockingSocket.listening(port)
        Thread.detachNewThread {
            while let peer = listener.accepted() {
                Thread.detachNewThread {
                    var request = [UInt8](repeating: 0, count: 4096)
                    guard peer.read(into: &request) > 0 else { return }
                    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
                    guard peer.write(Array(head.utf8)[...]) else { return }
                    let zeros = [UInt8](repeating: 0, count: 1 << 18)
                    for _ in 0..<4096 where !peer.write(zeros[...]) { return }
                }
            }
        }
    }
}

@Suite("Visitors who take their time", .serialized)
struct SlowVisitorTests {
    @Test("a visitor who reads slowly gets all of an answer, although the gateway has been done with it for seconds")
    func slowReader() async throws {
        let scene = try await EndToEnd.Scene()
        #expect(await slowDownload(7_000_000, host: scene.host, scene.gateway) == 7_000_000)
        try await eventually(within: 10, "nothing is left of it") {
            let status = try await scene.deployment.status(of: scene.gateway)
            return (status["visitors"] as? [String: Int])?["now"] == 0
        }
    }
}

/// Takes an answer of so many bytes at about a megabyte a second, on a connection that closes after it; the bytes of the body that came.
func slowDownload(_ bytes: Int, host: String, _ gateway: Deployment.Gateway) async -> Int {
    await onThread {
        guard let socket = try? BlockingSocket.connected(gateway.address, gateway.http) else { return -1 }
        let head = "GET /bytes/\(bytes) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"
        guard socket.write(Array(head.utf8)[...]) else { return -1 }
        var buffer = [UInt8](repeating: 0, count: 60_000)
        var (total, headLength) = (0, 0)
        while true {
            let count = socket.read(into: &buffer)
            guard count > 0 else { return total - headLength }
            if headLength == 0 {
                headLength =
                    String(decoding: buffer[..<count], as: UTF8.self).components(separatedBy: "\r\n\r\n")[0].utf8.count
                    + 4
            }
            total += count
            usleep(50_000)
        }
    }
}
