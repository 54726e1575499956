import Foundation
import Glibc
import TestSupport

/// What runs only when `scripts/test-more.sh` asks for it, by the words of the variable WEBGW_MORE.
enum More {
    static let programs = isAsked("programs")
    static let heavy = isAsked("heavy")

    private static func isAsked(_ part: String) -> Bool {
        (ProcessInfo.processInfo.environment["WEBGW_MORE"] ?? "").split(separator: ",").contains { $0 == part }
    }
}

/// Programs that others wrote, and that visitors and workloads of a gateway use.
enum Programs {
    /// Where Debian has them.
    private static let folders: [String] = {
        let own = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        return own + ["/usr/sbin", "/sbin", "/usr/lib/git-core"] + versions.map { "/usr/lib/postgresql/\($0)/bin" }
    }()

    static var path: String { folders.joined(separator: ":") }

    /// Whether all are installed; says which one is not.
    static func areThere(_ names: String...) -> Bool {
        let missing = names.filter { name in
            !folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(name)") }
        }
        for name in missing {
            print("KNOWN SKIP: \(name) is not installed; `scripts/test-more.sh programs` installs it")
        }
        return missing.isEmpty
    }
}

/// Leased ports of one contract, each for a workload that a test starts itself.
final class ProgramScene {
    let deployment: Deployment
    let gateway: Deployment.Gateway
    private var processes: [NodeProcess] = []
    var workload: NodeProcess { processes[0] }
    var agent: NodeProcess { processes[2] }

    /// One leased port for each workload.
    ///
    /// - Parameters:
    ///   - kinds: of the exposures of each workload, such as ["tcp", "udp"] for one that uses both on one port.
    ///   - makeTarget: starts the workload at a free port of 127.0.0.1 and says where the agent finds it.
    init(_ kinds: [String], _ makeTarget: (Deployment, UInt16) async throws -> (target: String, process: NodeProcess))
        async throws
    {
        deployment = try await Deployment()
        gateway = try await deployment.furnish()
        origin = try Loopback.freePort("127.0.0.1")
        let made = try await makeTarget(deployment, origin)
        processes.append(made.process)
        let contract = try await deployment.makeContract(
            "user",
            gateways: [gateway],
            expose: kinds.map { "{ id: \($0), kind: \($0), ports: [\(gateway.leases.lowerBound)], backends: [b1] }" }
        )
        processes.append(try deployment.start(gateway))
        let agent = try deployment.startAgent(contract: contract, forwards: kinds.map { "\($0)=\(made.target)" })
        processes.append(agent)
        try await eventually(within: 20, "the agent's session serves") {
            agent.output.contains("\"state\":\"serving\"")
        }
    }

    /// The workload's own port, on 127.0.0.1.
    let origin: UInt16
    /// The port that visitors use, on the gateway's address.
    var port: UInt16 { gateway.leases.lowerBound }

    /// Where visitors find the workload: through the tunnel, and straight.
    var ways: [(name: String, host: String, port: UInt16)] {
        [("straight", "127.0.0.1", origin), ("tunnel", gateway.address, port)]
    }

    /// Runs a line of shell to its end.
    @discardableResult
    func shell(_ line: String, status: Int32 = 0, within seconds: Double = 120) async throws -> String {
        try await deployment.shell(line, status: status, within: seconds)
    }
}

extension Deployment {
    /// Runs a line of shell in the folder to its end; returns what it printed.
    @discardableResult
    func shell(_ line: String, status: Int32 = 0, within seconds: Double = 120) async throws -> String {
        let finished = try await program("shell", line).finish(within: seconds)
        guard finished.status == status else {
            throw NeverHappened(
                description: "`\(line)` ended with \(finished.status)\n\(finished.output)\n\(finished.errors)"
            )
        }
        return finished.output
    }

    /// Starts a program in the folder; the line is the program's, of one command.
    func program(_ name: String, _ line: String) throws -> NodeProcess {
        try NodeProcess(
            name,
            ["-c", line],
            in: folder,
            program: URL(fileURLWithPath: "/bin/sh"),
            environment: ["PATH": Programs.path, "HOME": folder.path, "LC_ALL": "C.UTF-8"]
        )
    }
}

extension Deployment {
    /// A workload at `unix:slow.sock` with one connection: it ends its own direction at once, and reads only when it is told to. Prints `got` and
    /// how many bytes came before the end, or before the error that it names.
    func slowReader() async throws -> NodeProcess {
        try write(
            "slow.py",
            """
            import os, socket
            listener = socket.socket(socket.AF_UNIX)
            listener.bind("slow.sock")
            listener.listen()
            os.mkfifo("go")
            print("ready", flush=True)
            peer, _ = listener.accept()
            peer.shutdown(socket.SHUT_WR)
            open("go").read()
            count = 0
            try:
                while part := peer.recv(65536): count += len(part)
                print("got", count, flush=True)
            except OSError as error:
                print("got", count, error, flush=True)
            """
        )
        let workload = try program("slow", "exec python3 slow.py")
        _ = try await workload.line(beginning: "ready")
        return workload
    }

    func releaseSlowReader() throws { try Data("go".utf8).write(to: folder.appendingPathComponent("go")) }
}
