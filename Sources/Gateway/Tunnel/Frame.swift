/// Types of frames, numbered as on the wire (tunnel protocol, version 1).
enum FrameType: UInt8, CaseIterable, Sendable {
    case data = 0
    case open = 1
    case finish = 2
    case reset = 3
    case window = 4
    case ping = 5
    case pong = 6
    case goAway = 7
    case datagram = 8
    case health = 9
    case update = 10
    case hello = 11
    case welcome = 12
    case usage = 13
    case token = 14

    /// Lengths a payload may have, in bytes.
    var lengths: ClosedRange<Int> {
        switch self {
        case .data: 1...Frame.longestData
        case .finish: 0...0
        case .reset: 2...2
        case .window: 4...4
        case .ping, .pong: 8...8
        case .datagram: 1...65507
        case .open, .goAway, .health, .update, .hello, .welcome, .usage, .token: 1...Frame.longestControl
        }
    }

    /// True for frames about one stream, false for frames of the session (stream 0).
    var isOfStream: Bool {
        switch self {
        case .data, .open, .finish, .reset, .window, .datagram: true
        default: false
        }
    }

    /// Who may send it; nil for both.
    var sender: TunnelRole? {
        switch self {
        case .open, .welcome, .token: .gateway
        case .hello, .health: .agent
        default: nil
        }
    }
}

/// Which end of a tunnel session.
enum TunnelRole: Sendable {
    case gateway
    case agent
}

/// Numbers of the frame format.
enum Frame {
    /// `u32 stream`, `u8 type`, `u24 length`, big-endian.
    static let headerLength = 8
    static let longestData = 65536
    static let longestControl = 16384
    /// Window per stream and direction at the start, in bytes.
    static let initialWindow = 262_144
    /// Largest window a receiver grows to, in bytes.
    static let largestWindow = 16 << 20

    @inline(__always)
    static func header(_ type: FrameType, stream: UInt32, length: Int) -> UInt64 {
        UInt64(stream) << 32 | UInt64(type.rawValue) << 24 | UInt64(length)
    }
}

/// Why both directions of a stream end at once.
enum ResetCode: UInt16, Sendable {
    case cancelled = 0
    case dialFailed = 1
    case refused = 2
    case noSuchExposure = 3
    case contractEnded = 4
    case limit = 5
    case timeout = 6
    case internalError = 7
    case backendUnhealthy = 8

    /// A code of the wire; one this version does not know counts as internal.
    init(wire: UInt16) { self = ResetCode(rawValue: wire) ?? .internalError }
}

/// Why a session takes no new streams.
public enum GoAwayCode: String, Sendable {
    case drain
    case superseded
    case revoked
    case protocolViolation = "protocol"
    case flow
    case overload
    case version
    case shutdown
}

/// Why a gateway does not serve a contract over a session.
public enum RefusalCode: String, Sendable, CaseIterable {
    case contractUnknown = "contract.unknown"
    case contractNotStarted = "contract.not_started"
    case contractExpired = "contract.expired"
    case contractDeleted = "contract.deleted"
    case contractGrace = "contract.grace"
    case contractSuspended = "contract.suspended"
    case contractRejected = "contract.rejected"
    case nodeNotNamed = "node.not_named"
    case keyNotBackend = "key.not_backend"
    case modeMismatch = "mode.mismatch"
    case ledgerStale = "ledger.stale"

    /// One sentence for the agent's operator; the gateway adds the height it judged at.
    var sentence: String {
        switch self {
        case .contractUnknown: "The ledger as this gateway knows it has no such contract"
        case .contractNotStarted: "The contract has not started yet"
        case .contractExpired: "The contract has expired"
        case .contractDeleted: "The contract was cancelled"
        case .contractGrace: "The contract is in its grace period"
        case .contractSuspended: "The contract is suspended"
        case .contractRejected: "This gateway rejected the contract"
        case .nodeNotNamed: "The contract does not name this gateway"
        case .keyNotBackend: "The key of this agent is not a backend of the contract"
        case .modeMismatch: "The contract's connection mode is not offered over this session"
        case .ledgerStale: "This gateway's copy of the ledger is too old to serve"
        }
    }
}
