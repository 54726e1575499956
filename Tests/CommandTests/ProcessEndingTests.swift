import Foundation
import TestSupport
import Testing

@Suite("How a test learns that a process ended")
struct ProcessEndingTests {
    @Test("an end that was seen once is seen again, with its status, while Foundation takes it")
    func isKept() throws {
        for _ in 0..<100 {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", "exit 7"]
            try process.run()
            while process.ending == nil { sched_yield() }
            for _ in 0..<200 { #expect(process.ending == 7) }
        }
    }

    @Test("a process that takes no SIGTERM is ended")
    func isEnded() async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "trap '' TERM; exec sleep 600"]
        try process.run()
        process.endNow()
        try await eventually("it is gone") { process.ending == SIGKILL }
    }
}
