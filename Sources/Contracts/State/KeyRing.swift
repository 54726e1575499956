import HashTreeCollections

/// Every public key that a state knows or knew, by its key id: what signatures are verified with ahead of the fold.
///
/// A key id is the hash of its key, so an old ring gives no wrong answer, only fewer. Holding a ring beside a state that
/// goes on folding costs less than holding the state: only this one map has to be copied where it changes.
public struct KeyRing: Sendable {
    var keys: TreeDictionary<KeyID, PublicKey>

    /// The key with this id; nil when no entry brought it.
    public subscript(id: KeyID) -> PublicKey? { keys[id] }
}

extension ContractState {
    /// The keys as of now.
    public var keyRing: KeyRing { KeyRing(keys: indexes.keyring) }
}

extension ParsedEntry {
    /// Keys that the entry brings into the ledger if the fold accepts it, with their ids.
    public var announcedKeys: [(id: KeyID, key: PublicKey)] {
        guard case .entry(let entry) = self else { return [] }
        if case .twinDelegate(let body) = entry.body {
            return [(body.key.keyID, body.key)]
        }
        return entry.body.announcedKeys.flatMap { Array(zip($0.ids, $0.keys)) }
    }
}
