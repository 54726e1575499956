import Contracts

/// A socket that takes what comes from outside: a TCP listener, or a UDP socket without a peer.
struct OpenSocket: Hashable {
    /// `tcp` or `udp`.
    var proto: String
    var address: IPAddress
    var port: UInt16
    /// Of the socket, by which its process is found.
    var inode: String

    /// Whether only this namespace itself can reach it.
    var isLoopback: Bool {
        switch address {
        case .v4(let number): number >> 24 == 127
        case .v6(0, 1): true
        case .v6(0, let low): low >> 32 == 0xFFFF && UInt32(truncatingIfNeeded: low) >> 24 == 127
        case .v6: false
        }
    }

    var text: String {
        switch address {
        case .v4: "\(proto) \(address):\(port)"
        case .v6: "\(proto) [\(address)]:\(port)"
        }
    }
}

/// Reads the kernel's tables of sockets, `/proc/net/tcp`, `tcp6`, `udp` and `udp6` (proc_net(5)).
enum SocketTable {
    /// The open sockets of a table; nil when a line is not of its form, so that nothing is overlooked.
    static func open(_ table: [UInt8], proto: String) -> [OpenSocket]? {
        // TCP_LISTEN, and TCP_CLOSE of a UDP socket that is bound and not connected.
        let wanted = proto == "tcp" ? "0A" : "07"
        var sockets: [OpenSocket] = []
        for line in table.split(separator: 0x0A).dropFirst() {
            let fields = String(decoding: line, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 10 else { return nil }
            guard fields[3] == wanted else { continue }
            let parts = fields[1].split(separator: ":")
            guard parts.count == 2, let address = address(parts[0]), let port = UInt16(parts[1], radix: 16) else {
                return nil
            }
            sockets.append(OpenSocket(proto: proto, address: address, port: port, inode: String(fields[9])))
        }
        return sockets
    }

    /// Words of 32 bits, each in network order as the machine's own order prints it.
    private static func address(_ hex: Substring) -> IPAddress? {
        let digits = Array(hex)
        guard digits.count == 8 || digits.count == 32 else { return nil }
        var words: [UInt64] = []
        for start in stride(from: 0, to: digits.count, by: 8) {
            guard let word = UInt32(String(digits[start..<start + 8]), radix: 16) else { return nil }
            words.append(UInt64(UInt32(bigEndian: word)))
        }
        if words.count == 1 { return .v4(UInt32(words[0])) }
        return .v6(words[0] << 32 | words[1], words[2] << 32 | words[3])
    }
}
