internal import Contracts

extension LogTransport {
    /// The leaf hashes of a bundle from its hash tile: a thirtieth of the bytes, and enough to prove a long log before a
    /// leaf of it is fetched.
    ///
    /// A partial tile may be gone once a wider one exists; then the full one serves.
    func leafHashes(
        _ bundle: FetchedEntries.Bundle,
        from source: LedgerClient.Source,
        _ isBypassingCaches: Bool
    ) async throws -> [Digest] {
        var width = bundle.width
        var bytes: [UInt8]
        do throws(LedgerClientError) {
            bytes = try await tile(
                level: 0,
                index: bundle.index,
                width: width,
                from: source,
                isBypassingCaches: isBypassingCaches
            )
        } catch {
            guard error.code == .notFound, width < TilePath.fullWidth else { throw LedgerRefusal(error) }
            width = TilePath.fullWidth
            do throws(LedgerClientError) {
                bytes = try await tile(
                    level: 0,
                    index: bundle.index,
                    width: width,
                    from: source,
                    isBypassingCaches: isBypassingCaches
                )
            } catch {
                throw LedgerRefusal(error)
            }
        }
        guard let tile = HashTile(bytes, width: width) else {
            let what = "hash tile \(bundle.index) is not \(width) hashes"
            throw LedgerRefusal(.entriesMismatch, source: source, what)
        }
        return Array(tile.hashes[bundle.skip..<bundle.width])
    }
}
