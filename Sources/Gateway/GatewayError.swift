/// Why a gateway could not start.
public struct GatewayError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried: `bind http`, `loop`, `transport key`.
    public let subject: String
    /// The address or path, when there is one.
    public let place: String?
    public let reason: String

    @inline(never)
    init(_ subject: String, _ place: String? = nil, reason: String) {
        self.subject = subject
        self.place = place
        self.reason = reason
    }

    public var description: String {
        place.map { "\(subject) \($0): \(reason)" } ?? "\(subject): \(reason)"
    }
}
