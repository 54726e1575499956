internal import CLinux
internal import Glibc

/// Memory that a loop lends: large buffers for the bytes of a turn, and pipes for splice. Loop-owned.
@safe final class BufferPool {
    /// Size of a pooled buffer: the payload of one pass, and room for control frames or the overhead of TLS records.
    static let bufferSize = Loop.scratchSize + (128 << 10)
    private static let kept = 8
    private static let keptPipes = 16
    /// Pipes lent at once: each holds two descriptors, and up to 1 MiB of the kernel's memory. Flows without one copy.
    private static let mostPipes = 256

    struct Pipe {
        let reader: Int32
        let writer: Int32
        let capacity: Int
    }

    private var free: [UnsafeMutableRawPointer] = unsafe []
    private var pipes: [Pipe] = []
    private var lentPipes = 0

    func take() -> UnsafeMutableRawPointer {
        if let buffer = unsafe free.popLast() { return unsafe buffer }
        return .allocate(byteCount: Self.bufferSize, alignment: 4096)
    }

    func give(_ buffer: UnsafeMutableRawPointer) {
        if unsafe free.count < Self.kept { unsafe free.append(buffer) } else { unsafe buffer.deallocate() }
    }

    /// A pipe of up to 1 MiB, or nil when many are lent or the process may open no more descriptors. Comes back by `give` or
    /// `discard`.
    func takePipe() -> Pipe? {
        guard lentPipes < Self.mostPipes, let pipe = pipes.popLast() ?? makePipe() else { return nil }
        lentPipes += 1
        return pipe
    }

    private func makePipe() -> Pipe? {
        var ends: [Int32] = [-1, -1]
        let flags = Int32(WEBGW_SOCK_NONBLOCK | WEBGW_SOCK_CLOEXEC)
        guard unsafe webgw_pipe2(&ends, flags) == 0 else { return nil }
        let setPipeSize: Int32 = 1031
        _ = fcntl(ends[1], setPipeSize, 1 << 20)
        let getPipeSize: Int32 = 1032
        let capacity = Int(fcntl(ends[1], getPipeSize))
        return Pipe(reader: ends[0], writer: ends[1], capacity: max(capacity, 4096))
    }

    /// Gives an empty pipe back; one that still holds bytes is closed by `discard`.
    func give(_ pipe: Pipe) {
        lentPipes -= 1
        if pipes.count < Self.keptPipes { pipes.append(pipe) } else { close(pipe) }
    }

    func discard(_ pipe: Pipe) {
        lentPipes -= 1
        close(pipe)
    }

    private func close(_ pipe: Pipe) {
        Glibc.close(pipe.reader)
        Glibc.close(pipe.writer)
    }

    deinit {
        while let buffer = unsafe free.popLast() { unsafe buffer.deallocate() }
        for pipe in pipes { close(pipe) }
    }
}

/// How many bytes a loop may hold for destinations that do not keep up.
struct StuckBudget {
    /// Bytes held at most; what would exceed it is refused and its connection ends.
    var limit: Int
    private(set) var used = 0
    /// From three quarters of the budget until half of it is free again: no new work is taken, so that what runs can end.
    private(set) var isOverloaded = false

    init(limit: Int) { self.limit = limit }

    /// True when half the budget is in use: windows stop growing then.
    var isTight: Bool { used > limit / 2 }

    mutating func reserve(_ count: Int) -> Bool {
        guard used + count <= limit else { return false }
        used += count
        if used > limit / 4 * 3 { isOverloaded = true }
        return true
    }

    mutating func release(_ count: Int) {
        used -= count
        if isOverloaded, !isTight { isOverloaded = false }
    }
}
