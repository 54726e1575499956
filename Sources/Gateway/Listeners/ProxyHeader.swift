internal import Contracts

/// The first bytes that a workload gets when its expose asks for the PROXY protocol (haproxy's proxy-protocol.txt, versions 1 and 2).
enum ProxyHeader {
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// The header of a version for a visitor at `source` who reached `destination`; empty for version 0.
    static func bytes(
        version: Int,
        source: (IPAddress, UInt16),
        destination: (IPAddress, UInt16),
        isDatagram: Bool = false
    ) -> [UInt8] {
        switch version {
        case 1: text(source, destination)
        case 2: binary(source, destination, isDatagram)
        default: []
        }
    }

    private static func text(_ source: (IPAddress, UInt16), _ destination: (IPAddress, UInt16)) -> [UInt8] {
        let family: String
        switch (source.0, destination.0) {
        case (.v4, .v4): family = "TCP4"
        case (.v6, .v6): family = "TCP6"
        default: return Array("PROXY UNKNOWN\r\n".utf8)
        }
        return Array("PROXY \(family) \(source.0) \(destination.0) \(source.1) \(destination.1)\r\n".utf8)
    }

    private static func binary(
        _ source: (IPAddress, UInt16),
        _ destination: (IPAddress, UInt16),
        _ isDatagram: Bool
    ) -> [UInt8] {
        // STREAM is 1, DGRAM is 2, in the lower half of the byte.
        let transport: UInt8 = isDatagram ? 2 : 1
        var addresses: [UInt8] = []
        let family: UInt8
        switch (source.0, destination.0) {
        case (.v4(let from), .v4(let to)):
            family = 0x10 | transport
            append(from, to: &addresses)
            append(to, to: &addresses)
        case (.v6(let fromHigh, let fromLow), .v6(let toHigh, let toLow)):
            family = 0x20 | transport
            for word in [fromHigh, fromLow, toHigh, toLow] { append(word, to: &addresses) }
        default:
            // Version 2, command PROXY, family unspecified: the workload takes the connection as it is.
            return signature + [0x21, 0x00, 0x00, 0x00]
        }
        append(source.1, to: &addresses)
        append(destination.1, to: &addresses)
        return signature + [0x21, family, 0x00, UInt8(addresses.count)] + addresses
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
