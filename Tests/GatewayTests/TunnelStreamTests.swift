import Contracts
import Glibc
import Testing

@testable import Gateway

@Suite("Streams over a tunnel", .serialized)
struct TunnelStreamTests {
    @Test("carries exact bytes both ways at once, with half-close", arguments: [1, 1000, 300_000, 8 << 20])
    func exactBytes(_ count: Int) async throws {
        let server = try TestServer.echo()
        let rig = try await TunnelRig(target: server.address.description)
        let sent = testBytes(count, seed: UInt64(count))
        let received = await rig.exchange(sent)
        #expect(received == sent)
        #expect(await eventually { await rig.gateway.streams == 0 })
        await rig.stop()
    }

    @Test("the workload may answer after the visitor ended, and end first itself")
    func halfClose() async throws {
        let reply = testBytes(2 << 20, seed: 3)
        // Reads to the end, then answers at length.
        let late = try TestServer { socket in
            let request = socket.readToEnd()
            if request?.count == 100_000 { socket.write(reply) }
        }
        let rig = try await TunnelRig(target: late.address.description)
        let received = await blocking { () -> [UInt8]? in
            guard let visitor = try? rig.visitor() else { return nil }
            visitor.write(testBytes(100_000))
            visitor.finish()
            return visitor.readToEnd()
        }
        #expect(received == reply)
        await rig.stop()

        // Ends its direction at once, then reads to the end.
        let count = Lock(-1)
        let early = try TestServer { socket in
            socket.write([1, 2, 3])
            socket.finish()
            let request = socket.readToEnd()
            count.withLock { $0 = request?.count ?? -2 }
        }
        let second = try await TunnelRig(target: early.address.description)
        let first = await blocking { () -> [UInt8]? in
            guard let visitor = try? second.visitor() else { return nil }
            let first = visitor.readToEnd()
            visitor.write(testBytes(500_000))
            visitor.finish()
            return first
        }
        #expect(first == [1, 2, 3])
        #expect(await eventually { count.withLock { $0 } == 500_000 })
        await second.stop()
    }

    @Test("an abort travels as RST in both directions")
    func aborts() async throws {
        let failure = Lock<Int32>(-1)
        let watching = try TestServer { socket in
            socket.write([1])
            while let bytes = socket.read(), !bytes.isEmpty {}
            let code = errno
            failure.withLock { $0 = code }
        }
        let rig = try await TunnelRig(target: watching.address.description)
        await blocking {
            guard let visitor = try? rig.visitor() else { return }
            _ = visitor.read(exactly: 1)
            visitor.reset()
        }
        #expect(await eventually { failure.withLock { $0 } == ECONNRESET })
        #expect(await eventually { await rig.gateway.streams == 0 })
        await rig.stop()

        let aborting = try TestServer { socket in
            _ = socket.read(exactly: 1)
            socket.reset()
        }
        let second = try await TunnelRig(target: aborting.address.description)
        let code = await blocking { () -> Int32 in
            guard let visitor = try? second.visitor() else { return 0 }
            visitor.write([1])
            return visitor.readToEnd() == nil ? errno : 0
        }
        #expect(code == ECONNRESET)
        await second.stop()
    }

    @Test(
        "a local service that is not there is a failed dial, an exposure not named a refusal, and the session goes on"
    )
    func refusals() async throws {
        let gone = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let address = gone.address.description
        close(dup(gone.descriptor))
        shutdown(gone.descriptor, Int32(SHUT_RDWR))
        let rig = try await TunnelRig(target: address)
        let code = await blocking { () -> Int32 in
            guard let visitor = try? rig.visitor() else { return 0 }
            return visitor.readToEnd() == nil ? errno : 0
        }
        #expect(code == ECONNRESET)
        let ends = await rig.gateway.parts.run { $0.ends } ?? []
        #expect(ends == [ResetCode.dialFailed])
        #expect(await rig.gateway.sessions == 1)
        await rig.stop()

        let other = try await TunnelRig(target: address, expose: "unknown")
        _ = await blocking { (try? other.visitor())?.readToEnd() }
        let otherEnds = await other.gateway.parts.run { $0.ends } ?? []
        #expect(otherEnds == [ResetCode.noSuchExposure])
        await other.stop()
    }

