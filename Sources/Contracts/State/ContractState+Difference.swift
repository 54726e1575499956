extension ContractState {
    /// Keys of the rows that differ between two states of one ledger, and perhaps of some that do not.
    ///
    /// Found by the hash trees of both, whichever entries lie between them: costs by the difference, not by the size. Nil
    /// when one of them has no hash tree: then any row may differ.
    func changedRows(since old: ContractState) -> Set<RowKey>? {
        guard let unhashed, let before = old.unhashed else { return nil }
        var changed = Set(unhashed)
        changed.formUnion(before)
        for bucket in tree.bucketsThatDiffer(from: old.tree) {
            let (rows, before) = (tree.rows(inBucket: bucket), old.tree.rows(inBucket: bucket))
            for key in Self.keysThatDiffer(rows, before) {
                if let key = RowKey(String(decoding: key, as: UTF8.self)) { changed.insert(key) }
            }
        }
        return changed
    }

    /// Keys with different values in two lists that are ascending by key.
    private static func keysThatDiffer(_ rows: [StateTree.Row], _ others: [StateTree.Row]) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        var (index, other) = (0, 0)
        while index < rows.count || other < others.count {
            if index < rows.count, other < others.count, rows[index].key == others[other].key {
                if rows[index].value != others[other].value { keys.append(rows[index].key) }
                index += 1
                other += 1
            } else if other == others.count
                || index < rows.count && rows[index].key.lexicographicallyPrecedes(others[other].key)
            {
                keys.append(rows[index].key)
                index += 1
            } else {
                keys.append(others[other].key)
                other += 1
            }
        }
        return keys
    }
}
