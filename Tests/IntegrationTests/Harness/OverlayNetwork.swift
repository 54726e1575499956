import Foundation
import TestSupport

/// A network namespace of its own, joined to this one by a pair of virtual interfaces with addresses of the Planetary network's two
/// ranges. It ends with the test: the namespace lives as long as the process that holds it.
final class OverlayNetwork {
    /// This host's own addresses there, without brackets.
    let own: [String]
    private let prefixes: [String]
    private let holder = Process()
    private let leash = Pipe()

    /// This host's own IPv4 address there; of a private network only.
    let ownIPv4: String

    /// Nil, with a loud line, where this machine does not let the test make one.
    ///
    /// - Parameter isPrivate: with addresses of private ranges in place of those of the Planetary network.
    static func make(isPrivate: Bool = false) -> OverlayNetwork? {
        do {
            return try OverlayNetwork(isPrivate: isPrivate)
        } catch {
            print("KNOWN SKIP: no network namespace can be made here, which needs root and veth interfaces: \(error)")
            return nil
        }
    }

    private init(isPrivate: Bool) throws {
        let number = UInt32.random(in: 0...UInt32.max)
        let tail = "\(String(number >> 16 | 0x1000, radix: 16)):\(String(number & 0xFFFF | 0x1000, radix: 16))"
        prefixes = isPrivate ? ["fd00:\(tail)"] : ["200:\(tail)", "400:\(tail)"]
        // 198.18.0.0/15 is set aside for tests (RFC 2544): nobody's network.
        let four = "198.18.\(number >> 16 & 0xFF)"
        let last = number >> 8 & 0xFC
        ownIPv4 = "\(four).\(last + 1)"
        own = prefixes.map { "\($0)::1" }
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        holder.arguments = ["-n", "cat"]
        holder.standardInput = leash
        holder.standardOutput = FileHandle.nullDevice
        holder.standardError = FileHandle.nullDevice
        try holder.run()
        let (outside, inside) = ("wg\(String(number, radix: 36))", "wgpeer")
        let pid = holder.processIdentifier
        // The holder is in its namespace once the link can be read as another one than ours.
        let script = """
            set -e
            n=0
            until [ "$(readlink /proc/\(pid)/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
                n=$((n + 1)); [ $n -lt 2000 ]; kill -0 \(pid)
            done
            ip link add \(outside) type veth peer name \(inside) netns \(pid)
            ip link set \(outside) up
            nsenter -t \(pid) -n ip link set lo up
            nsenter -t \(pid) -n ip link set \(inside) up
            ip addr add \(ownIPv4)/30 dev \(outside)
            nsenter -t \(pid) -n ip addr add \(four).\(last + 2)/30 dev \(inside)
            \(prefixes.map { "ip -6 addr add \($0)::1/64 dev \(outside) nodad" }.joined(separator: "\n"))
            \(prefixes.flatMap { prefix in
                (2...5).map { "nsenter -t \(pid) -n ip -6 addr add \(prefix)::\($0)/64 dev \(inside) nodad" }
            }.joined(separator: "\n"))
            """
        try Self.shell(script)
    }

    deinit { holder.endNow() }

    /// Whoever is inside is gone without a word: no packet leaves it, and none comes in.
    func vanish() throws { try Self.shell("nsenter -t \(holder.processIdentifier) -n ip link set wgpeer down") }

    /// Address `number` (2 to 5) of range 0 (0200::/7) or 1 (0400::/7) inside, without brackets.
    func address(_ number: Int, range: Int = 0) -> String { "\(prefixes[range])::\(number)" }

    /// Starts a program inside; it ends with the test that holds it.
    func start(_ name: String, _ program: [String], in folder: URL) throws -> NodeProcess {
        try NodeProcess(
            name,
            ["-t", "\(holder.processIdentifier)", "-n"] + program,
            in: folder,
            program: URL(fileURLWithPath: "/usr/bin/nsenter")
        )
    }

    /// Runs shell commands to their end; anything but success is an error with what they printed.
    static func shell(_ script: String) throws {
        let process = Process()
        let errors = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw NeverHappened(description: text) }
    }
}

