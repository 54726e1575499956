internal import Contracts
internal import Foundation
internal import GRDB

/// Writes the committed state of a ledger as snapshot files.
///
/// The rows are read once, in one read transaction beside the server, and sorted into 256 files on the disk; then each
/// is hashed and written in its final form. Memory holds one chunk and the write buffers, whatever the size of the state.
enum SnapshotProducer {
    /// Rows of one chunk that wait to be written to its file, in bytes.
    private static let bufferBytes = 64 << 10

    /// Makes the snapshot of the committed head and returns its digests.
    static func run(_ store: LedgerStore, origin: String, into folder: SnapshotFolder) async throws -> StateNote {
        let draft = try folder.beginDraft()
        let head = try await store.read { database in
            let head = try LedgerStore.head(database)
            var spill = try Spill(in: draft)
            let rows = try Row.fetchCursor(database, sql: "SELECT key, value FROM state ORDER BY key")
            while let row = try rows.next() {
                let key: String = row["key"]
                let value: Data = row["value"]
                try spill.append(key: Array(key.utf8), value: value)
            }
            try spill.finish()
            return head
        }
        var roots: [Digest] = []
        for number in 0..<StateChunk.count {
            try Task.checkCancellation()
            let chunk = try Spill.chunk(number, in: draft)
            try write(chunk.bytes, "\(draft)/\(SnapshotPath.name(ofChunk: number))")
            roots.append(chunk.root)
        }
        let proof = SnapshotProof(chunkRoots: roots, outcomes: head.outcomes)
        let note = StateNote(
            origin: origin,
            size: head.size,
            root: head.root,
            outcomeRoot: head.outcomes.root,
            stateRoot: proof.stateRoot
        )
        try write(proof.bytes, "\(draft)/proof")
        try write(note.text, "\(draft)/state")
        try folder.finishDraft(draft, size: note.size)
        return note
    }

    /// A file of a draft: nobody sees it before the whole folder is renamed, which comes after all syncs.
    private static func write(_ bytes: [UInt8], _ path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        try DurableFiles.synchronise(path)
    }

    /// The rows of the state sorted into one file for each chunk, each row as a chunk holds it.
    private struct Spill {
        private let folder: String
        private var buffers = [Data](repeating: Data(), count: StateChunk.count)
        private var files: [FileHandle] = []

        init(in folder: String) throws {
            self.folder = folder
            for number in 0..<StateChunk.count {
                let path = Self.path(number, in: folder)
                _ = FileManager.default.createFile(atPath: path, contents: nil)
                files.append(try FileHandle(forWritingTo: URL(fileURLWithPath: path)))
            }
        }

        private static func path(_ number: Int, in folder: String) -> String {
            "\(folder)/rows-\(SnapshotPath.name(ofChunk: number))"
        }

        mutating func append(key: [UInt8], value: Data) throws {
            let number = StateChunk.number(ofKey: key)
            buffers[number].append(word: key.count)
            buffers[number].append(contentsOf: key)
            buffers[number].append(word: value.count)
            buffers[number].append(value)
            if buffers[number].count >= bufferBytes { try flush(number) }
        }

        mutating func finish() throws {
            for number in files.indices {
                try flush(number)
                try files[number].close()
            }
        }

        private mutating func flush(_ number: Int) throws {
            try files[number].write(contentsOf: buffers[number])
            buffers[number].removeAll(keepingCapacity: true)
        }

        /// Takes the rows of a chunk back; its file is removed.
        static func chunk(_ number: Int, in folder: String) throws -> StateChunk {
            let path = path(number, in: folder)
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            try FileManager.default.removeItem(atPath: path)
            var rows: [(key: [UInt8], value: [UInt8])] = []
            var position = 0
            func field() -> [UInt8] {
                let length = (0..<4).reduce(0) { $0 << 8 | Int(bytes[position + $1]) }
                defer { position += 4 + length }
                return Array(bytes[position + 4..<position + 4 + length])
            }
            while position < bytes.count { rows.append((field(), field())) }
            return StateChunk(number: number, rows: rows)
        }
    }
}

extension Data {
    fileprivate mutating func append(word: Int) {
        for shift in [24, 16, 8, 0] { append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
}
