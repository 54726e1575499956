internal import Contracts

/// A leased port: TCP and UDP ports of one number are two.
struct LeasedPort: Hashable, Comparable, Sendable, CustomStringConvertible {
    let number: UInt16
    let isDatagram: Bool

    init(_ number: UInt16, _ kind: ExposeKind) {
        self.number = number
        isDatagram = kind == .udp
    }

    static func < (one: LeasedPort, other: LeasedPort) -> Bool {
        (one.number, one.isDatagram ? 1 : 0) < (other.number, other.isDatagram ? 1 : 0)
    }

    /// `6379`, and `udp:53` for a UDP port.
    var description: String { isDatagram ? "udp:\(number)" : "\(number)" }
}

/// A range of leased ports of one kind.
struct LeasedRange: Hashable, Sendable {
    let range: PortRange
    let kind: ExposeKind

    func contains(_ port: LeasedPort) -> Bool {
        port.isDatagram == (kind == .udp) && range.from <= port.number && port.number <= range.to
    }
}