/// A web server that can prove, in several right and wrong ways, that it belongs to a contract. A process of its own, so that it can run
/// in another network namespace.
final class ProvingOrigin {
    /// How it answers `/.well-known/webgw/ID`.
    enum Proof: String, CaseIterable {
        case right
        case missing
        case wrong
        case line
        case redirect
        case slow
        case endless
        case broken
    }

    private(set) var target = ""
    private let name: String
    private let folder: URL
    private var process: NodeProcess?
    private let address: String
    /// As the system gave it at the first start; kept over restarts.
    private var port = 0
    private let start: (Int) throws -> NodeProcess

    /// Starts it and waits until it listens.
    ///
    /// - Parameter network: where it runs; nil for this namespace.
    init(
        _ name: String,
        address: String,
        _ proof: Proof,
        in folder: URL,
        network: OverlayNetwork?,
        certificate: String? = nil
    ) async throws {
        self.name = name
        self.folder = folder
        self.address = address
        let script = folder.appendingPathComponent("proving_origin.py")
        try Data(Self.program.utf8).write(to: script)
        start = { port in
            let arguments = ["python3", script.path, address, "\(port)", name, certificate ?? "-"]
            if let network { return try network.start("origin-\(name)", arguments, in: folder) }
            return try NodeProcess(
                "origin-\(name)",
                arguments,
                in: folder,
                program: URL(fileURLWithPath: "/usr/bin/env")
            )
        }
        try set(proof)
        try set(health: 200)
        try await begin()
    }

    func begin() async throws {
        process = try start(port)
        port = Int(try await process?.line(beginning: "listening ") ?? "") ?? 0
        target = "[\(address)]:\(port)"
    }

    /// Kills it.
    func end() async throws {
        try await process?.killHard()
        process = nil
    }

    func set(_ proof: Proof) throws {
        try Data(proof.rawValue.utf8).write(to: folder.appendingPathComponent("\(name).proof"), options: .atomic)
    }

    /// The status of `/health` from now on.
    func set(health status: Int) throws {
        try Data("\(status)".utf8).write(to: folder.appendingPathComponent("\(name).health"), options: .atomic)
    }

    /// The request lines that it was asked, in order.
    var asked: [String] {
        let text = (try? String(contentsOf: folder.appendingPathComponent("\(name).asked"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    private static let program = #"""
        import http.server, socket, ssl, sys, time

        address, port, name, certificate = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments): pass

            def answer(self, status, text, fields={}):
                self.send_response(status)
                for field in fields: self.send_header(field, fields[field])
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self):
                with open(name + ".asked", "a") as log: log.write(self.path + "\n")
                if self.path.startswith("/.well-known/webgw/"): return self.prove(self.path.rsplit("/", 1)[1])
                if self.path.startswith("/proof/"): return self.answer(200, self.path.rsplit("/", 1)[1])
                if self.path == "/health": return self.answer(int(open(name + ".health").read()), "")
                if self.path == "/head": return self.answer(200, str(self.headers))
                if self.path.startswith("/bytes/"): return self.answer(200, "a" * int(self.path[7:]))
                self.answer(200, name)

            def do_POST(self):
                self.answer(200, str(len(self.rfile.read(int(self.headers["Content-Length"])))))

            def prove(self, contract):
                with open(name + ".proof") as file: proof = file.read()
                if proof == "right": self.answer(200, contract)
                elif proof == "missing": self.answer(404, "nothing here")
                elif proof == "wrong": self.answer(200, "0" * 64)
                elif proof == "line": self.answer(200, contract + "\n")
                elif proof == "redirect": self.answer(302, "", {"Location": "/proof/" + contract})
                elif proof == "broken": self.answer(500, contract)
                else:
                    self.send_response(200)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    try:
                        if proof == "slow":
                            for byte in contract:
                                self.wfile.write(byte.encode())
                                time.sleep(1)
                        while proof == "endless": self.wfile.write(contract.encode() * 1024)
                    except OSError: pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6
            daemon_threads = True

        server = Server((address, port), Handler)
        if certificate != "-":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        print("listening", server.server_port, flush=True)
        server.serve_forever()
        """#
}
