import Foundation
import TestSupport

/// What a command printed, and how it ended.
struct Finished: Sendable {
    var status: Int32
    var output: String
    var errors: String

    /// Standard output as one JSON object.
    func json() throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(output.utf8))
        guard let object = value as? [String: Any] else {
            throw NeverHappened(description: "no JSON object: \(output)")
        }
        return object
    }
}

/// One `gw-node` process; its output goes to files in the deployment's folder.
final class NodeProcess {
    let name: String
    private let process = Process()
    private let outputFile: URL
    private let errorFile: URL

    /// Starts it. The files are named after `name` and a number, so that restarts keep the earlier logs.
    ///
    /// - Parameters:
    ///   - program: what is started; something other than `gw-node` ends in its place.
    ///   - environment: variables besides those of the test.
    init(
        _ name: String,
        _ arguments: [String],
        in folder: URL,
        program: URL = GWNode.program,
        environment: [String: String] = [:]
    ) throws {
        self.name = name
        let stamp = UUID().uuidString.prefix(8)
        outputFile = folder.appendingPathComponent("\(name)-\(stamp).out")
        errorFile = folder.appendingPathComponent("\(name)-\(stamp).err")
        for file in [outputFile, errorFile] { try Data().write(to: file) }
        process.executableURL = program
        process.arguments = arguments
        if !environment.isEmpty {
            process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        }
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        let handles = try [outputFile, errorFile].map { try FileHandle(forWritingTo: $0) }
        // Foundation keeps the process, and them with it, for ever.
        defer { for handle in handles { try? handle.close() } }
        process.standardOutput = handles[0]
        process.standardError = handles[1]
        try process.run()
    }

    deinit { process.endNow() }

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.ending == nil }
    /// What it wrote; bytes that are no text become replacement characters, as when a program prints frames that it was sent.
    var output: String { String(decoding: (try? Data(contentsOf: outputFile)) ?? Data(), as: UTF8.self) }
    var errors: String { String(decoding: (try? Data(contentsOf: errorFile)) ?? Data(), as: UTF8.self) }

    func send(_ signal: Int32) { kill(pid, signal) }

    /// Waits for the end and returns what was printed.
    func finish(within limit: Double = 30) async throws -> Finished {
        do {
            try await eventually(within: limit, "\(name) ends") { !isRunning }
        } catch {
            send(SIGKILL)
            throw NeverHappened(description: "\(name) did not end within \(limit) s\n\(errors)")
        }
        return Finished(status: process.ending ?? -1, output: output, errors: errors)
    }

    /// SIGKILL, and waits until the process is gone.
    func killHard() async throws {
        send(SIGKILL)
        try await eventually("\(name) is gone") { !isRunning }
    }

    /// Waits for a line that begins with `prefix` on standard output, and returns the rest of it.
    func line(beginning prefix: String, within limit: Double = 60) async throws -> String {
        do {
            return try await awaited("\(name) prints `\(prefix)`", within: limit) {
                if let status = process.ending {
                    throw NeverHappened(description: "\(name) ended with \(status): \(errors)")
                }
                let found = output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().first {
                    $0.hasPrefix(prefix)
                }
                return found.map { String($0.dropFirst(prefix.count)) }
            }
        } catch {
            throw NeverHappened(description: "\(error)\noutput: \(output)\nerrors: \(errors)")
        }
    }

    /// Userland memory in KiB (VmRSS), and open descriptors.
    func usage() throws -> (residentKiB: Int, descriptors: Int) {
        let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        let resident = line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
        return (resident, descriptors)
    }
}
