import Contracts
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("Files that become durable together, and rows that are merged on the way to a store")
struct FileBatchTests {
    private func read(_ folder: TemporaryFolder, _ name: String) -> String? {
        FileManager.default.contents(atPath: folder.path(name)).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("nothing has its name before the commit, everything after it, and the last of two with one name counts")
    func commits() throws {
        let folder = try TemporaryFolder()
        var batch = try FileBatch(root: folder.url.path)
        try batch.write(Array("one".utf8), "a/b/one")
        try batch.write(Array("two".utf8), "two")
        try batch.write(Array("two again".utf8), "two")
        #expect(batch.count == 3)
        #expect(read(folder, "a/b/one") == nil && read(folder, "two") == nil)
        try batch.commit()
        #expect(batch.count == 0)
        #expect(read(folder, "a/b/one") == "one")
        #expect(read(folder, "two") == "two again")
        try batch.write(Array("three".utf8), "a/b/one")
        try batch.commit()
        #expect(read(folder, "a/b/one") == "three")
        try batch.end()
        #expect(Set(DurableFiles.names(in: folder.url.path)) == ["a", "two"])
    }

    @Test("drafts that a crash left are gone with the next batch, and make no folder a foreign one")
    func crash() throws {
        let folder = try TemporaryFolder()
        var lost = try FileBatch(root: folder.url.path)
        try lost.write(Array("lost".utf8), "tile/0/000")
        #expect(!MirrorFolder(path: folder.url.path).isForeign)
        var batch = try FileBatch(root: folder.url.path)
        try batch.commit()
        try batch.end()
        #expect(DurableFiles.names(in: folder.url.path).isEmpty)
    }

    @Test("merged rows come in the order of their keys, whatever chunk they are of")
    func merged() {
        var generator = SystemRandomNumberGenerator()
        for count in [0, 1, 2, 17, 300] {
            let keys = (0..<count).map { "key-\($0)" }.shuffled(using: &generator)
            var chunks = [[MergedRows.Row]](repeating: [], count: 7)
            for key in keys { chunks[Int.random(in: 0..<7, using: &generator)].append((Array(key.utf8), [1])) }
            chunks = chunks.map { $0.sorted { $0.key.lexicographicallyPrecedes($1.key) } }
            #expect(MergedRows(chunks: chunks).map(\.key) == keys.sorted())
            let later = [StateChange(key: "later", value: nil)]
            let written = WrittenRows(attested: MergedRows(chunks: chunks), later: later)
            #expect(written.map(\.key) == keys.sorted() + ["later"])
        }
    }
}
