/// How fast a visitor sends a request body, and takes an answer: counted by the second. Pure.
///
/// Seconds in which the gateway itself does not read, because the workload or the contract's rate does not let it, do not count.
struct VisitorPace {
    enum Verdict {
        case fine
        case slowWriter
        case slowReader
    }

    private var sentBytes: Int = 0
    private var takenBytes: Int = 0
    private var sendingSeconds: UInt32 = 0
    private var stuckSeconds: UInt32 = 0

    /// A request begins.
    mutating func begin() {
        sentBytes = 0
        sendingSeconds = 0
    }

    mutating func sent(_ count: Int) { sentBytes += count }
    mutating func took(_ count: Int) { takenBytes += count }

    /// A second has passed.
    ///
    /// - Parameters:
    ///   - isSending: the visitor owes bytes of a body, and they would be read.
    ///   - isStuck: the visitor's socket takes nothing now.
    mutating func second(isSending: Bool, isStuck: Bool, _ limits: GatewayLimits) -> Verdict {
        if isSending { sendingSeconds += 1 }
        // What filled the socket before it was stuck says nothing about the visitor.
        if stuckSeconds == 0 { takenBytes = 0 }
        stuckSeconds = isStuck ? stuckSeconds + 1 : 0
        if isSending, Self.isSlow(sentBytes, sendingSeconds, limits) { return .slowWriter }
        if isStuck, Self.isSlow(takenBytes, stuckSeconds, limits) { return .slowReader }
        return .fine
    }

    private static func isSlow(_ bytes: Int, _ seconds: UInt32, _ limits: GatewayLimits) -> Bool {
        seconds > limits.slowSeconds && bytes < Int(seconds) * limits.slowestRate
    }
}
