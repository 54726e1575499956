import Foundation
import TestSupport

/// Servers that speak TLS by another implementation, each at a port of 127.0.0.1 that the system gave it, and their certificates as files:
/// `ca.pem`, `good.pem` (issued by it for shop.internal and 127.0.0.1), `own.pem` (signed by itself), `old.pem` (issued by it, expired), with
/// their keys beside.
final class TLSWorkloads {
    enum Kind: String {
        /// Answers every request with 200 and the name that it was asked for by SNI, then closes in order.
        case http
        /// Sends back what comes, and ends by close_notify after the peer did.
        case echo
        /// As `echo`, behind a PROXY header of version 1 in plain, which it sends back first.
        case proxied
        /// As `proxied`, behind a header of version 2.
        case proxied2
        /// Sends some bytes and closes without close_notify.
        case cut
        /// As `http`, with TLS 1.1 at most.
        case ancient
        /// Answers the first bytes in plain HTTP.
        case plain
        /// Accepts and says nothing.
        case silent
    }

    private let process: NodeProcess
    /// By the name that the workload was given.
    let ports: [String: Int]

    /// - Parameter workloads: name, what it does, and the certificate, such as "good".
    init(_ workloads: [(name: String, kind: Kind, certificate: String)], in deployment: Deployment) async throws {
        try await Self.makeCertificates(deployment)
        try deployment.write("workloads.py", Self.program)
        let list = workloads.map { "\($0.kind.rawValue),\($0.certificate)" }.joined(separator: " ")
        process = try deployment.program("workloads", "exec python3 -u workloads.py \(list)")
        let numbers = try await process.line(beginning: "listening ").split(separator: " ").compactMap { Int($0) }
        ports = Dictionary(uniqueKeysWithValues: zip(workloads.map(\.name), numbers))
    }

    func target(_ name: String) -> String { "tls://127.0.0.1:\(ports[name] ?? 0)" }

    /// SHA-256 of a certificate as openssl prints it.
    static func fingerprint(_ certificate: String, _ deployment: Deployment) async throws -> String {
        let line = try await deployment.shell("openssl x509 -in \(certificate).pem -noout -fingerprint -sha256")
        return "sha256:"
            + (line.split(separator: "=").last.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) } ?? "")
    }

    /// SHA-256 of a certificate's public key.
    static func keyFingerprint(_ certificate: String, _ deployment: Deployment) async throws -> String {
        let line = try await deployment.shell(
            "openssl x509 -in \(certificate).pem -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum"
        )
        return "sha256:" + (line.split(separator: " ").first ?? "")
    }

    private static func makeCertificates(_ deployment: Deployment) async throws {
        try deployment.write(
            "ca.cnf",
            """
            [ca]
            default_ca = d
            [d]
            database = index.txt
            new_certs_dir = .
            rand_serial = yes
            default_md = sha256
            policy = p
            unique_subject = no
            [p]
            commonName = optional
            [e]
            subjectAltName = DNS:shop.internal, IP:127.0.0.1
            """
        )
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        let names = "-addext subjectAltName=DNS:own.internal"
        try await deployment.shell(
            """
            set -e; : > index.txt
            openssl req -x509 \(key) -keyout ca.key -out ca.pem -days 2 -subj '/CN=Test CA'
            openssl req -x509 \(key) -keyout own.key -out own.pem -days 2 -subj /CN=own \(names)
            sign() {
                openssl req \(key) -keyout $1.key -out $1.csr -subj /CN=$1
                openssl ca -config ca.cnf -batch -notext -cert ca.pem -keyfile ca.key -in $1.csr -out $1.pem -extensions e $2 $3 $4 $5
            }
            sign good -days 2
            sign old -startdate 20200101000000Z -enddate 20200201000000Z
            """
        )
    }

    private static let program = """
        import socket, ssl, sys, threading

        def context(kind, name):
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(name + ".pem", name + ".key")
            if kind == "ancient":
                c.set_ciphers("DEFAULT@SECLEVEL=0")
                c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_1
            def asked(s, name, _): s.name_asked = name
            c.sni_callback = asked
            return c

        def serve(kind, c, plain):
            first = b""
            if kind == "silent":
                threading.Event().wait()
            if kind == "plain":
                plain.recv(4096)
                return plain.sendall(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n")
            if kind == "proxied":
                while not first.endswith(b"\\r\\n"): first += plain.recv(1)
            if kind == "proxied2":
                first = plain.recv(16, socket.MSG_WAITALL)
                first += plain.recv(int.from_bytes(first[14:16], "big"), socket.MSG_WAITALL)
            s = c.wrap_socket(plain, server_side=True)
            if kind in ("http", "ancient"):
                head = b""
                while b"\\r\\n\\r\\n" not in head: head += s.recv(4096)
                body = str(getattr(s, "name_asked", None)).encode()
                s.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
                s.unwrap()
            elif kind == "cut":
                s.sendall(b"half")
                s.close()
            else:
                s.sendall(first)
                while data := s.recv(1 << 16): s.sendall(data)
                s.unwrap()

        def guarded(kind, c, plain):
            try: serve(kind, c, plain)
            except OSError as e: print(kind, e, file=sys.stderr)

        def accept(kind, c, listener):
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=guarded, args=(kind, c, plain), daemon=True).start()

        ports = []
        for item in sys.argv[1:]:
            kind, name = item.split(",")
            listener = socket.create_server(("127.0.0.1", 0))
            ports.append(str(listener.getsockname()[1]))
            threading.Thread(target=accept, args=(kind, context(kind, name), listener), daemon=True).start()
        print("listening " + " ".join(ports))
        threading.Event().wait()
        """
}
