public import Contracts

/// Every key that the ledger's key set ever held, in the order of their first appearance.
///
/// A key that was replaced still proves what it signed, so fork evidence is judged under all of them.
public struct KeyChain: Sendable, Equatable {
    /// The keys, each once.
    public private(set) var keys: [VerifierKey]

    /// A chain that holds nothing yet, or what was stored.
    public init(_ keys: [VerifierKey] = []) {
        self.keys = keys
    }

    /// Adds the keys of a key set that are new.
    public mutating func add(_ keySet: [VerifierKey]) {
        for key in keySet where !keys.contains(key) { keys.append(key) }
    }
}
