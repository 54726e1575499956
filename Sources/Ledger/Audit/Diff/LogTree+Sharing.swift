import Contracts

extension LogTree {
    /// How many first entries two logs share, proven in both: the first that differs is the next one.
    ///
    /// Asks each log for a few tiles for each level of the tree, however long the logs are.
    static func shared(_ a: inout LogTree, _ b: inout LogTree) async throws -> UInt64 {
        let count = min(a.size, b.size)
        if try await a.root(at: count) == b.root(at: count) { return count }
        guard let index = try await firstDifference(count, &a, &b) else {
            throw AuditFailure(.entriesMismatch, "the tiles of the two logs agree although their roots do not")
        }
        guard try await a.root(at: index) == b.root(at: index), try await a.leaf(at: index) != b.leaf(at: index) else {
            throw AuditFailure(
                .entriesMismatch,
                "the tiles of one of the logs are not those of its checkpoint",
                index: index
            )
        }
        return index
    }

    private enum Absent: Error {
        case a(TilePath)
        case b(TilePath)
    }

    private static func firstDifference(_ count: UInt64, _ a: inout LogTree, _ b: inout LogTree) async throws -> UInt64?
    {
        while true {
            let (left, right) = (a.reader, b.reader)
            do {
                return try Proofs.firstDifference(
                    size: count,
                    { level, index in
                        do { return try left(level, index) } catch let missing as TileReader.Missing {
                            throw Absent.a(missing.path)
                        }
                    },
                    { level, index in
                        do { return try right(level, index) } catch let missing as TileReader.Missing {
                            throw Absent.b(missing.path)
                        }
                    }
                )
            } catch Absent.a(let path) {
                try await a.fetch(path)
            } catch Absent.b(let path) {
                try await b.fetch(path)
            }
        }
    }
}
