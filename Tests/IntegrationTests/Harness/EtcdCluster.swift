import Foundation
import TestSupport

/// etcd processes on 127.0.0.1, each with a folder and ports of its own; ended when the test lets go of them.
final class EtcdCluster {
    private struct Node {
        var name: String
        var client: UInt16
        var peer: UInt16
        var process: Process?
    }

    private let folder: URL
    private var nodes: [Node] = []

    /// Whether clients need a certificate: `etcd.pem` and `etcd.key` are shown, `ca.pem` has signed theirs.
    private let isSecured: Bool

    var endpoints: [String] { nodes.map { "\(scheme)://127.0.0.1:\($0.client)" } }
    private var scheme: String { isSecured ? "https" : "http" }
    var ports: [Int] { nodes.map { Int($0.client) } }

    /// Starts `count` of them and waits until they have a leader; with certificates, until they listen. Ports that another program took
    /// before etcd did are replaced.
    init(_ count: Int, tls isSecured: Bool = false, in folder: URL) async throws {
        self.folder = folder
        self.isSecured = isSecured
        for _ in 1..<5 {
            try begin(count)
            if try await isReady() { return }
            print("etcd did not stay, it is started on other ports: \(log(of: 0))")
            try clear()
        }
        try begin(count)
        guard try await isReady() else { throw NeverHappened(description: "etcd does not run: \(log(of: 0))") }
    }

    private func begin(_ count: Int) throws {
        for number in 0..<count {
            let (client, peer) = (try Loopback.freePort("127.0.0.1"), try Loopback.freePort("127.0.0.1"))
            nodes.append(Node(name: "etcd\(number)", client: client, peer: peer))
        }
        for number in nodes.indices { try start(number) }
    }

    /// Waits until they serve, or until one of them has ended: false then.
    private func isReady() async throws -> Bool {
        var hasEnded = false
        try await eventually(within: 60, "etcd has a leader: \(log(of: 0))") {
            hasEnded = nodes.contains { $0.process?.ending != nil }
            if hasEnded { return true }
            guard isSecured else { return await leader() != nil }
            guard let connection = try? await Visitor("127.0.0.1", nodes[0].client) else { return false }
            await connection.close()
            return true
        }
        return !hasEnded
    }

    private func clear() throws {
        for node in nodes {
            node.process?.endNow()
            try? FileManager.default.removeItem(at: folder.appendingPathComponent(node.name))
        }
        nodes = []
    }

    private func log(of number: Int) -> String {
        (try? String(contentsOf: folder.appendingPathComponent("etcd\(number).log"), encoding: .utf8)) ?? ""
    }

    deinit {
        for node in nodes { node.process?.endNow() }
    }

    func start(_ number: Int) throws {
        let node = nodes[number]
        let peers = nodes.map { "\($0.name)=http://127.0.0.1:\($0.peer)" }.joined(separator: ",")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/etcd")
        process.arguments = [
            "--name", node.name, "--data-dir", folder.appendingPathComponent(node.name).path,
            "--listen-client-urls", "\(scheme)://127.0.0.1:\(node.client)",
            "--advertise-client-urls", "\(scheme)://127.0.0.1:\(node.client)",
            "--listen-peer-urls", "http://127.0.0.1:\(node.peer)",
            "--initial-advertise-peer-urls", "http://127.0.0.1:\(node.peer)",
            "--initial-cluster", peers, "--initial-cluster-state", "new", "--log-level", "error",
        ]
        if isSecured {
            process.arguments? += [
                "--cert-file", folder.appendingPathComponent("etcd.pem").path,
                "--key-file", folder.appendingPathComponent("etcd.key").path,
                "--trusted-ca-file", folder.appendingPathComponent("ca.pem").path, "--client-cert-auth",
            ]
        }
        let log = folder.appendingPathComponent("\(node.name).log")
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        let output = try FileHandle(forWritingTo: log)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        nodes[number].process = process
    }

    /// Where a node keeps its data.
    func data(_ number: Int) -> URL { folder.appendingPathComponent(nodes[number].name) }

    /// SIGKILL, and waits until it is gone.
    func killHard(_ number: Int) async throws {
        guard let process = nodes[number].process else { return }
        kill(process.processIdentifier, SIGKILL)
        try await eventually("\(nodes[number].name) is gone") { !process.isRunning }
    }

    /// The node that leads now, by what the nodes that answer say.
    func leader() async -> Int? {
        for number in nodes.indices {
            guard let status = try? await post(number, "maintenance/status", "{}"),
                let header = status["header"] as? [String: Any], let own = header["member_id"] as? String,
                let leader = status["leader"] as? String
            else { continue }
            if own == leader { return number }
        }
        return nil
    }

    /// Keys of the cluster `name` that begin with `kind`, ascending.
    func keys(_ name: String, _ kind: String, from number: Int) async throws -> [String] {
        func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
        let (first, end) = ("webgw/\(name)/\(kind)/", "webgw/\(name)/\(kind)0")
        let body = #"{"key":"\#(base64(first))","range_end":"\#(base64(end))","keys_only":true}"#
        let rows = try await post(number, "kv/range", body)["kvs"] as? [[String: Any]] ?? []
        return rows.compactMap { row in
            (row["key"] as? String).flatMap { Data(base64Encoded: $0) }.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    private func post(_ number: Int, _ path: String, _ body: String) async throws -> [String: Any] {
        let connection = try await Visitor("127.0.0.1", nodes[number].client)
        try await connection.send(
            // An answer in HTTP/1.0 is not chunked, however long it is, and ends with its connection.
            "POST /v3/\(path) HTTP/1.0\r\nHost: etcd\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        let bytes = try? await connection.readToEnd(within: .seconds(2))
        await connection.close()
        guard let answer = bytes.flatMap({ HTTPAnswer($0) }), answer.status == 200,
            let document = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
        else { throw NeverHappened(description: "etcd did not answer \(path)") }
        return document
    }
}
