/// One direction between two legs: copies through the loop's scratch, and splices once the flow is established bulk
/// between two plain sockets.
///
/// Nothing is read unless the destination took everything before; what it did not take of the last read is kept in a
/// buffer of its size or in the pipe, under the loop's stuck budget either way.
struct Flow {
    enum Pump {
        /// Waits for an event.
        case idle
        /// The budget of this turn is used up; call again from the run queue.
        case again
        /// The limit that was given is used up.
        case limited
        /// Both the end of the source and everything before it went out.
        case finished
        /// The socket that is read from broke.
        case sourceBroke
        /// The socket that is written to broke.
        case targetBroke
        /// Too many bytes are stuck.
        case overBudget
    }

    private var stuck: StuckBytes?
    private var pipe: BufferPool.Pipe?
    private var inPipe = 0
    /// Bytes of the pipe that the stuck budget knows of.
    private var reserved = 0
    private var readSize = Flow.smallestRead << 2
    private var spliceSize = Flow.largestSplice
    /// Large reads in a row, up to the point where splice takes over.
    private var bulk: UInt8 = 0
    private(set) var hasEnded = false
    private(set) var isFinished = false
    /// Bytes read since `takeMoved`.
    private var moved = 0

    private static let smallestRead = 16 << 10
    private static let bulkRead = 16 << 10
    private static let smallestSplice = 256 << 10
    private static let largestSplice = 1 << 20

    /// Bytes read from the source since this was last asked.
    mutating func takeMoved() -> Int {
        defer { moved = 0 }
        return moved
    }

    /// Moves what can be moved, within the budget of a turn, and reads at most `limit` bytes for it.
    mutating func pump(from source: Leg, to target: Leg, limit: Int = .max) -> Pump {
        let loop = source.loop
        var budget = min(Loop.turnBudget, limit)
        while true {
            if stuck != nil || inPipe > 0, let wait = drain(to: target, loop) { return wait }
            guard target.flush() else { return .targetBroke }
            if target.hasOutput { return .idle }
            if hasEnded { return finish(target, loop) }
            guard source.hasInput else {
                givePipe(loop)
                return .idle
            }
            guard budget > 0 else { return limit <= Loop.turnBudget ? .limited : .again }
            if bulk >= 2, source.tls == nil, target.tls == nil, takesPipe(loop) {
                guard spliceOnce(source, &budget) else { return .sourceBroke }
            } else if let wait = copyOnce(source, target, &budget) {
                return wait
            }
        }
    }

    /// Sends what is kept; nil when nothing is left of it.
    private mutating func drain(to target: Leg, _ loop: Loop) -> Pump? {
        if let kept = stuck {
            var broken = false
            let isEmpty = kept.offer { bytes in
                let count = target.write(bytes)
                if count < 0 { broken = true }
                return max(0, count)
            }
            if broken { return .targetBroke }
            guard isEmpty else { return .idle }
            stuck = nil
        }
        while inPipe > 0, let pipe {
            switch target.splice(from: pipe, count: inPipe) {
            case .bytes(let count): inPipe -= count
            case .again:
                spliceSize = max(Self.smallestSplice, spliceSize / 2)
                return account(loop) ? .idle : .overBudget
            case .end, .failed: return .targetBroke
            }
        }
        if reserved > 0 { _ = account(loop) }
        return nil
    }

    /// Makes the stuck budget agree with what the pipe holds.
    private mutating func account(_ loop: Loop) -> Bool {
        if inPipe > reserved, !loop.stuck.reserve(inPipe - reserved) { return false }
        if inPipe < reserved { loop.stuck.release(reserved - inPipe) }
        reserved = inPipe
        return true
    }

    private mutating func finish(_ target: Leg, _ loop: Loop) -> Pump {
        if !isFinished {
            isFinished = true
            target.shutdownWrite()
            givePipe(loop)
        }
        return .finished
    }

    /// One splice into the pipe; false when the source broke.
    private mutating func spliceOnce(_ source: Leg, _ budget: inout Int) -> Bool {
        guard let pipe else { return true }
        let limit = min(spliceSize, pipe.capacity, budget)
        switch source.splice(into: pipe, limit: limit) {
        case .bytes(let count):
            inPipe = count
            moved += count
            budget -= count
            if count < 8192 { bulk = 0 }
            if count == spliceSize { spliceSize = min(Self.largestSplice, spliceSize << 1) }
        case .again: break
        case .end: hasEnded = true
        case .failed: return false
        }
        return true
    }

    /// One read and one write; nil when the destination took everything.
    private mutating func copyOnce(_ source: Leg, _ target: Leg, _ budget: inout Int) -> Pump? {
        let limit = min(readSize, budget)
        var written = 0
        var kept: StuckBytes?
        let outcome = source.read(limit: limit) { bytes in
            written = target.write(bytes)
            if written >= 0, written < bytes.count {
                kept = StuckBytes(bytes.extracting(written..<bytes.count), loop: source.loop)
            }
        }
        switch outcome {
        case .again: return nil
        case .end:
            hasEnded = true
            return nil
        case .failed: return .sourceBroke
        case .bytes(let count):
            moved += count
            budget -= count
            guard written >= 0 else { return .targetBroke }
            bulk = count >= Self.bulkRead ? min(bulk + 1, 2) : 0
            if written < count {
                stuck = kept
                readSize = max(Self.smallestRead, min(readSize / 2, written))
                return kept == nil ? .overBudget : .idle
            }
            if count == readSize { readSize = min(Loop.scratchSize, readSize << 1) }
            return nil
        }
    }

    private mutating func takesPipe(_ loop: Loop) -> Bool {
        if pipe == nil { pipe = loop.pool.takePipe() }
        return pipe != nil
    }

    private mutating func givePipe(_ loop: Loop) {
        if let pipe { loop.pool.give(pipe) }
        pipe = nil
    }

    /// Gives back what the flow holds.
    mutating func close(_ loop: Loop) {
        stuck = nil
        loop.stuck.release(reserved)
        reserved = 0
        guard let pipe else { return }
        if inPipe > 0 { loop.pool.discard(pipe) } else { loop.pool.give(pipe) }
        self.pipe = nil
        inPipe = 0
    }
}
