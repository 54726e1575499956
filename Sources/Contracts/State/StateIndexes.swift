import HashTreeCollections

/// What the fold looks up besides rows: functions of the rows, kept up to date with them, never hashed or stored.
struct StateIndexes: Sendable {
    /// Live names.
    var names: TreeDictionary<String, Identifier> = [:]
    /// Names of each twin.
    var nameCounts: TreeDictionary<Identifier, Int64> = [:]
    /// Live contracts that use each name.
    var nameUses: TreeDictionary<Identifier, Int64> = [:]
    var farmNames: TreeDictionary<String, Identifier> = [:]
    /// Live contracts of each twin.
    var contractCounts: TreeDictionary<Identifier, Int64> = [:]
    /// Live contracts that name each node among their gateways.
    var contractsByNode: TreeDictionary<Identifier, TreeSet<Identifier>> = [:]
    /// Contracts that have a status row at each node.
    var statusesByNode: TreeDictionary<Identifier, TreeSet<Identifier>> = [:]
    /// Live nodes of each name; node names are not unique.
    var nodesByName: TreeDictionary<String, TreeSet<Identifier>> = [:]
    var leases = Leases()
    var deadlines = Deadlines()
    /// Keys that the state knows or knew, for verdicts ahead. A key id fixes its key, so an old one does no harm.
    var keyring: TreeDictionary<KeyID, PublicKey> = [:]

    mutating func learn(_ keys: KeySet) {
        for (id, key) in zip(keys.ids, keys.keys) { keyring[id] = key }
    }
}

extension TreeDictionary where Value == Int64 {
    /// Adds to the count of a key; a count of zero is no entry.
    mutating func add(_ amount: Int64, to key: Key) {
        let count = self[key, default: 0] + amount
        self[key] = count == 0 ? nil : count
    }
}

extension TreeDictionary where Value == TreeSet<Identifier> {
    mutating func insert(_ member: Identifier, at key: Key) {
        self[key, default: []].insert(member)
    }

    /// Removes a member; an empty set is no entry.
    mutating func remove(_ member: Identifier, at key: Key) {
        self[key, default: []].remove(member)
        if self[key]?.isEmpty == true { self[key] = nil }
    }
}
