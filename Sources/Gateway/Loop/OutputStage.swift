internal import Glibc

/// Bytes gathered during a turn for one leg, in a pooled buffer that is held only while something is staged.
///
/// Data may use `dataCapacity`; control frames may use the reserve above it, so that windows and resets still pass when
/// data is congested. Loop-owned.
@safe final class OutputStage {
    /// Payload bytes staged at most before the stage must be pushed.
    static let dataCapacity = Loop.scratchSize
    /// All bytes staged at most; encrypted, with the overhead of their records, they fit a pooled buffer too.
    private static let capacity = BufferPool.bufferSize - (8 << 10)

    private let loop: Loop
    private var buffer: UnsafeMutableRawPointer?
    private var start = 0
    private var end = 0
    /// Control bytes did not fit: the peer sends faster than it reads, and its session has to end.
    private(set) var didOverflow = false

    init(loop: Loop) { self.loop = loop }

    deinit {
        if let buffer = unsafe buffer { unsafe loop.pool.give(buffer) }
    }

    var count: Int { end - start }
    /// Payload bytes that may be added now.
    var room: Int { max(0, Self.dataCapacity - end) }

    private func base() -> UnsafeMutableRawPointer {
        if let buffer = unsafe buffer { return unsafe buffer }
        let taken = unsafe loop.pool.take()
        unsafe buffer = taken
        return unsafe taken
    }

    /// Adds an 8-byte header in network order.
    func append(header: UInt64) {
        guard end + 8 <= Self.capacity else { return didOverflow = true }
        unsafe base().storeBytes(of: header.bigEndian, toByteOffset: end, as: UInt64.self)
        end += 8
    }

    func append(_ bytes: Span<UInt8>) {
        guard end + bytes.count <= Self.capacity else { return didOverflow = true }
        let target = unsafe base() + end
        unsafe bytes.withUnsafeBytes { source in
            if source.count > 0 { unsafe target.copyMemory(from: source.baseAddress!, byteCount: source.count) }
        }
        end += bytes.count
    }

    /// Reads a leg straight into the stage as frames of at most `frame` bytes, each behind its header: one system call, no
    /// copy. The caller checks that payload and headers fit (`room`). A TLS leg gives one frame at a time.
    func fill(from leg: Leg, limit: Int, frame: Int, header: (Int) -> UInt64) -> Leg.Outcome {
        let frames = (limit + frame - 1) / frame
        precondition(end + 8 * frames + limit <= Self.capacity)
        let target = unsafe base() + end
        let outcome =
            frames == 1 || leg.tls != nil
            ? unsafe leg.read(into: UnsafeMutableRawBufferPointer(start: target + 8, count: min(limit, frame)))
            : unsafe leg.read(into: target, limit: limit, part: frame, gap: 8)
        if case .bytes(let count) = outcome {
            var left = count
            while left > 0 {
                let size = min(left, frame)
                unsafe base().storeBytes(of: header(size).bigEndian, toByteOffset: end, as: UInt64.self)
                end += 8 + size
                left -= size
            }
        } else if end == start {
            release()
        }
        return outcome
    }

    /// Hands what is staged to the leg. True unless the connection broke; `count` tells what is left.
    func push(to leg: Leg) -> Bool {
        guard let buffer = unsafe buffer, end > start else { return true }
        let taken = unsafe leg.write(UnsafeRawBufferPointer(start: buffer + start, count: end - start))
        guard taken >= 0 else { return false }
        start += taken
        if start == end {
            release()
        }
        return true
    }

    private func release() {
        if let buffer = unsafe buffer { unsafe loop.pool.give(buffer) }
        unsafe buffer = nil
        start = 0
        end = 0
    }
}
