/// How an answer reaches a visitor, once the workload's head, the request and the visitor's version are known.
struct ResponseDelivery: Equatable {
    /// 0 or 1, the minor version of the visitor.
    var minor: UInt8
    /// Whether the visitor's connection stays open after the answer.
    var keepsAlive: Bool
    /// Whether a chunked body keeps its chunks; HTTP/1.0 gets the content alone, ended by the connection's end.
    var keepsChunks: Bool

    /// - Parameter visitorKeepsAlive: what the request asked for, and whether the gateway still agrees.
    init(_ response: ResponseHead, minor: UInt8, visitorKeepsAlive: Bool) {
        self.minor = minor
        keepsChunks = minor >= 1
        keepsAlive =
            visitorKeepsAlive && response.framing != .untilClose && (response.framing != .chunked || minor >= 1)
    }
}

/// Writes the head that a visitor gets from the head that a workload sent.
enum ResponseForwarding {
    static func append(
        _ head: ResponseHead,
        _ fields: [FieldLine],
        _ bytes: Span<UInt8>,
        delivery: ResponseDelivery,
        to output: inout [UInt8]
    ) {
        output.append(contentsOf: "HTTP/1.1 ".utf8)
        output.append(copying: bytes.extracting(head.statusAndReason))
        if head.statusAndReason.count == 3 { output.append(0x20) }
        output.append(contentsOf: "\r\n".utf8)
        let hasLength = head.status / 100 != 1 && head.status != 204
        var lengths = 0
        FieldRuns.append(fields, bytes, end: head.length - 2, to: &output) { line in
            switch line.field {
            case .other: return !head.namesFields || !ConnectionOptions.name(line, in: fields, bytes)
            case .contentLength:
                lengths += 1
                return hasLength && lengths == 1
            case .upgrade: return head.status == 101 || head.status == 426
            case .via, .expect, .host, .forwarded, .disguised: return true
            case .connection, .transferEncoding, .te, .hopByHop: return false
            }
        }
        if head.framing == .chunked, delivery.keepsChunks {
            output.append(contentsOf: "Transfer-Encoding: chunked\r\n".utf8)
        }
        if head.status == 101 {
            output.append(contentsOf: "Connection: upgrade\r\n".utf8)
        } else if !head.isInterim {
            if !delivery.keepsAlive {
                output.append(contentsOf: "Connection: close\r\n".utf8)
            } else if delivery.minor == 0 {
                output.append(contentsOf: "Connection: keep-alive\r\n".utf8)
            }
        }
        output.append(contentsOf: "\r\n".utf8)
    }
}
