public import Foundation

/// The built `gw-node`, run as a process of its own, as its users do.
public enum GWNode {
    /// What a finished command left.
    public struct Result: Sendable, CustomStringConvertible {
        public var status: Int32
        public var output: String
        public var errors: String

        public var description: String { "exit \(status)\nstdout: \(output)\nstderr: \(errors)" }

        /// The one JSON document on stdout.
        public var json: [String: Any]? {
            (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any]
        }
    }

    /// The program that was built together with the running tests.
    public static let program: URL = {
        let arguments = ["/proc/self/exe"] + CommandLine.arguments
        for path in arguments {
            let folder = URL(fileURLWithPath: path).resolvingSymlinksInPath().deletingLastPathComponent()
            let candidate = folder.appendingPathComponent("gw-node")
            if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
        }
        preconditionFailure("gw-node was not built beside the tests; run `swift build --build-tests`")
    }()

    /// Runs a command to its end; one that takes longer than `seconds` is killed and reported with status -1.
    public static func run(
        _ arguments: [String],
        in folder: TemporaryFolder,
        environment: [String: String] = [:],
        seconds: Double = 30
    ) async throws -> Result {
        let process = try RunningGWNode(arguments, in: folder, environment: environment)
        return await process.finish(within: seconds)
    }
}

/// A `gw-node` that is running; ended when the test lets go of it.
public final class RunningGWNode: Sendable {
    private let process: Process
    private let output: URL
    private let errors: URL

    public init(_ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:]) throws {
        let name = UUID().uuidString
        output = folder.url.appendingPathComponent("\(name).stdout")
        errors = folder.url.appendingPathComponent("\(name).stderr")
        for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        let process = Process()
        process.executableURL = GWNode.program
        process.arguments = arguments
        process.currentDirectoryURL = folder.url
        var variables = ["HOME": folder.url.path, "PATH": "/usr/bin:/bin"]
        variables.merge(environment) { _, new in new }
        process.environment = variables
        process.standardInput = FileHandle.nullDevice
        let handles = try [output, errors].map { try FileHandle(forWritingTo: $0) }
        // Foundation keeps the process, and them with it, for ever.
        defer { for handle in handles { try? handle.close() } }
        process.standardOutput = handles[0]
        process.standardError = handles[1]
        try process.run()
        self.process = process
    }

    deinit { process.endNow() }

    public var identifier: Int32 { process.processIdentifier }
    public var isRunning: Bool { process.ending == nil }

    /// Everything printed so far.
    public var printed: String { (try? String(contentsOf: output, encoding: .utf8)) ?? "" }
    public var complaints: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }

    public func signal(_ number: Int32) {
        kill(process.processIdentifier, number)
    }

    /// Waits until a line with this beginning was printed, and gives the rest of the line.
    public func line(beginning prefix: String, within seconds: Double = 60) async throws -> String {
        var found: String?
        try await eventually(within: seconds, "a line that begins with \"\(prefix)\"; stderr: \(complaints)") {
            found = printed.split(separator: "\n").first { $0.hasPrefix(prefix) }.map {
                String($0.dropFirst(prefix.count))
            }
            return found != nil
        }
        return found ?? ""
    }

    /// Waits for the end of the process; kills it when the time is over, or the test is.
    public func finish(within seconds: Double = 30) async -> GWNode.Result {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while isRunning, ContinuousClock.now < deadline, (try? await Task.sleep(for: .milliseconds(5))) != nil {}
        let status = process.ending
        process.endNow()
        return GWNode.Result(status: status ?? -1, output: printed, errors: complaints)
    }
}
