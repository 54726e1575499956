internal import CLinux
internal import Glibc

/// A bound UDP descriptor, closed when the last reference goes.
final class DatagramDescriptor: Sendable {
    let descriptor: Int32
    /// The address as bound, with the port that the kernel chose when 0 was asked for.
    let address: SocketAddress

    /// Several may be bound to one address; the kernel spreads the senders over them.
    init(_ address: SocketAddress) throws(SocketError) {
        descriptor = try Socket.datagrams(on: address)
        self.address = Socket.localAddress(descriptor) ?? address
    }

    /// A socket that talks to one address only.
    init(to peer: SocketAddress) throws(SocketError) {
        descriptor = try Socket.datagrams(to: peer)
        address = Socket.localAddress(descriptor) ?? peer
    }

    deinit { close(descriptor) }
}

/// Datagrams in and out of one socket, in batches of one system call each. Loop-owned; it is no handler and owns no descriptor.
///
/// What goes out is staged until `flush`. While the kernel takes no more, the newest `stagedLimit` datagrams are kept and older
/// ones are dropped.
struct DatagramSocket {
    /// What became of a read.
    enum Outcome: Equatable {
        /// So many came; there may be more.
        case datagrams(Int)
        /// Nothing is there now.
        case again
        /// errno of an error that an earlier datagram caused, such as ECONNREFUSED; the socket goes on.
        case failed(Int32)
    }

    /// Longest payload of a datagram over IPv4, in bytes; a frame of the tunnel holds the same.
    static let longest = 65_507
    private static let slot = 1 << 16
    private static let batch = Loop.datagramScratchSize / slot
    private static let stagedLimit = 256

    let descriptor: Int32
    private var staged: [(bytes: [UInt8], to: SocketAddress?)] = []
    /// Datagrams dropped because the kernel did not take them.
    private(set) var dropped = 0

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    var hasStaged: Bool { !staged.isEmpty }

    /// Receives one batch and hands each datagram over; the bytes are valid within the call.
    func receive(on loop: Loop, _ body: (Span<UInt8>, SocketAddress?) -> Void) -> Outcome {
        var names = [sockaddr_storage](repeating: sockaddr_storage(), count: Self.batch)
        var nameLengths = [UInt32](repeating: 0, count: Self.batch)
        var lengths = [UInt32](repeating: 0, count: Self.batch)
        let bytes = unsafe loop.datagramScratch.assumingMemoryBound(to: UInt8.self)
        let count = unsafe webgw_receive_datagrams(
            descriptor,
            bytes,
            UInt32(Self.slot),
            UInt32(Self.batch),
            &names,
            &nameLengths,
            &lengths
        )
        guard count >= 0 else {
            let code = errno
            return code == EAGAIN || code == EINTR ? .again : .failed(code)
        }
        for place in 0..<Int(count) {
            let length = min(Int(lengths[place]), Self.slot)
            let name = SocketAddress(names[place], length: socklen_t(nameLengths[place]))
            unsafe body(Span(_unsafeStart: bytes + place * Self.slot, count: length), name)
        }
        return .datagrams(Int(count))
    }

    /// Stages a datagram; `to` is nil on a connected socket.
    mutating func stage(_ bytes: [UInt8], to address: SocketAddress?) {
        if staged.count >= Self.stagedLimit {
            staged.removeFirst(Self.stagedLimit / 4)
            dropped += Self.stagedLimit / 4
        }
        staged.append((bytes, address))
    }

    /// Sends what is staged, as far as the kernel takes it. An error of one datagram costs that datagram alone.
    mutating func flush(on loop: Loop) {
        var start = 0
        while start < staged.count {
            let batch = self.batch(from: start)
            let sent = send(staged[batch], loop)
            if sent > 0 {
                start += sent
            } else if errno == EAGAIN || errno == ENOBUFS {
                break
            } else if errno != EINTR {
                // The kernel refuses this one: too long for the path, no route, a port that nobody serves.
                start += 1
                dropped += 1
            }
        }
        staged.removeFirst(start)
    }

    /// The datagrams from `start` on that fit one call.
    private func batch(from start: Int) -> Range<Int> {
        var end = start
        var total = 0
        while end < staged.count, end - start < WEBGW_DATAGRAM_BATCH {
            total += staged[end].bytes.count
            guard total <= Loop.datagramScratchSize else { break }
            end += 1
        }
        return start..<end
    }

    private func send(_ batch: ArraySlice<(bytes: [UInt8], to: SocketAddress?)>, _ loop: Loop) -> Int {
        var names: [sockaddr_storage] = []
        var nameLengths: [UInt32] = []
        var lengths: [UInt32] = []
        let bytes = unsafe loop.datagramScratch.assumingMemoryBound(to: UInt8.self)
        var offset = 0
        for (payload, address) in batch {
            unsafe payload.withUnsafeBytes { source in
                if source.count > 0 {
                    unsafe UnsafeMutableRawPointer(bytes + offset).copyMemory(
                        from: source.baseAddress!,
                        byteCount: source.count
                    )
                }
            }
            offset += payload.count
            lengths.append(UInt32(payload.count))
            let (name, length) = address?.storage ?? (sockaddr_storage(), 0)
            names.append(name)
            nameLengths.append(length)
        }
        return unsafe Int(
            webgw_send_datagrams(descriptor, bytes, lengths, UInt32(batch.count), &names, nameLengths)
        )
    }
}
