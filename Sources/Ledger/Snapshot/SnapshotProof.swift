internal import Contracts

/// What lets a snapshot be checked chunk by chunk and continued: the roots of its 256 chunks and the right edge of the
/// tree of outcomes. Both are bound by the two roots of the state note, so nobody has to vouch for this file.
struct SnapshotProof: Sendable, Equatable {
    let chunkRoots: [Digest]
    let outcomes: CompactRange

    /// Longest proof, in bytes: 256 chunk roots and one hash for each bit of a size.
    static let longest = 32 * (StateChunk.count + 53)

    init(chunkRoots: [Digest], outcomes: CompactRange) {
        precondition(chunkRoots.count == StateChunk.count, "a state has 256 chunks")
        self.chunkRoots = chunkRoots
        self.outcomes = outcomes
    }

    /// Parses the proof of a note; nil when it is another size's, or does not lead to the note's roots.
    init?(_ bytes: [UInt8], for note: StateNote) {
        guard bytes.count == 32 * (StateChunk.count + note.size.nonzeroBitCount) else { return nil }
        let hashes = stride(from: 0, to: bytes.count, by: 32).compactMap { Digest(bytes[$0..<$0 + 32]) }
        chunkRoots = Array(hashes[..<StateChunk.count])
        guard
            let outcomes = CompactRange(size: note.size, hashes: Array(hashes[StateChunk.count...])),
            outcomes.root == note.outcomeRoot, StateChunk.stateRoot(chunkRoots) == note.stateRoot
        else { return nil }
        self.outcomes = outcomes
    }

    var stateRoot: Digest { StateChunk.stateRoot(chunkRoots) }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for hash in chunkRoots + outcomes.hashes { hash.append(to: &bytes) }
        return bytes
    }
}

/// A resource below `/snapshot/`, or the file of that path in a folder of static files.
enum SnapshotPath: Sendable, Hashable, CustomStringConvertible {
    /// The sizes there are, newest first; a hint.
    case sizes
    /// The state note with the signatures of a quorum of auditors.
    case manifest(UInt64)
    case proof(UInt64)
    case chunk(UInt64, Int)
    /// Where an auditor hands in a note.
    case notes(UInt64)

    /// Parses exactly the text that `description` writes.
    init?(_ path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.first == "snapshot" else { return nil }
        if parts.count == 2, parts[1] == "sizes" {
            self = .sizes
            return
        }
        guard parts.count == 3, let size = Decimal53.parse(parts[1].utf8), size > 0 else { return nil }
        switch parts[2] {
        case "manifest": self = .manifest(size)
        case "proof": self = .proof(size)
        case "notes": self = .notes(size)
        case let chunk:
            guard chunk.utf8.count == 2, let byte = Hex.decode(String(chunk)) else { return nil }
            self = .chunk(size, Int(byte[0]))
        }
    }

    var description: String {
        switch self {
        case .sizes: "snapshot/sizes"
        case .manifest(let size): "snapshot/\(size)/manifest"
        case .proof(let size): "snapshot/\(size)/proof"
        case .chunk(let size, let number): "snapshot/\(size)/\(Self.name(ofChunk: number))"
        case .notes(let size): "snapshot/\(size)/notes"
        }
    }

    /// Two hex digits.
    static func name(ofChunk number: Int) -> String { Hex.encode([UInt8(number)]) }
}

/// The text of `/snapshot/sizes`: for each snapshot `<size> attested` or `<size> open`, newest first.
struct SnapshotSizes: Sendable, Equatable {
    struct Line: Sendable, Equatable {
        var size: UInt64
        /// Whether it has its manifest; an open one waits for auditors.
        var isAttested: Bool
    }

    /// Longest text, in bytes, and most lines: a ledger keeps a few snapshots.
    static let longest = 4096
    static let mostLines = 64

    var lines: [Line]

    init(_ lines: [Line]) {
        self.lines = lines
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.count <= Self.longest, bytes.isEmpty || bytes.last == 0x0A else { return nil }
        var lines: [Line] = []
        for line in bytes.split(separator: 0x0A) {
            let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
            guard words.count == 2, let size = Decimal53.parse(words[0]), size > 0, lines.count < Self.mostLines else {
                return nil
            }
            let word = String(decoding: words[1], as: UTF8.self)
            guard word == "attested" || word == "open" else { return nil }
            lines.append(Line(size: size, isAttested: word == "attested"))
        }
        self.lines = lines
    }

    var bytes: [UInt8] {
        Array(lines.map { "\($0.size) \($0.isAttested ? "attested" : "open")\n" }.joined().utf8)
    }
}
