/// The handlers that a loop owns, each at a place that epoll's events name together with a generation.
///
/// Events name places and not addresses. A descriptor that a child process still holds between fork and exec keeps its
/// registration after this process closed it (epoll(7), question 6); what it then reports names a generation that is over.
struct HandlerTable {
    private var handlers: [Handler?] = []
    private var generations: [UInt32] = []
    private var vacant: [Int32] = []
    private var cursor = 0
    private(set) var count = 0

    /// Places, taken and vacant.
    var capacity: Int { handlers.count }

    mutating func insert(_ handler: Handler) {
        let place: Int32
        if let free = vacant.popLast() {
            place = free
            handlers[Int(free)] = handler
        } else {
            place = Int32(handlers.count)
            handlers.append(handler)
            generations.append(1)
        }
        handler.place = place
        count += 1
    }

    /// Takes the handler out; its place begins a new generation.
    mutating func remove(_ handler: Handler) {
        let place = Int(handler.place)
        handler.place = -1
        handlers[place] = nil
        generations[place] = generations[place] == .max ? 1 : generations[place] + 1
        vacant.append(Int32(place))
        count -= 1
    }

    /// What events of the handler's sockets carry; never 0.
    func token(of handler: Handler, second: Bool = false) -> UInt64 {
        let place = UInt64(handler.place)
        return UInt64(generations[Int(place)]) << 32 | place << 1 | (second ? 1 : 0)
    }

    /// The handler that a token names; nil when it is gone.
    @inline(__always)
    func handler(_ token: UInt64) -> Handler? {
        let place = Int(token & 0xFFFF_FFFF) >> 1
        guard place < handlers.count, generations[place] == UInt32(truncatingIfNeeded: token >> 32) else { return nil }
        return handlers[place]
    }

    /// The next handler of an endless round over all of them; nil at a vacant place.
    mutating func next() -> Handler? {
        if cursor >= handlers.count { cursor = 0 }
        guard cursor < handlers.count else { return nil }
        cursor += 1
        return handlers[cursor - 1]
    }

    /// All handlers, as a copy.
    var all: [Handler] { handlers.compactMap { $0 } }
}
