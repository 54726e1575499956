/// When each source may be asked next: an exponential pause after failures, none after a success.
///
/// Pure: time is a parameter, in durations since any fixed moment.
struct SourceSchedule {
    private struct Entry {
        var backoff: Backoff
        var notBefore: Duration = .zero
    }

    private var entries: [Entry]
    /// Longest pause after no answer, or an old one.
    private let unreachableCap: Duration
    /// Longest pause after an answer that was not believed.
    private let refusedCap: Duration

    init(count: Int, first: Duration, unreachableCap: Duration, refusedCap: Duration) {
        entries = Array(repeating: Entry(backoff: Backoff(base: first, cap: refusedCap)), count: count)
        self.unreachableCap = unreachableCap
        self.refusedCap = refusedCap
    }

    /// The first source, in the order of configuration, that may be asked now.
    func ready(at now: Duration) -> Int? {
        entries.firstIndex { $0.notBefore <= now }
    }

    /// Whether a source may be asked now.
    func isReady(_ index: Int, at now: Duration) -> Bool { entries[index].notBefore <= now }

    /// Time until some source may be asked.
    func pause(at now: Duration) -> Duration {
        max(.zero, (entries.map(\.notBefore).min() ?? now) - now)
    }

    /// The source may be asked again; its failures still count.
    mutating func answered(_ index: Int) {
        entries[index].notBefore = .zero
    }

    mutating func succeeded(_ index: Int) {
        entries[index].backoff.succeeded()
        entries[index].notBefore = .zero
    }

    mutating func failed(_ index: Int, _ refusal: LedgerRefusal, at now: Duration, fraction: Double) {
        // A source that lags behind is no liar, and one that is down comes back.
        let isPassing = refusal.kind == .unreachable || refusal.code == VerificationResult.checkpointStale.rawValue
        var pause = entries[index].backoff.failed(fraction: fraction, atMost: isPassing ? unreachableCap : nil)
        if let asked = refusal.retryAfter { pause = min(refusedCap, max(pause, asked)) }
        entries[index].notBefore = now + pause
    }
}
