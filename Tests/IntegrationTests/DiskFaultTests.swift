import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

/// Faults of the disk under the built `gw-node`: libfiu lets its calls to the system fail while it runs.
@Suite("A ledger on a failing disk")
struct DiskFaults {
    private static let preload = ["fiu_run_preload.so", "fiu_posix_preload.so"].map { "/usr/lib/fiu/\($0)" }
    private static let remoteControl = "/usr/bin/fiu-ctrl"
    static let hasFaultInjection = (preload + [remoteControl]).allSatisfy { FileManager.default.fileExists(atPath: $0) }

    private func rig() async throws -> LedgerRig {
        let folder = try TemporaryFolder()
        return try await LedgerRig(
            in: folder,
            launcher: LedgerRig.Launcher(
                environment: [
                    "LD_PRELOAD": Self.preload.joined(separator: " "), "FIU_CTRL_FIFO": folder.path("fiu"),
                ]
            )
        )
    }

    /// Sends a command of libfiu's remote control to the server.
    private func order(_ commands: [String], to rig: LedgerRig) throws {
        let control = Process()
        control.executableURL = URL(fileURLWithPath: Self.remoteControl)
        control.arguments = ["-f", rig.folder.path("fiu")] + commands.flatMap { ["-c", $0] } + ["\(rig.process!.pid)"]
        control.standardOutput = FileHandle.nullDevice
        try control.run()
        control.waitUntilExit()
        guard control.terminationStatus == 0 else { throw NeverHappened(description: "fiu-ctrl refused \(commands)") }
    }

    private func seeded() -> SplitMix64 {
        let seed = UInt64(ProcessInfo.processInfo.environment["WEBGW_SEED"] ?? "") ?? .random(in: 1...UInt64.max)
        print("WEBGW_SEED=\(seed)")
        return SplitMix64(seed: seed)
    }

    /// Runs the body beside two clients, then holds the log against what they were told.
    private func underLoad(_ rig: LedgerRig, _ body: (ClientMemory) async throws -> Void) async throws {
        let memory = ClientMemory()
        let (url, ledger) = (rig.url, Identifier(hex: rig.ledgerID)!)
        let clients = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 { group.addTask { try await memory.write(to: url, ledger: ledger) } }
                group.addTask { try await memory.watch(url) }
                try await group.waitForAll()
            }
        }
        defer { clients.cancel() }
        try await body(memory)
        clients.cancel()
        _ = try? await clients.value
        memory.note(try await rig.checkpoint())
        try await rig.stop()
        let broken = try await memory.broken(by: try StoredLog(directory: rig.directory))
        #expect(broken.isEmpty, "\(broken)")
        try await rig.check()
        print("\(memory.acknowledged) acknowledged entries are in the log, \(memory.checkpoints) checkpoints seen")
    }

    /// Waits until entries are acknowledged, starting the server again whenever it has ended, as a service manager does.
    private func recovers(_ rig: LedgerRig, _ memory: ClientMemory, _ ends: inout [Finished]) async throws {
        let before = memory.acknowledged
        try await eventually(within: 60, "entries are acknowledged again") {
            if let process = rig.process, !process.isRunning {
                ends.append(try await process.finish())
                try await rig.start()
            }
            return memory.acknowledged > before + 2
        }
    }

    @Test(
        "a failed fsync ends the server with a clear reason, and a restart has all that was acknowledged",
        .enabled(if: DiskFaults.hasFaultInjection, "KNOWN SKIP: libfiu (Debian: fiu-utils) is not installed"),
        .timeLimit(.minutes(3))
    )
    func failedSync() async throws {
        var random = seeded()
        let rig = try await rig()
        try await rig.start()
        try await underLoad(rig) { memory in
            var ends: [Finished] = []
            for _ in 0..<12 {
                try await recovers(rig, memory, &ends)
                let chance = [1, 0.3, 0.1].randomElement(using: &random)!
                // EIO, as a disk that lost its cable.
                let calls = ["fsync", "fdatasync"]
                try order(
                    calls.map { "enable_random name=posix/io/sync/\($0),probability=\(chance),failinfo=5" },
                    to: rig
                )
                try await eventually(within: 30, "the server ends") { !rig.process!.isRunning }
                let end = try await rig.process!.finish()
                #expect(end.status == 75, "\(end)")
                #expect(end.errors.contains("what is on the disk is not known"), "\(end.errors)")
                try await rig.start()
            }
            try await recovers(rig, memory, &ends)
            #expect(ends.isEmpty, "it ended without a fault: \(ends)")
        }
    }

    @Test(
        "failed writes are answered 503, lose nothing, and are over when the disk writes again",
        .enabled(if: DiskFaults.hasFaultInjection, "KNOWN SKIP: libfiu (Debian: fiu-utils) is not installed"),
        .timeLimit(.minutes(3)),
        arguments: [(5, "EIO"), (28, "ENOSPC")]
    )
    func failedWrites(number: Int, name: String) async throws {
        var random = seeded()
        let rig = try await rig()
        try await rig.start()
        try await underLoad(rig) { memory in
            var ends: [Finished] = []
            for _ in 0..<4 {
                try await recovers(rig, memory, &ends)
                let fault = "posix/io/rw/pwrite"
                try order(["enable_random name=\(fault),probability=1,failinfo=\(number)"], to: rig)
                let entry = try TwinMaker.envelope(Identifier(hex: rig.ledgerID)!)
                try await eventually(within: 30, "an entry is answered 503") { await rig.post(entry)?.status == 503 }
                // What was published is still there.
                memory.note(try await rig.checkpoint())
                if Bool.random(using: &random) {
                    // A disk that takes some writes and not others.
                    try order(["enable_random name=\(fault),probability=0.3,failinfo=\(number)"], to: rig)
                    _ = await rig.post(entry)
                }
                try order(["disable name=\(fault)"], to: rig)
                try await recovers(rig, memory, &ends)
            }
            // Writes that fail are no reason to end: the server recovers by itself.
            #expect(ends.isEmpty, "\(ends)")
            #expect(rig.process!.errors.contains("the store failed, nothing is lost; trying again"))
        }
    }
}

