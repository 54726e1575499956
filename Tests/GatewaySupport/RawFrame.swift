/// A frame of the tunnel as it goes over the wire, whatever it says.
struct RawFrame: Equatable {
    var type: UInt8
    var stream: UInt32
    var payload: [UInt8]

    init(type: UInt8, stream: UInt32, payload: [UInt8]) {
        (self.type, self.stream, self.payload) = (type, stream, payload)
    }

    /// Takes the first frame off what was received; nil when it is not whole yet.
    init?(takenFrom received: inout [UInt8]) {
        guard received.count >= 8 else { return nil }
        let length = Int(received[5]) << 16 | Int(received[6]) << 8 | Int(received[7])
        guard received.count >= 8 + length else { return nil }
        self.init(
            type: received[4],
            stream: received[0..<4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) },
            payload: Array(received[8..<(8 + length)])
        )
        received.removeFirst(8 + length)
    }

    /// Its bytes; `length` may lie about the payload.
    static func bytes(_ type: UInt8, _ stream: UInt32, _ payload: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? payload.count
        let id = (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - 8 * UInt32($0))) }
        return id + [type, UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF)] + payload
    }
}
