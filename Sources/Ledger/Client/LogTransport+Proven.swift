internal import Contracts

extension LogTransport {
    /// The leaves of a bundle from the first source whose bytes have the proven hashes, each asked a second time past all
    /// caches. What one source does not have, or has wrong, another one may give.
    ///
    /// - Parameter hashes: the first hashes of the bundle, 1 to 256.
    /// - Throws: `LedgerRefusal`, of the last source.
    func leaves(bundle index: UInt64, provenBy hashes: [Digest]) async throws -> [[UInt8]] {
        let bundle = FetchedEntries.Bundle(index: index, width: hashes.count, skip: 0)
        var last = LedgerRefusal(.unreachable, code: "withholding", source: "", message: "no source has the entries")
        for source in sources {
            for isBypassingCaches in [false, true] {
                do {
                    let leaves = try await self.leaves(bundle, from: source, isBypassingCaches)
                    if leaves.map({ MerkleTree.leafHash($0) }) == hashes { return leaves }
                    last = LedgerRefusal(.entriesMismatch, source: source, "its bundle \(index) is not the log's")
                } catch let refusal as LedgerRefusal {
                    try Task.checkCancellation()
                    last = refusal
                }
            }
        }
        throw last
    }
}
