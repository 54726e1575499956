/// Bytes a destination did not take yet, in a buffer of their size, counted against the loop's stuck budget.
///
/// Exists only while something is stuck; a connection without stuck bytes owns no buffer.
final class StuckBytes {
    private var storage: [UInt8]
    private var offset = 0
    private let loop: Loop

    /// Keeps a copy of the bytes; nil when the loop's budget is used up.
    init?(_ bytes: Span<UInt8>, loop: Loop) {
        guard loop.stuck.reserve(bytes.count) else { return nil }
        self.loop = loop
        storage = [UInt8](copying: bytes)
    }

    var count: Int { storage.count - offset }

    /// Adds bytes behind the kept ones; false, and nothing kept, when the budget is used up.
    func append(_ bytes: Span<UInt8>) -> Bool {
        guard loop.stuck.reserve(bytes.count) else { return false }
        if offset > 0, offset >= storage.count / 2 {
            storage.removeFirst(offset)
            offset = 0
        }
        storage.append(copying: bytes)
        return true
    }

    /// Lends what is kept, or the first `limit` bytes of it; the body returns how many bytes it took. True when nothing is left.
    func offer(atMost limit: Int = .max, _ body: (Span<UInt8>) -> Int) -> Bool {
        let taken = body(storage.span.extracting(offset..<(offset + min(limit, count))))
        precondition(taken >= 0 && taken <= count)
        offset += taken
        loop.stuck.release(taken)
        return offset == storage.count
    }

    deinit { loop.stuck.release(storage.count - offset) }
}

extension [UInt8] {
    /// An array of exactly the bytes of a span.
    init(copying bytes: Span<UInt8>) {
        unsafe self.init(unsafeUninitializedCapacity: bytes.count) { buffer, count in
            unsafe bytes.withUnsafeBufferPointer { source in
                if source.count > 0 {
                    unsafe buffer.baseAddress!.initialize(from: source.baseAddress!, count: source.count)
                }
            }
            count = bytes.count
        }
    }

    mutating func append(copying bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}