    @Test("reaches a Unix socket and a host name")
    func otherTargets() async throws {
        let path = "/tmp/webgw-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
        let local = try TestServer(at: .unix(path)) { $0.write([4, 2]) }
        defer { unsafe unlink(path) }
        let rig = try await TunnelRig(target: "unix:\(path)")
        let greeting = await blocking { (try? rig.visitor())?.readToEnd() }
        #expect(greeting == [4, 2] && local.connections == 1)
        await rig.stop()

        let server = try TestServer.echo()
        let named = try await TunnelRig(target: "localhost:\(server.address.port)")
        let echoed = await blocking { () -> [UInt8]? in
            guard let visitor = try? named.visitor() else { return nil }
            visitor.write([7, 8, 9])
            visitor.finish()
            return visitor.readToEnd()
        }
        #expect(echoed == [7, 8, 9])
        await named.stop()
    }

    @Test("a reader that stops holds back its sender in bounded memory, and gets every byte when it goes on")
    func stalledReader() async throws {
        let total = 64 << 20
        let written = Lock(0)
        let server = try TestServer { socket in
            let chunk = testBytes(1 << 20, seed: 7)
            for _ in 0..<(total >> 20) {
                if !socket.write(chunk) { return }
                written.withLock { $0 += 1 << 20 }
            }
        }
        let rig = try await TunnelRig(target: server.address.description)
        let visitor = try rig.visitor()
        // The sender stands still when what it could write does not change for a while.
        var before = -1
        _ = await eventually {
            let now = written.withLock { $0 }
            defer { before = now }
            try? await Task.sleep(for: .milliseconds(300))
            return now > 0 && now == before
        }
        let held = await rig.gateway.loop.run { [loop = rig.gateway.loop] in loop.stuck.used } ?? -1
        #expect(held > 0)
        #expect(held <= Frame.largestWindow)
        #expect(written.withLock { $0 } < total)
        let isExact = await blocking { () -> Bool in
            let chunk = testBytes(1 << 20, seed: 7)
            for _ in 0..<(total >> 20) where visitor.read(exactly: 1 << 20) != chunk { return false }
            return visitor.read() == []
        }
        #expect(isExact)
        let left = await rig.gateway.loop.run { [loop = rig.gateway.loop] in loop.stuck.used }
        #expect(left == 0)
        await rig.stop()
    }

    @Test("more stuck bytes than the budget cost their own streams, not the session")
    func stuckBudget() async throws {
        let server = try TestServer { socket in
            let chunk = [UInt8](repeating: 1, count: 1 << 20)
            for _ in 0..<64 where !socket.write(chunk) { return }
        }
        let rig = try await TunnelRig(target: server.address.description, stuckLimit: 400_000)
        let visitors = try (0..<8).map { _ in try rig.visitor() }
        let isCut = await eventually { await rig.gateway.parts.run { $0.ends.contains(.limit) } == true }
        #expect(isCut)
        let used = await rig.gateway.loop.run { [loop = rig.gateway.loop] in loop.stuck.used } ?? .max
        #expect(used <= 400_000)
        #expect(await rig.gateway.sessions == 1)
        for visitor in visitors { visitor.shut() }
        await rig.stop()
    }

    @Test("10,000 short connections leave no descriptor and no stream behind")
    func shortConnections() async throws {
        let server = try TestServer { socket in
            if let bytes = socket.read(), !bytes.isEmpty { socket.write(bytes) }
        }
        let rig = try await TunnelRig(target: server.address.description, slots: 2)
        let before = openDescriptors()
        let good = await withTaskGroup(of: Int.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    await blocking {
                        var good = 0
                        for index in 0..<1250 {
                            guard let visitor = try? rig.visitor() else { continue }
                            let bytes = [UInt8(worker), UInt8(index & 255), 3]
                            visitor.write(bytes)
                            if visitor.read(exactly: 3) == bytes { good += 1 }
                            // Half of them end in order, half abort.
                            if index & 1 == 0 { visitor.reset() } else { _ = visitor.readToEnd() }
                        }
                        return good
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(good == 10_000)
        #expect(await eventually { await rig.gateway.streams == 0 })
        #expect(await eventually { openDescriptors() <= before + 8 })
        await rig.stop()
    }
}
