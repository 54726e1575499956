internal import Contracts

/// Reads a backend's answer to the question for its proof: bounded, and as strict as the protocol's "exactly the contract id".
struct ProofAnswerReader {
    /// Bytes of an answer, head and framing included, that are read at most.
    static let limit = 16 << 10

    private let contract: [UInt8]
    private var bytes: [UInt8] = []

    init(contract: Identifier) { self.contract = Array(contract.hex.utf8) }

    /// The request: on the backend's address, which is also its Host.
    static func request(_ subject: OverlaySubject) -> [UInt8] {
        let head = """
            GET /.well-known/webgw/\(subject.contract.hex) HTTP/1.1\r
            Host: \(subject.address)\r
            User-Agent: webgw\r
            Accept: text/plain\r
            Connection: close\r
            \r

            """
        return Array(head.utf8)
    }

    /// Room for more of the answer.
    var room: Int { Self.limit - bytes.count }

    /// Takes what came; returns the verdict as soon as it is certain.
    mutating func take(_ more: Span<UInt8>) -> ProofAnswer? {
        bytes.append(copying: more)
        return judge(hasEnded: false)
    }

    /// The backend ended the connection.
    mutating func end() -> ProofAnswer {
        judge(hasEnded: true) ?? .failed("it ended the connection before its answer was whole")
    }

    private mutating func judge(hasEnded: Bool) -> ProofAnswer? {
        var heads = ResponseHeadParser(limit: 8 << 10, maxFields: 128)
        while true {
            switch heads.parse(bytes.span, toHead: false) {
            case .incomplete: return room > 0 ? nil : .absent("its answer has too large a head")
            case .failed: return .absent("it does not answer in valid HTTP/1.1")
            case .complete(let head) where head.isInterim: bytes.removeFirst(head.length)
            case .complete(let head): return Self.verdict(head) ?? body(head, hasEnded)
            }
        }
    }

    /// What the status alone says; nil for 200.
    private static func verdict(_ head: ResponseHead) -> ProofAnswer? {
        switch head.status {
        case 200: nil
        case 300...399: .absent("it answers with status \(head.status), and redirects are not followed")
        case 408, 429, 500...599: .failed("it answers with status \(head.status)")
        default: .absent("it answers with status \(head.status)")
        }
    }

    private func body(_ head: ResponseHead, _ hasEnded: Bool) -> ProofAnswer? {
        var reader = BodyReader(head.framing, keepsFraming: false)
        if let length = reader.remainingLength, length != contract.count {
            return .absent("its answer has \(length) bytes, not the \(contract.count) of the contract's id alone")
        }
        var text: [UInt8] = []
        var offset = head.length
        var isWhole = reader.hasEnded
        reading: while !isWhole, offset < bytes.count {
            switch reader.next(bytes.span, from: offset) {
            case .pass(let end):
                text.append(contentsOf: bytes[offset..<end])
                offset = end
                isWhole = reader.hasEnded
            case .drop(let end): offset = end
            case .trailers, .end: isWhole = true
            case .failed: return .absent("it does not answer in valid HTTP/1.1")
            }
            if text.count > contract.count { break reading }
        }
        if text.count > contract.count { return .absent("its answer is more than the contract's id") }
        guard isWhole || reader.isAtTrailers || (hasEnded && reader.endsWithConnection) else {
            return room > 0 ? nil : .absent("its answer is too long")
        }
        return text == contract ? .proven : .absent("its answer is not the contract's id")
    }
}
