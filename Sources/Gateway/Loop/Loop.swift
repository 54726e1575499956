internal import CLinux
internal import Glibc

/// An event loop: one thread, one epoll set, everything registered with it touched by that thread only.
///
/// A turn is: wait, run submitted work, deliver events (edge-triggered, armed once for both directions), under load those
/// that came meanwhile too, fire timers, one pass of the run queue, the flush hooks, and last the grave, where handlers removed in
/// this turn are released.
@safe final class Loop: @unchecked Sendable {
    /// Bytes a flow may move in one turn before it waits in the run queue.
    static let turnBudget = 2 << 20
    /// Size of the shared read buffers: what one pass reads, encrypts and writes stays within the second-level cache of a core.
    static let scratchSize = 256 << 10
    /// Size of the buffer for datagrams, which is cut into slots of the longest one.
    static let datagramScratchSize = 1 << 20
    /// How often a turn under load asks for what came meanwhile before it writes.
    private static let gatherRounds = 3
    /// Events of one turn: submitted work waits for no more than these, however many sockets are ready.
    private static let turnEvents = 128

    /// The clock as read at the start of this turn.
    private(set) var now: MonotonicNanoseconds
    /// Bytes kept for stuck destinations.
    var stuck: StuckBudget
    /// Bytes by which the windows of this loop's streams grew beyond their start, and their limit.
    var windowGrowth = 0
    var windowGrowthLimit = 256 << 20
    /// Told now and then how much of a processor the loop uses, in thousandths; called on the loop, set before it starts.
    var onLoad: ((Int) -> Void)?
    let pool = BufferPool()
    /// Plaintext of legs passes here; valid within one read.
    let scratch: UnsafeMutableRawPointer
    /// Frames of tunnel sessions pass here, apart from `scratch`, because their delivery may read legs.
    let frameScratch: UnsafeMutableRawPointer
    /// Ciphertext as read from a socket; consumed before the leg is left.
    let cipherScratch: UnsafeMutableRawPointer
    /// The datagrams of one call.
    let datagramScratch: UnsafeMutableRawPointer

    private let epoll: Int32
    private let wake: Int32
    private let wheel: TimerWheel
    private var table = HandlerTable()
    private var sweepTime: MonotonicNanoseconds
    private var sweepsLeft = 0
    private var runQueue: [Handler] = []
    private var flushQueue: [Handler] = []
    private var grave: [Handler] = []
    private var isStopping = false
    private let thread = Lock(pthread_t())
    private let inbox = Lock(Inbox())

    private struct Inbox {
        var work: [@Sendable () -> Void] = []
        var isStopped = false
        var stopWaiters: [CheckedContinuation<Void, Never>] = []
    }

