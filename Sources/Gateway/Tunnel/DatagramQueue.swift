/// Datagrams of one flow that wait for a congested session: the oldest are dropped first.
struct DatagramQueue {
    /// Datagrams and bytes kept at most.
    private static let most = 64
    private static let mostBytes = 256 << 10

    private var waiting: [[UInt8]] = []
    private var bytes = 0
    private(set) var dropped = 0

    var isEmpty: Bool { waiting.isEmpty }

    mutating func append(_ datagram: [UInt8]) {
        waiting.append(datagram)
        bytes += datagram.count
        while waiting.count > Self.most || bytes > Self.mostBytes {
            bytes -= waiting.removeFirst().count
            dropped += 1
        }
    }

    /// Hands over the datagrams, oldest first, until one is not taken.
    mutating func drain(_ take: ([UInt8]) -> Bool) {
        var count = 0
        while count < waiting.count, take(waiting[count]) {
            bytes -= waiting[count].count
            count += 1
        }
        waiting.removeFirst(count)
    }
}
