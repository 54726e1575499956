/// A large value behind one reference, so that nodes of persistent maps stay small and copy cheaply.
final class Boxed<Value: Sendable>: Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}