    /// Makes a loop; `start` runs it on a thread of its own. `stuckLimit` in bytes.
    init(stuckLimit: Int = 256 << 20) throws {
        epoll = epoll_create1(Int32(WEBGW_SOCK_CLOEXEC))
        guard epoll >= 0 else { throw SocketError("epoll_create1") }
        wake = eventfd(0, Int32(WEBGW_SOCK_CLOEXEC | WEBGW_SOCK_NONBLOCK))
        guard wake >= 0 else {
            let error = SocketError("eventfd")
            close(epoll)
            throw error
        }
        now = monotonicNow()
        sweepTime = now
        wheel = TimerWheel(now: now)
        stuck = StuckBudget(limit: stuckLimit)
        unsafe scratch = .allocate(byteCount: Self.scratchSize, alignment: 4096)
        unsafe frameScratch = .allocate(byteCount: Self.scratchSize, alignment: 4096)
        unsafe cipherScratch = .allocate(byteCount: Self.scratchSize, alignment: 4096)
        unsafe datagramScratch = .allocate(byteCount: Self.datagramScratchSize, alignment: 4096)
        var event = unsafe epoll_event(events: Events.readable.rawValue, data: epoll_data_t(u64: 0))
        unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event)
    }

    deinit {
        close(epoll)
        close(wake)
        unsafe scratch.deallocate()
        unsafe frameScratch.deallocate()
        unsafe cipherScratch.deallocate()
        unsafe datagramScratch.deallocate()
    }

    // MARK: From any thread

    /// Runs the loop on a new thread until `stop`.
    func start(name: String = "loop") {
        var identifier = pthread_t()
        let argument = unsafe Unmanaged.passRetained(self).toOpaque()
        let status = unsafe pthread_create(&identifier, nil, { unsafe Loop.main($0) }, argument)
        precondition(status == 0, "pthread_create failed: \(status)")
        unsafe webgw_thread_name(identifier, String(name.prefix(15)))
        pthread_detach(identifier)
    }

    /// Queues work for the loop's thread; false, and the work is dropped, once the loop has stopped.
    @discardableResult
    func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        let (accepted, isFirst) = inbox.withLock { inbox -> (Bool, Bool) in
            guard !inbox.isStopped else { return (false, false) }
            inbox.work.append(work)
            return (true, inbox.work.count == 1)
        }
        if isFirst { wakeUp() }
        return accepted
    }

    /// Runs a body on the loop and returns its result; nil once the loop has stopped.
    func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result? {
        await withCheckedContinuation { continuation in
            if !submit({ continuation.resume(returning: body()) }) { continuation.resume(returning: nil) }
        }
    }

    /// Closes everything registered and ends the thread; returns when it has ended.
    func stop() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isStopped = inbox.withLock { inbox in
                if !inbox.isStopped { inbox.stopWaiters.append(continuation) }
                return inbox.isStopped
            }
            if isStopped {
                continuation.resume()
            } else {
                submit { self.isStopping = true }
            }
        }
    }

    /// True on the loop's own thread.
    var isCurrent: Bool { thread.withLock { pthread_equal($0, pthread_self()) != 0 } }

    private func wakeUp() {
        var one: UInt64 = 1
        unsafe write(wake, &one, 8)
    }

    // MARK: On the loop

    /// Registers a socket with its handler, for both directions, edge-triggered, once. The first call makes the loop own
    /// the handler. `second` picks `readySecond`.
    func add(_ descriptor: Int32, _ handler: Handler, second: Bool = false) throws(SocketError) {
        let edge: UInt32 = 1 << 31
        let interest: Events = [.readable, .writable, .peerFinished]
        try add(descriptor, handler, interest.rawValue | edge, second: second)
    }

    /// Registers a listening socket that other loops may listen on too: one of them is woken.
    func add(listener descriptor: Int32, _ handler: Handler) throws(SocketError) {
        let exclusive: UInt32 = 1 << 28
        try add(descriptor, handler, Events.readable.rawValue | exclusive, second: false)
    }

    private func add(_ descriptor: Int32, _ handler: Handler, _ events: UInt32, second: Bool) throws(SocketError) {
        let isNew = handler.place < 0
        own(handler)
        let token = table.token(of: handler, second: second)
        var event = unsafe epoll_event(events: events, data: epoll_data_t(u64: token))
        guard unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
            let error = SocketError("epoll_ctl")
            if isNew { remove(handler) }
            throw error
        }
    }

    /// Takes a descriptor out of the epoll set without closing it. Closing does it by itself.
    func detach(_ descriptor: Int32) {
        var event = unsafe epoll_event()
        unsafe epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
    }

    /// Makes the loop own a handler without a socket, so that it is swept and told of the stop.
    func own(_ handler: Handler) {
        guard handler.place < 0 else { return }
        table.insert(handler)
    }

    /// Ends the loop's ownership; the handler lives to the end of the turn. Its sockets must be closed by then.
    func remove(_ handler: Handler) {
        guard handler.place >= 0 else { return }
        table.remove(handler)
        grave.append(handler)
    }

    /// Calls `again()` in the run queue of this turn, or of the next one when called from the run queue.
    func again(_ handler: Handler) {
        guard !handler.isInRunQueue else { return }
        handler.isInRunQueue = true
        runQueue.append(handler)
    }

    /// Calls `flush()` at the end of this turn.
    func later(_ handler: Handler) {
        guard !handler.isInFlushQueue else { return }
        handler.isInFlushQueue = true
        flushQueue.append(handler)
    }

    /// Calls the body once after a time, rounded up to 100 ms.
    @discardableResult
    func after(_ duration: Duration, _ body: @escaping () -> Void) -> Timer {
        wheel.add(at: now &+ duration.nanoseconds, body)
    }

    /// Handlers registered now.
    var handlerCount: Int { table.count }

    // MARK: The turn

    private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        let loop = unsafe Unmanaged<Loop>.fromOpaque(argument!).takeRetainedValue()
        // A write into a closed pipe or socket by splice raises SIGPIPE; here it is only an error code.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGPIPE)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
        loop.turns()
        return nil
    }

    private func turns() {
        thread.withLock { $0 = pthread_self() }
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.turnEvents)
        defer { unsafe events.deallocate() }
        var gauge = LoadGauge(now: now, used: webgw_thread_time())
        var policy = BatchPolicy()
        while !isStopping {
            let count = unsafe epoll_wait(epoll, events, Int32(Self.turnEvents), timeout)
            now = monotonicNow()
            if gauge.isDue(now) {
                let load = gauge.read(now, used: webgw_thread_time())
                policy.follow(load)
                onLoad?(load)
            }
            unsafe deliver(events, count)
            if count > 1 || policy.isBusy { unsafe gather(events, Self.turnEvents - max(0, Int(count))) }
            wheel.advance(to: now)
            sweep()
            endTurn()
        }
        shutDown()
    }

    /// Under load more has come by now: what it gives to flush leaves in the same writes.
    private func gather(_ events: UnsafeMutablePointer<epoll_event>, _ room: Int) {
        var room = room
        for _ in 0..<Self.gatherRounds where room > 0 && !flushQueue.isEmpty {
            let count = unsafe epoll_wait(epoll, events, Int32(room), 0)
            if count <= 0 { return }
            room -= Int(count)
            unsafe deliver(events, count)
        }
    }

    private var timeout: Int32 {
        if !runQueue.isEmpty || sweepsLeft > 0 { return 0 }
        var milliseconds: Int32 = -1
        if table.count > 0 {
            let next = sweepTime &+ Self.sweepInterval
            milliseconds = next <= now ? 0 : Int32((next - now + 999_999) / 1_000_000)
        }
        if let due = wheel.timeout(from: now) { milliseconds = milliseconds < 0 ? due : min(milliseconds, due) }
        return milliseconds
    }

    /// Delivers as many events as `epoll_wait` said.
    @inline(__always)
    private func deliver(_ events: UnsafeMutablePointer<epoll_event>, _ count: Int32) {
        let occupied = 0..<max(0, Int(count))
        if occupied.contains(where: { unsafe events[$0].data.u64 == 0 }) { clearWake() }
        // Submitted work goes first, told by an event or not: a request of this very turn meets the newest route table.
        takeWork()
        for index in occupied {
            let event = unsafe events[index]
            let token = unsafe event.data.u64
            if token != 0 { deliver(unsafe Events(rawValue: event.events), token) }
        }
    }

    @inline(__always)
    private func deliver(_ events: Events, _ token: UInt64) {
        // Nil: removed earlier in this turn, or before.
        guard let handler = table.handler(token) else { return }
        if token & 1 == 0 { handler.ready(events) } else { handler.readySecond(events) }
    }

    /// Before the work is taken: what is submitted after that tells anew.
    private func clearWake() {
        var counter: UInt64 = 0
        unsafe read(wake, &counter, 8)
    }

    private func takeWork() {
        let work = inbox.withLock { inbox in
            let work = inbox.work
            inbox.work = []
            return work
        }
        for item in work { item() }
    }

    private static let sweepInterval: UInt64 = 200_000_000
    /// Handlers that are swept in one turn: of ten thousand, each visit meets memory that no cache has.
    private static let turnSweeps = 128

    /// Visits a fifth of the table every 200 ms, in as many turns as it takes, so that each handler is swept about once a second.
    private func sweep() {
        if now >= sweepTime &+ Self.sweepInterval {
            sweepTime = now
            sweepsLeft = (table.capacity + 4) / 5
        }
        let count = min(sweepsLeft, Self.turnSweeps)
        sweepsLeft -= count
        for _ in 0..<count { table.next()?.sweep(now) }
    }

    private func endTurn() {
        if !runQueue.isEmpty {
            let queue = runQueue
            runQueue = []
            runQueue.reserveCapacity(queue.count)
            for handler in queue {
                handler.isInRunQueue = false
                if handler.place >= 0 { handler.again() }
            }
        }
        while !flushQueue.isEmpty {
            let queue = flushQueue
            flushQueue = []
            for handler in queue {
                handler.isInFlushQueue = false
                if handler.place >= 0 { handler.flush() }
            }
        }
        if !grave.isEmpty {
            // Releasing may run deinitializers that remove more.
            let dead = grave
            grave = []
            _ = consume dead
        }
    }

    private func shutDown() {
        var rounds = 0
        repeat {
            // Telling one may end others, or register new ones: those come in the next round.
            for handler in table.all where handler.place >= 0 {
                handler.loopStops()
                remove(handler)
            }
            endTurn()
            takeWork()
            rounds += 1
        } while table.count > 0 && rounds < 100
        wheel.removeAll()
        let (work, waiters) = inbox.withLock { inbox in
            inbox.isStopped = true
            defer {
                inbox.work = []
                inbox.stopWaiters = []
            }
            return (inbox.work, inbox.stopWaiters)
        }
        for item in work { item() }
        endTurn()
        for waiter in waiters { waiter.resume() }
    }
}
