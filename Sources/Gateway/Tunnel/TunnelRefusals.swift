/// Agents' connections that a tunnel endpoint refused or ended for cause, by reason.
struct TunnelRefusals: Sendable, Equatable {
    /// Too many handshakes of one source.
    var source: Int64 = 0
    /// Too many handshakes of all.
    var rate: Int64 = 0
    /// Too many that did not say HELLO yet.
    var greetings: Int64 = 0
    /// Too many sessions.
    var full: Int64 = 0
    /// No descriptor was left.
    var descriptors: Int64 = 0
    /// TLS did not come to stand: no certificate or not one of an Ed25519 key, a chain, an old version, or no end of it in 5 s.
    var handshake: Int64 = 0
    /// TLS stood, and no HELLO came within 5 s or before the end.
    var silent: Int64 = 0
    /// A rule of the tunnel protocol was broken.
    var protocolViolation: Int64 = 0
    /// More was sent than a window allowed.
    var flow: Int64 = 0
    /// Another version of the protocol.
    var version: Int64 = 0
    /// Data connections without a good token: unknown, used, too late, or of a session that ended.
    var tokens: Int64 = 0
    /// No contract was served for the agent yet, and its place was needed for another.
    var strangers: Int64 = 0
    /// No contract that the agent named was served here for its key.
    var unadmitted: Int64 = 0

    /// Counts the end of a session, if it was for cause.
    mutating func count(_ end: SessionEnd, saidHello: Bool) {
        switch end {
        case .violated(.flow, _): flow += 1
        case .violated(.version, _): version += 1
        case .violated: protocolViolation += 1
        case .lost where !saidHello: silent += 1
        case .lost, .goneAway, .closed: break
        }
    }

    mutating func add(_ other: TunnelRefusals) {
        for (_, place) in Self.reasons { self[keyPath: place] += other[keyPath: place] }
    }

    /// Every reason and its word in `status`, ascending.
    static var reasons: [(word: String, place: WritableKeyPath<TunnelRefusals, Int64>)] {
        [
            ("descriptors", \.descriptors), ("flow", \.flow), ("full", \.full), ("greetings", \.greetings),
            ("handshake", \.handshake), ("protocol", \.protocolViolation), ("rate", \.rate), ("silent", \.silent),
            ("source", \.source), ("strangers", \.strangers), ("tokens", \.tokens), ("unadmitted", \.unadmitted),
            ("version", \.version),
        ]
    }
}
