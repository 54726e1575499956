/// A network: an address and the number of its leading bits that count; all others are zero.
public struct CIDR: Hashable, Sendable, CustomStringConvertible {
    /// The lowest address of the network.
    public let address: IPAddress

    /// Leading bits that an address of the network shares, 0...32 or 0...128.
    public let length: Int

    /// Parses `ip4/n` or `ip6/n`; of the networks that begin with `::` only `::/0` is one.
    public init?(_ text: String) {
        guard let slash = text.utf8.firstIndex(of: 0x2F) else { return nil }
        let digits = text.utf8[text.utf8.index(after: slash)...]
        guard (1...3).contains(digits.count), digits.allSatisfy(Grammar.isDigit),
            digits.count == 1 || digits.first != 0x30, let address = IPAddress(String(text[..<slash]))
        else { return nil }
        let length = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        switch address {
        case .v4(let number):
            guard length <= 32, number & ~Self.mask32(length) == 0 else { return nil }
        case .v6(let high, let low):
            let mask = Self.mask128(length)
            guard length <= 128, high & ~mask.high == 0, low & ~mask.low == 0 else { return nil }
            guard !address.embedsIPv4 || (high == 0 && low == 0 && length == 0) else { return nil }
        }
        self.address = address
        self.length = length
    }

    /// Whether the address lies in the network; an address of the other family never does.
    public func contains(_ other: IPAddress) -> Bool {
        switch (address, other) {
        case (.v4(let network), .v4(let number)):
            return number & Self.mask32(length) == network
        case (.v6(let high, let low), .v6(let otherHigh, let otherLow)):
            let mask = Self.mask128(length)
            return otherHigh & mask.high == high && otherLow & mask.low == low
        default:
            return false
        }
    }

    /// The text that the network was parsed from.
    public var description: String { "\(address)/\(length)" }

    // A smart shift by the full width or more gives zero.
    private static func mask32(_ length: Int) -> UInt32 { ~(UInt32.max >> length) }

    private static func mask128(_ length: Int) -> (high: UInt64, low: UInt64) {
        (~(UInt64.max >> min(length, 64)), ~(UInt64.max >> max(length - 64, 0)))
    }
}
