/// What a gateway says about the visitor in a forwarded request; made once a connection.
struct VisitorFields: Sendable {
    /// Numeric address without port.
    let address: [UInt8]
    private let isIPv6: Bool
    /// The gateway's port that the visitor reached, in decimal.
    let port: [UInt8]

    init(address: String, port: UInt16) {
        self.address = Array(address.utf8)
        isIPv6 = self.address.contains(0x3A)
        self.port = Array(String(port).utf8)
    }

    /// Appends Via, Forwarded (RFC 7239) and the X-Forwarded-* fields; nothing of what the visitor sent in them is left.
    func append(authority: Span<UInt8>, to output: inout [UInt8]) {
        output.append(contentsOf: "X-Forwarded-For: ".utf8)
        output.append(contentsOf: address)
        output.append(contentsOf: "\r\nX-Forwarded-Host: ".utf8)
        output.append(copying: authority)
        output.append(contentsOf: "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: ".utf8)
        output.append(contentsOf: port)
        output.append(contentsOf: isIPv6 ? "\r\nForwarded: for=\"[".utf8 : "\r\nForwarded: for=".utf8)
        output.append(contentsOf: address)
        output.append(contentsOf: isIPv6 ? "]\";host=\"".utf8 : ";host=\"".utf8)
        output.append(copying: authority)
        output.append(contentsOf: "\";proto=http\r\nVia: 1.1 webgw\r\n".utf8)
    }
}

/// Writes the head that a workload gets from the head that a visitor sent.
enum RequestForwarding {
    /// Appends the whole head with its empty line.
    ///
    /// The workload is always spoken to in HTTP/1.1 on a connection that stays open. Host is the authority that the request was
    /// routed by. A chunked body keeps its chunks.
    static func append(
        _ head: RequestHead,
        _ fields: [FieldLine],
        _ bytes: Span<UInt8>,
        visitor: borrowing VisitorFields,
        to output: inout [UInt8]
    ) {
        output.append(copying: bytes.extracting(head.method))
        output.append(0x20)
        if head.origin.isEmpty || bytes[head.origin.lowerBound] == 0x3F { output.append(0x2F) }
        output.append(copying: bytes.extracting(head.origin))
        output.append(contentsOf: " HTTP/1.1\r\nHost: ".utf8)
        let authority = bytes.extracting(head.authority)
        output.append(copying: authority)
        output.append(contentsOf: "\r\n".utf8)
        FieldRuns.append(fields, bytes, end: head.length - 2, to: &output) { line in
            switch line.field {
            case .other: !head.namesFields || !ConnectionOptions.name(line, in: fields, bytes)
            case .contentLength, .via: true
            case .expect: head.expectsContinue
            case .upgrade: head.wantsUpgrade
            case .host, .connection, .transferEncoding, .te, .hopByHop, .forwarded, .disguised: false
            }
        }
        if head.framing == .chunked { output.append(contentsOf: "Transfer-Encoding: chunked\r\n".utf8) }
        if head.wantsUpgrade { output.append(contentsOf: "Connection: upgrade\r\n".utf8) }
        visitor.append(authority: authority, to: &output)
        output.append(contentsOf: "\r\n".utf8)
    }
}

/// Copies field lines that stay, in as few pieces as there are runs of them.
enum FieldRuns {
    /// - Parameter end: the place of the empty line that ends the head.
    static func append(
        _ fields: [FieldLine],
        _ bytes: Span<UInt8>,
        end: Int,
        to output: inout [UInt8],
        where stays: (FieldLine) -> Bool
    ) {
        var runStart: Int?
        for line in fields {
            if stays(line) {
                if runStart == nil { runStart = line.name.lowerBound }
            } else if let start = runStart {
                output.append(copying: bytes.extracting(start..<line.name.lowerBound))
                runStart = nil
            }
        }
        if let start = runStart { output.append(copying: bytes.extracting(start..<end)) }
    }
}