/// A full disk: a ledger on a tmpfs of 1 MiB in a mount namespace of its own.
@Suite("A ledger on a full disk")
struct FullDisk {
    /// Whether this machine lets a test mount a file system of its own.
    static let canMount: Bool = {
        let probe = Process()
        probe.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        probe.arguments = ["-m", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
        probe.standardError = FileHandle.nullDevice
        guard (try? probe.run()) != nil else { return false }
        probe.waitUntilExit()
        return probe.terminationStatus == 0
    }()

    /// Keeps a mount namespace with a tmpfs at `path` until it is let go.
    private final class SmallDisk {
        private let process = Process()
        let path: String

        init(_ path: String) async throws {
            self.path = path
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
            process.arguments = [
                "-m", "sh", "-c", "mount -t tmpfs -o size=1m none \(path) && touch \(path)/mounted && exec sleep 3600",
            ]
            try process.run()
            try await eventually("the small disk is mounted") {
                FileManager.default.fileExists(atPath: seen("mounted"))
            }
        }

        deinit { process.endNow() }

        /// How its files are named from outside.
        func seen(_ name: String) -> String { "/proc/\(process.processIdentifier)/root\(path)/\(name)" }

        /// Starts programs inside.
        var launcher: LedgerRig.Launcher {
            LedgerRig.Launcher(
                program: URL(fileURLWithPath: "/usr/bin/nsenter"),
                prefix: ["-t", "\(process.processIdentifier)", "-m", "-r", "-w", "--", GWNode.program.path]
            )
        }

        /// Leaves about so many bytes free.
        func fill(leaving free: Int) throws {
            _ = FileManager.default.createFile(atPath: seen("ballast"), contents: nil)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: seen("ballast")))
            defer { try? file.close() }
            var size = 0
            let piece = Data(repeating: 1, count: 4096)
            while (try? file.write(contentsOf: piece)) != nil { size += piece.count }
            try file.truncate(atOffset: UInt64(max(0, size - free)))
        }

        func empty() throws { try FileManager.default.removeItem(atPath: seen("ballast")) }
    }

    @Test(
        "loses nothing that was acknowledged, says why it refuses, and goes on by itself when there is space again",
        .enabled(if: FullDisk.canMount, "KNOWN SKIP: this machine lets a test mount nothing (unshare -m, mount)"),
        .timeLimit(.minutes(3))
    )
    func fullDisk() async throws {
        let folder = try TemporaryFolder()
        let disk = try await SmallDisk(folder.path("disk"))
        let rig = try await LedgerRig(directory: "\(disk.path)/ledger", in: folder, launcher: disk.launcher)
        try await rig.start()
        let memory = ClientMemory()
        let ledger = Identifier(hex: rig.ledgerID)!
        for _ in 0..<3 {
            try disk.fill(leaving: 64 * 1024)
            // Until it is full: each entry is acknowledged or refused, and nothing between.
            try await eventually(within: 60, "the disk is full") {
                let entry = try TwinMaker.envelope(ledger)
                guard let answer = await rig.post(entry) else { return false }
                if answer.status <= 201 { try memory.note(receipt: Array(answer.body.utf8), leaf: entry.leaf) }
                return answer.status == 503
            }
            memory.note(try await rig.checkpoint())
            #expect(rig.process!.isRunning)
            try disk.empty()
            try await rig.append()
            memory.note(try await rig.checkpoint())
        }
        #expect(rig.process!.errors.contains("the store failed, nothing is lost; trying again"))
        #expect(memory.acknowledged > 0)
        // A start on a full disk serves what there is, and logs again when there is space.
        try disk.fill(leaving: 0)
        try await rig.kill()
        try await rig.start()
        memory.note(try await rig.checkpoint())
        try disk.empty()
        try await rig.append()
        try await rig.stop()
        let copy = folder.path("copy")
        try FileManager.default.copyItem(atPath: disk.seen("ledger"), toPath: copy)
        let broken = try await memory.broken(by: try StoredLog(directory: copy))
        #expect(broken.isEmpty, "\(broken)")
        try await rig.check()
        print("\(memory.acknowledged) acknowledged entries are in the log")
    }
}
