/// Takes the PROXY header off the beginning of a stream, of either version, as a gateway writes it. Pure.
struct ProxyHeaderReader {
    enum Progress: Equatable {
        case incomplete
        case complete
        /// These bytes begin with no PROXY header.
        case invalid
    }

    /// What was taken so far; the whole header in the end.
    private(set) var bytes: [UInt8] = []

    /// Bytes of a header of version 1 at most, and of the addresses of one of version 2 (haproxy's proxy-protocol.txt, 2.1 and 2.2: two paths of Unix
    /// sockets are the longest).
    private static let longestText = 107
    private static let longestAddresses = 216
    private static let binaryHead = 16
    private static let textBegin = Array("PROXY ".utf8)

    /// Takes bytes up to the end of the header; returns how many.
    mutating func take(_ input: Span<UInt8>) -> (count: Int, progress: Progress) {
        for index in input.indices {
            bytes.append(input[index])
            let progress = judge()
            if progress != .incomplete { return (index + 1, progress) }
        }
        return (input.count, .incomplete)
    }

    private func judge() -> Progress {
        let isText = bytes[0] == Self.textBegin[0]
        let begin = isText ? Self.textBegin : ProxyHeader.signature
        guard bytes.prefix(begin.count).elementsEqual(begin.prefix(bytes.count)) else { return .invalid }
        if isText {
            if bytes.suffix(2).elementsEqual([0x0D, 0x0A]) { return .complete }
            return bytes.count < Self.longestText ? .incomplete : .invalid
        }
        guard bytes.count >= Self.binaryHead else { return .incomplete }
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard length <= Self.longestAddresses else { return .invalid }
        return bytes.count == Self.binaryHead + length ? .complete : .incomplete
    }
}
