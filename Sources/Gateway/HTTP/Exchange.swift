/// One request and its answer, as far as they came.
struct Exchange {
    /// 0 or 1, the minor version of the visitor.
    var minor: UInt8
    var isHead: Bool
    var wantsUpgrade: Bool
    var keepsAlive: Bool
    /// What of the request body is still to come.
    var request: BodyReader
    /// The head as sent to the workload, kept until the answer begins if it may be sent a second time.
    var replay: [UInt8]?
    /// Streams this request was sent on.
    var attempts = 0
    /// 1xx answers so far.
    var interims = 0
    /// What of the answer is still to come; nil before its head.
    var response: BodyReader?
    /// Whether the workload keeps its connection after this answer.
    var workloadKeepsAlive = true

    /// More 1xx answers than this end the exchange.
    static let maxInterims = 16

    init(_ head: RequestHead) {
        minor = head.minor
        isHead = head.isHead
        wantsUpgrade = head.wantsUpgrade
        keepsAlive = head.keepsAlive
        request = BodyReader(head.framing)
    }

    /// Before the first request.
    init() {
        minor = 1
        isHead = false
        wantsUpgrade = false
        keepsAlive = false
        request = BodyReader(.none)
    }

    /// Whether anything of the answer reached the visitor, 1xx included.
    var hasAnswered: Bool { response != nil || interims > 0 }
}
