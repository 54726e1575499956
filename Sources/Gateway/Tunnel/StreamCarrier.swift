/// What a stream goes over: a session that carries many, or a connection of its own. Loop-owned.
///
/// A carrier of one stream pays no heed to ids.
protocol StreamCarrier: AnyObject {
    var loop: Loop { get }
    /// Window of a new stream in bytes, both directions.
    var initialWindow: Int { get }
    /// Round-trip time in nanoseconds; 0 when unknown.
    var roundTrip: UInt64 { get }

    /// No new streams go over it; those that run may end.
    var isLeaving: Bool { get }

    /// Payload bytes that may be staged now; 0 when the carrier is congested.
    func roomForData() -> Int
    /// Whether a datagram of so many bytes may be staged now.
    func hasRoom(forDatagram count: Int) -> Bool
    func stage(_ type: FrameType, stream: UInt32, _ payload: Span<UInt8>)
    func stage(_ type: FrameType, stream: UInt32)
    func stageReset(stream: UInt32, _ code: ResetCode)
    func stageWindow(stream: UInt32, _ count: UInt32)
    /// Reads a leg into what is staged.
    func fill(from leg: Leg, stream: UInt32, limit: Int) -> Leg.Outcome
    /// The stream waits to send; `Stream.unblocked` is called when there is room.
    func block(_ stream: Stream)
    /// True, and accounted for, when the stream's window may grow by so many bytes.
    func mayGrow(by count: Int) -> Bool
    /// The owner of the stream took everything that was kept for it.
    func tookAll(_ stream: Stream)
    /// The stream is over.
    func forget(_ stream: Stream, grown: Int)
}

extension StreamCarrier {
    var isLeaving: Bool { false }
}

extension Mux: StreamCarrier {
    func tookAll(_ stream: Stream) {}
}
