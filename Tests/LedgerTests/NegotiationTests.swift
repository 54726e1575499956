import TestSupport
import Testing

@testable import Ledger

@Suite("Request fields that choose an answer")
struct NegotiationTests {
    @Test(
        "gzip is what the fields ask for, the named coding before the star",
        arguments: [
            ([], false), (["gzip"], true), (["GZip"], true), (["x-gzip"], true),
            (["deflate, gzip;q=1.0, *;q=0.5"], true),
            (["gzip;q=0"], false), (["gzip; Q=0.000"], false), (["*"], true), (["*;q=0"], false),
            (["gzip;q=0, *"], false), (["identity", "gzip;q=0.001"], true), (["br"], false), (["gzipped"], false),
            ([""], false), ([","], false), (["gzip;q=nonsense"], false), (["gzip;level=9"], true),
        ] as [([String], Bool)]
    )
    func gzip(fields: [String], isWanted: Bool) {
        #expect(Negotiation.acceptsGzip(fields) == isWanted)
    }

    @Test("compressed bundles are kept up to their bytes, and let go in the order of their last use")
    func shelf() async throws {
        func bundle(_ number: Int) -> [UInt8] {
            (0..<20_000).map { UInt8(truncatingIfNeeded: ($0 / 40) * (number + 3)) }
        }
        let paths = (0..<3).map { TilePath(.entries, index: UInt64($0), width: 256) }
        let sizes = try (0..<3).map { try #require(ZlibGzip.compress(bundle($0))).count }
        let shelf = CompressedBundles(capacity: sizes[0] + max(sizes[1], sizes[2]))
        for number in 0..<2 { #expect(await shelf.compress(bundle(number), of: paths[number]) != nil) }
        #expect(shelf.kept(paths[0])?.count == sizes[0])
        #expect(await shelf.compress(bundle(2), of: paths[2]) != nil)
        #expect(shelf.kept(paths[0]) != nil && shelf.kept(paths[1]) == nil && shelf.kept(paths[2]) != nil)
        // What does not shrink, or is short anyway, is better sent as it is.
        var generator = SplitMix64(seed: 7)
        let noise = (0..<4096).map { _ in UInt8.random(in: 0...255, using: &generator) }
        #expect(await shelf.compress(noise, of: paths[1]) == nil)
        #expect(await shelf.compress(Array(bundle(0).prefix(100)), of: paths[1]) == nil)
    }
}
