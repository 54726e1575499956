/// Reads frames from a byte stream cut anywhere; bytes in, events out, no I/O.
///
/// Payload of DATA is never gathered: each part is reported as it comes. Control payloads are gathered up to their limit.
struct FrameParser {
    enum Event: Equatable {
        /// The bytes are used up.
        case needMore
        /// Part of a DATA payload: this range of the given bytes.
        case data(stream: UInt32, Range<Int>)
        case finish(stream: UInt32)
        case reset(stream: UInt32, code: UInt16)
        case window(stream: UInt32, UInt32)
        case ping(UInt64)
        case pong(UInt64)
        /// A complete payload of any other type; the stream is 0 for session frames.
        case control(FrameType, stream: UInt32, [UInt8])
        /// The peer broke the format; nothing after it can be read.
        case violation(String)
    }

    private let role: TunnelRole
    private var header: UInt64 = 0
    private var headerCount = 0
    private var type = FrameType.data
    private var stream: UInt32 = 0
    private var remaining = 0
    private var payload: [UInt8] = []
    private var isBroken = false

    /// `role` is the reader's own: frames that its peer may not send are violations.
    init(role: TunnelRole) { self.role = role }

    /// The next event in `bytes` from `offset` on, which is moved forward.
    mutating func next(_ bytes: Span<UInt8>, at offset: inout Int) -> Event {
        while offset < bytes.count {
            if isBroken { return .needMore }
            if headerCount < Frame.headerLength {
                while headerCount < Frame.headerLength, offset < bytes.count {
                    header = header << 8 | UInt64(bytes[offset])
                    headerCount += 1
                    offset += 1
                }
                guard headerCount == Frame.headerLength else { return .needMore }
                if let violation = begin() {
                    isBroken = true
                    return .violation(violation)
                }
                if remaining == 0 {
                    headerCount = 0
                    return .finish(stream: stream)
                }
            }
            let count = min(remaining, bytes.count - offset)
            guard count > 0 else { return .needMore }
            let range = offset..<(offset + count)
            offset += count
            remaining -= count
            if remaining == 0 { headerCount = 0 }
            if type == .data { return .data(stream: stream, range) }
            payload.append(copying: bytes.extracting(range))
            if remaining == 0 { return complete() }
        }
        return .needMore
    }

    private mutating func begin() -> String? {
        stream = UInt32(truncatingIfNeeded: header >> 32)
        let length = Int(header & 0xff_ffff)
        guard let type = FrameType(rawValue: UInt8(truncatingIfNeeded: header >> 24)) else {
            return "unknown frame type"
        }
        guard type.lengths.contains(length) else { return "frame length out of range" }
        guard type.isOfStream == (stream != 0) else { return "frame on the wrong stream" }
        if let sender = type.sender, sender == role { return "frame from the wrong side" }
        self.type = type
        remaining = length
        payload = []
        return nil
    }

    private mutating func complete() -> Event {
        let bytes = payload
        payload = []
        switch type {
        case .reset: return .reset(stream: stream, code: UInt16(Self.number(bytes)))
        case .window: return .window(stream: stream, UInt32(Self.number(bytes)))
        case .ping: return .ping(Self.number(bytes))
        case .pong: return .pong(Self.number(bytes))
        default: return .control(type, stream: stream, bytes)
        }
    }

    private static func number(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
