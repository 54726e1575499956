/// One direction between two legs: copies through the loop's scratch, and splices once the flow is established bulk
/// between two plain sockets.
///
/// Nothing is read unless the destination took everything before; what it did not take of the last read is kept in a
/// buffer of its size, under the loop's stuck budget.
struct Flow {
    enum Pump {
        /// Waits for an event.
        case idle
        /// The budget of this turn is used up; call again from the run queue.
        case again
        /// Both the end of the source and everything before it went out.
        case finished
        /// One of the sockets broke, or too many bytes are stuck.
        case broken
    }

    private var stuck: StuckBytes?
    private var pipe: BufferPool.Pipe?
    private var inPipe = 0
    private var readSize = Flow.smallestRead << 2
    /// Large reads in a row, up to the point where splice takes over.
    private var bulk: UInt8 = 0
    private var hasEnded = false
    private(set) var isFinished = false

    private static let smallestRead = 16 << 10
    private static let bulkRead = 64 << 10

    /// Moves what can be moved, within the budget of a turn.
    mutating func pump(from source: Leg, to target: Leg) -> Pump {
        let loop = source.loop
        var budget = Loop.turnBudget
        while true {
            if let kept = stuck {
                var broken = false
                let isEmpty = kept.offer { bytes in
                    let count = target.write(bytes)
                    if count < 0 { broken = true }
                    return max(0, count)
                }
                if broken { return .broken }
                guard isEmpty else { return .idle }
                stuck = nil
            }
            if inPipe > 0, let pipe {
                switch target.splice(from: pipe, count: inPipe) {
                case .bytes(let count):
                    inPipe -= count
                    continue
                case .again: return .idle
                case .end, .failed: return .broken
                }
            }
            guard target.flush() else { return .broken }
            if target.hasOutput { return .idle }
            if hasEnded {
                if !isFinished {
                    isFinished = true
                    target.shutdownWrite()
                    givePipe(loop)
                }
                return .finished
            }
            guard source.hasInput else {
                givePipe(loop)
                return .idle
            }
            guard budget > 0 else { return .again }
            if bulk >= 2, source.tls == nil, target.tls == nil, let count = spliceOnce(source, loop) {
                if count < 0 { return .broken }
                budget -= count
                continue
            }
            var written = 0
            var kept = true
            let limit = readSize
            let outcome = source.read(limit: limit) { bytes in
                written = target.write(bytes)
                if written >= 0, written < bytes.count {
                    stuck = StuckBytes(bytes.extracting(written..<bytes.count), loop: loop)
                    kept = stuck != nil
                }
            }
            switch outcome {
            case .again: continue
            case .end: hasEnded = true
            case .failed: return .broken
            case .bytes(let count):
                guard written >= 0, kept else { return .broken }
                budget -= count
                bulk = count >= Self.bulkRead ? min(bulk + 1, 2) : 0
                if written < count {
                    readSize = max(Self.smallestRead, min(readSize / 2, written))
                    return .idle
                }
                if count == limit { readSize = min(Loop.scratchSize, readSize << 1) }
            }
        }
    }

    /// One splice into the pipe; nil when the flow has to copy after all, -1 when the source broke.
    private mutating func spliceOnce(_ source: Leg, _ loop: Loop) -> Int? {
        if pipe == nil { pipe = loop.pool.takePipe() }
        guard let pipe else { return nil }
        switch source.splice(into: pipe) {
        case .bytes(let count):
            inPipe = count
            if count < 8192 { bulk = 0 }
            return count
        case .again: return 0
        case .end:
            hasEnded = true
            return 0
        case .failed: return -1
        }
    }

    private mutating func givePipe(_ loop: Loop) {
        if let pipe { loop.pool.give(pipe) }
        pipe = nil
    }

    /// Gives back what the flow holds.
    mutating func close(_ loop: Loop) {
        stuck = nil
        guard let pipe else { return }
        if inPipe > 0 { loop.pool.discard(pipe) } else { loop.pool.give(pipe) }
        self.pipe = nil
        inPipe = 0
    }
}
