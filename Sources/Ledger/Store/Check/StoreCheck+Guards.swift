internal import Contracts
internal import GRDB

extension StoreCheck {
    /// Both sign guards: neither is behind a kept checkpoint, ahead of the log, or on another root.
    mutating func checkGuards(_ replay: CheckedReplay) async throws {
        let rows = try await reader.read { database in
            try Row.fetchAll(database, sql: "SELECT size, root FROM sign_guard").map { row in
                (size: row.storedNumber("size"), root: row.storedBytes("root"))
            }
        }
        guard rows.count <= 1 else { throw StoreFault("sign_guard", nil, "guard.rows", "it has \(rows.count) rows") }
        if let row = rows.first {
            guard let size = row.size, let root = row.root.flatMap({ Digest($0) }) else {
                throw StoreFault("sign_guard", nil, "guard.form", "it is no size and root")
            }
            report.guardedSize = size
            try await check(SignedTree(size: size, root: root), in: "sign_guard", replay)
        } else if let newest = replay.newestCheckpoint {
            throw StoreFault("sign_guard", nil, "guard.missing", "a checkpoint of size \(newest.size) was signed")
        }
        switch guardFile {
        case .missing: break
        case .malformed: throw StoreFault(SignGuardFile.name, nil, "guard.form", "neither of its two records holds")
        case .tree(let tree): try await check(tree, in: SignGuardFile.name, replay)
        }
    }

    private func check(_ tree: SignedTree, in place: String, _ replay: CheckedReplay) async throws {
        let size = report.size
        guard tree.size <= size else {
            throw StoreFault(
                place,
                tree.size,
                "guard.ahead",
                "size \(tree.size) was signed and the log has \(size) entries: it is an older copy; see `gw-node ledger recover`"
            )
        }
        if place == "sign_guard", let newest = replay.newestCheckpoint, tree.size < newest.size {
            throw StoreFault(place, tree.size, "guard.behind", "a checkpoint of size \(newest.size) was signed")
        }
        let root = try await reader.read { database in try LedgerStore.root(at: tree.size, in: database) }
        guard root == tree.root else {
            throw StoreFault(place, tree.size, "guard.root", "the entries before it give another root")
        }
    }
}
