/// Which way the bytes of a stream go, seen from this end of the tunnel.
enum FlowDirection {
    case sending
    case receiving
}

/// Who may have to wait for a contract's rate: a stream of a session, or a pair of sockets. Loop-owned.
protocol RateMember: AnyObject {
    /// It is over, and moves nothing any more.
    var isClosed: Bool { get }

    func isInLine(_ direction: FlowDirection) -> Bool
    func setInLine(_ direction: FlowDirection, _ value: Bool)

    /// It is this member's turn: it asks for its allowance and moves what it can.
    func mayMove(_ direction: FlowDirection)
}

/// Keeps one direction of a contract's streams on one loop within the contract's rate. Loop-owned.
///
/// A stream asks what it may move. While there is enough, the answer is one comparison. When the rate is used up, the stream
/// waits in line, its source is not read any further, and about ten times a second what has become free is dealt out to the line
/// in equal parts. Nothing is dropped, and there is one timer for the line, none for a stream.
final class Pacer {
    private let loop: Loop
    private let rate: SharedRate
    private let direction: FlowDirection
    /// Bytes drawn from the shared rate and not moved yet.
    private var drawn = 0
    private var line: [any RateMember] = []
    private var timer: Timer?
    /// The stream whose turn it is, and what is left of its part.
    private var turn: (any RateMember)?
    private var part = 0
    /// Moments at which a stream had to wait, since the start.
    private(set) var delays: Int64 = 0

    /// A part is at least this many bytes, so that a long line at a low rate does not move single bytes.
    private static let smallestPart = 1024
    /// A portion drawn ahead: 20 ms of the rate, at least 16 KiB.
    private static let smallestPortion = 16 << 10
    /// Rounds of dealing out in one go, while some take less than their part.
    private static let rounds = 4

    init(loop: Loop, rate: SharedRate, direction: FlowDirection) {
        self.loop = loop
        self.rate = rate
        self.direction = direction
    }

    /// Bytes that the stream may move now; 0 puts it in line.
    @inline(__always)
    func allowance(for stream: any RateMember) -> Int {
        if turn == nil, line.isEmpty, drawn > 0 { return drawn }
        return slowAllowance(for: stream)
    }

    private func slowAllowance(for stream: any RateMember) -> Int {
        if let turn {
            if turn === stream, part > 0 { return part }
        } else if line.isEmpty {
            draw()
            if drawn > 0 { return drawn }
        }
        wait(stream)
        return 0
    }

    /// The stream moved so many bytes.
    @inline(__always)
    func charge(_ count: Int) {
        drawn -= count
        if turn != nil { part -= count }
    }

    /// Puts the stream at the end of the line.
    func wait(_ stream: any RateMember) {
        guard !stream.isInLine(direction) else { return }
        stream.setInLine(direction, true)
        line.append(stream)
        rate.wait(1)
        delays += 1
        if timer == nil, turn == nil { setTimer() }
    }

    private func setTimer() {
        timer = loop.after(.zero) { [weak self] in self?.deal() }
    }

    private func draw() {
        let portion = max(Self.smallestPortion, Int(rate.bitsPerSecond / 8 / 50))
        // With a line, all that came free meanwhile is dealt out, but nothing is hoarded for it.
        let want = line.isEmpty ? portion : max(0, portion * 16 - drawn)
        drawn += rate.draw(want, waiting: line.count, at: loop.now)
    }

    private func deal() {
        timer = nil
        draw()
        for _ in 0..<Self.rounds where drawn > 0 && !line.isEmpty { dealOnce() }
        if !line.isEmpty, timer == nil { setTimer() }
    }

    private func dealOnce() {
        let waiting = line
        line = []
        var served = 0
        while served < waiting.count, drawn > 0 {
            let stream = waiting[served]
            let share = max(Self.smallestPart, drawn / (waiting.count - served))
            served += 1
            stream.setInLine(direction, false)
            guard !stream.isClosed else { continue }
            turn = stream
            part = min(share, drawn)
            stream.mayMove(direction)
        }
        turn = nil
        rate.wait(-served)
        // First come, first served: those without a part stand before those who came back.
        line.insert(contentsOf: waiting[served...], at: 0)
    }

    deinit { rate.wait(-line.count) }
}
