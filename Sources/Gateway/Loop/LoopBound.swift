/// A value that belongs to one loop: the box may cross threads, the value is reached on the loop only.
final class LoopBound<Value>: @unchecked Sendable {
    let loop: Loop
    private let value: Value

    /// Wraps a value made on the loop's thread (or before the loop starts).
    init(_ value: Value, on loop: Loop) {
        self.loop = loop
        self.value = value
    }

    /// The value, on the loop's thread.
    var onLoop: Value {
        precondition(loop.isCurrent, "a loop-owned value was reached from another thread")
        return value
    }

    /// Queues work with the value; false once the loop has stopped.
    @discardableResult
    func submit(_ work: @escaping @Sendable (Value) -> Void) -> Bool {
        loop.submit { work(self.onLoop) }
    }

    /// Runs work with the value and returns its result; nil once the loop has stopped.
    func run<Result: Sendable>(_ work: @escaping @Sendable (Value) -> Result) async -> Result? {
        await loop.run { work(self.onLoop) }
    }
}
