/// How the end of a message body is found.
enum BodyFraming: Equatable {
    case none
    /// Exactly this many bytes.
    case length(UInt64)
    case chunked
    /// A response body that ends with its connection.
    case untilClose
}

/// The form of a request target (RFC 9112 section 3.2); CONNECT's authority form is refused before.
enum TargetForm: UInt8 {
    case origin
    case absolute
    case asterisk
}

/// What a request head says, as offsets into the bytes that were parsed; valid only with those bytes.
struct RequestHead: Equatable {
    /// Bytes of the head, the empty line and a leading line end included.
    var length = 0
    var method: Range<Int> = 0..<0
    var target: Range<Int> = 0..<0
    var form = TargetForm.origin
    /// Path and query as they go to the workload; empty where an absolute target has none (then `/` is sent).
    var origin: Range<Int> = 0..<0
    /// The path without query, within `origin`.
    var path: Range<Int> = 0..<0
    /// Host and port as named: from the target when it is absolute, else from the Host field.
    var authority: Range<Int> = 0..<0
    /// The name or address without port, without a trailing dot; never empty.
    var host: Range<Int> = 0..<0
    /// 0 or 1, the minor version.
    var minor: UInt8 = 1
    var framing = BodyFraming.none
    var isHead = false
    /// GET, HEAD or OPTIONS without a body: it may be sent a second time (RFC 9110 section 9.2.1).
    var isReplayable = false
    /// Whether the visitor's connection may carry another request.
    var keepsAlive = true
    /// Whether the visitor asks to change the protocol, with a value that may be passed on.
    var wantsUpgrade = false
    var expectsContinue = false
    /// Whether Connection names fields that must not be passed on.
    var namesFields = false
}
