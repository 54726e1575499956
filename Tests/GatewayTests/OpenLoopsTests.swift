import Contracts
import Testing

@testable import Gateway

@Suite("Loops that accept visitors")
struct OpenLoopsTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("one more loop opens when all open ones are full, and closes when the others could carry its load")
    func count() {
        var open = OpenLoops(loops: 3, now: 0)
        func counts(_ load: Int, of place: Int, at now: UInt64) -> (hasChanged: Bool, count: Int) {
            let hasChanged = open.take(load, of: place, at: now)
            return (hasChanged, open.count)
        }
        #expect(counts(1000, of: 1, at: 1) == (false, 1))
        #expect(counts(699, of: 0, at: 2) == (false, 1))
        #expect(counts(700, of: 0, at: 3) == (true, 2))
        // The second loop was busy with agents already.
        #expect(counts(700, of: 0, at: 4) == (true, 3))
        #expect(counts(1000, of: 2, at: 5) == (false, 3))
        #expect(counts(0, of: 2, at: Self.second) == (false, 3))
        #expect(counts(0, of: 0, at: 3 * Self.second) == (false, 3))
        #expect(counts(799, of: 1, at: 4 * Self.second) == (true, 2))
        #expect(counts(0, of: 1, at: 5 * Self.second) == (true, 1))
        #expect(counts(0, of: 1, at: 9 * Self.second) == (false, 1))
    }

    @Test("a gateway with one loop always has one, whatever it carries")
    func single() {
        var open = OpenLoops(loops: 1, now: 0)
        for load in [1000, 0, 1000] {
            let hasChanged = open.take(load, of: 0, at: 9 * Self.second)
            #expect(!hasChanged && open.count == 1)
        }
        let isTaken = open.take(1000, of: 1, at: 0)
        #expect(!isTaken)
    }

    @Test("visitors are answered by the first loop, by a second while the first is full, and by the first again")
    func gateway() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address], loops: 2) { [$0.http()] }
        let core = world.gateway.core
        @Sendable func accepting() async -> [Bool] {
            var answers: [Bool] = []
            for front in core.allFronts {
                answers.append(await front.run { $0.listeners.values.allSatisfy { !$0.isPaused } } ?? false)
            }
            return answers
        }
        func isAnswered() async throws -> Bool {
            let socket = try TestSocket(connectingTo: try #require(SocketAddress(world.gateway.boundAddresses.http[0])))
            socket.say("GET / HTTP/1.1\r\nHost: \(FrontWorld.host)\r\nConnection: close\r\n\r\n")
            return await blocking { socket.message()?.status == 200 }
        }
        @Sendable func budgets() -> [Int] { core.allFronts.indices.map { core.stuckLimit(of: $0) } }
        let total = core.configuration.limits.stuckBytes
        #expect(await accepting() == [true, false])
        #expect(budgets() == [total / 4 * 3, total / 4])
        #expect(try await isAnswered())
        let hasOpened = await comesTrue {
            _ = core.onFront(0) { _ in
                let start = monotonicNow()
                while monotonicNow() < start + 50_000_000 {}
            }
            return await accepting() == [true, true]
        }
        #expect(hasOpened)
        #expect(budgets() == [total / 2, total / 2])
        #expect(await core.allFronts[1].run { $0.loop.stuck.limit } == total / 2)
        #expect(try await isAnswered())
        #expect(await comesTrue { await accepting() == [true, false] })
        #expect(try await isAnswered())
        await world.stop()
    }
}
