/// Follows a message body through the bytes as they come, whatever frames it.
struct BodyReader: Equatable {
    enum Step: Equatable {
        /// Bytes up to this place go on as they are.
        case pass(Int)
        /// Bytes up to this place are not passed on.
        case drop(Int)
        /// The trailer section of a chunked body begins here; it must be seen whole.
        case trailers
        /// The body ended before this place.
        case end
        case failed
    }

    private enum State: Equatable {
        case length(UInt64)
        case chunked(ChunkedBody)
        case untilClose
        case ended
    }

    private var state: State

    /// - Parameter keepsFraming: whether a chunked body goes on with its chunk sizes.
    init(_ framing: BodyFraming, keepsFraming: Bool = true) {
        switch framing {
        case .none: state = .ended
        case .length(let count): state = .length(count)
        case .chunked: state = .chunked(ChunkedBody(keepsFraming: keepsFraming))
        case .untilClose: state = .untilClose
        }
    }

    var hasEnded: Bool { state == .ended }

    /// Whether the last chunk was seen and the trailer section is not whole yet.
    var isAtTrailers: Bool {
        if case .chunked(let body) = state { return body.isAtTrailers }
        return false
    }

    /// Whether the end of the connection is the end of the body, not a truncation.
    var endsWithConnection: Bool { state == .untilClose || state == .ended }

    /// The next stretch from `start`; the span may be empty there only when the body has ended.
    mutating func next(_ bytes: Span<UInt8>, from start: Int) -> Step {
        switch state {
        case .ended: return .end
        case .untilClose: return .pass(bytes.count)
        case .length(let remaining):
            let count = min(UInt64(bytes.count - start), remaining)
            state = remaining == count ? .ended : .length(remaining - count)
            return .pass(start + Int(count))
        case .chunked(var body):
            let step = body.next(bytes, from: start)
            state = .chunked(body)
            switch step {
            case .pass(let end): return .pass(end)
            case .drop(let end): return .drop(end)
            case .trailers: return .trailers
            case .failed: return .failed
            }
        }
    }

    /// Bytes still to come of a body with a length, which may be moved without being looked at; nil for other bodies.
    var remainingLength: Int? {
        if case .length(let count) = state { return Int(clamping: count) }
        return nil
    }

    /// Bytes of a body with a length were moved.
    mutating func moved(_ count: Int) {
        guard case .length(let remaining) = state else { return }
        let rest = remaining - UInt64(count)
        state = rest == 0 ? .ended : .length(rest)
    }

    /// The trailer section was read.
    mutating func endTrailers() { state = .ended }
}
