import Contracts
import Testing

@testable import Gateway

@Suite("Streams within a rate", .serialized)
struct PacedStreamTests {
    private static func rate(_ bits: Int64) -> SharedRate {
        let rate = SharedRate()
        rate.bitsPerSecond = bits
        return rate
    }

    @Test("bytes pass whole, no faster than the rate of their direction", arguments: [true, false])
    func bound(_ isInbound: Bool) async throws {
        let server = try TestServer.echo()
        let limited = Self.rate(8_000_000)
        let rig = try await TunnelRig(
            target: server.address.description,
            rates: isInbound ? (limited, SharedRate()) : (SharedRate(), limited)
        )
        let sent = testBytes(1_500_000)
        let clock = ContinuousClock()
        let start = clock.now
        let received = await rig.exchange(sent)
        #expect(received == sent)
        #expect(clock.now - start > .milliseconds(1200))
        let counts = await rig.gateway.parts.run { ($0.flow.sent, $0.flow.received, $0.flow.opened, $0.flow.delays) }
        #expect(counts?.0 == 1_500_000 && counts?.1 == 1_500_000 && counts?.2 == 1)
        #expect((counts?.3 ?? 0) > 3)
        #expect(await eventually { await rig.gateway.streams == 0 })
        await rig.stop()
    }

    @Test("streams of one contract get equal parts", arguments: [true, false])
    func fair(_ isInbound: Bool) async throws {
        let server = try TestServer.echo()
        let limited = Self.rate(8_000_000)
        let rig = try await TunnelRig(
            target: server.address.description,
            rates: isInbound ? (limited, SharedRate()) : (SharedRate(), limited)
        )
        let size = 600_000
        let counts = Lock([Int](repeating: 0, count: 4))
        let atFirstEnd = Lock([Int]())
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<4 {
                group.addTask {
                    await blocking {
                        guard let visitor = try? rig.visitor() else { return }
                        startThread { visitor.write(testBytes(size, seed: UInt64(index))) }
                        var count = 0
                        while count < size, let part = visitor.read(1 << 16), !part.isEmpty {
                            count += part.count
                            counts.withLock { $0[index] = count }
                        }
                        let now = counts.withLock { $0 }
                        atFirstEnd.withLock { if $0.isEmpty { $0 = now } }
                    }
                }
            }
        }
        #expect(counts.withLock { $0 } == [size, size, size, size])
        let least = atFirstEnd.withLock { $0.min() ?? 0 }
        // The first may have had what the rate lets pass at once.
        #expect(least > size / 3, "\(atFirstEnd.withLock { $0 })")
        await rig.stop()
    }

    @Test("a contract within its rate is not slowed by one that is not, on the same session")
    func neighbours() async throws {
        let server = try TestServer.echo()
        let rig = try await TunnelRig(target: server.address.description, rates: (Self.rate(80_000), Self.rate(80_000)))
        let slow = try rig.visitor()
        startThread { slow.write(testBytes(4_000_000)) }
        #expect(await eventually { (await rig.gateway.parts.run { $0.flow.delays } ?? 0) > 0 })
        // The same session carries streams of another flow.
        let free = await rig.gateway.parts.run { parts -> Bool in
            parts.flow = ContractFlow()
            return true
        }
        #expect(free == true)
        let sent = testBytes(4 << 20, seed: 2)
        let received = await rig.exchange(sent)
        #expect(received == sent)
        slow.shut()
        await rig.stop()
    }

    @Test("streams that wait in line leave nothing behind when their visitors go")
    func abort() async throws {
        let server = try TestServer.echo()
        let inbound = Self.rate(80_000)
        let rig = try await TunnelRig(target: server.address.description, rates: (inbound, Self.rate(80_000)))
        let visitors = try (0..<8).map { _ in try rig.visitor() }
        for visitor in visitors { startThread { visitor.write(testBytes(300_000)) } }
        #expect(await eventually { (await rig.gateway.parts.run { $0.flow.delays } ?? 0) >= 8 })
        for visitor in visitors { visitor.reset() }
        #expect(await eventually { await rig.gateway.streams == 0 })
        let loop = rig.gateway.loop
        #expect(await eventually { await loop.run { loop.stuck.used } == 0 })
        await rig.stop()
    }
}
