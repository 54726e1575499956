internal import Contracts

/// A value that the members of a cluster keep in etcd: versioned, bound to one ledger, and checked as a whole.
///
/// Bytes: `WGC`, version 1, kind, ledger id (32), payload, SHA-256 over all of that (32). The sum finds what was cut,
/// mixed up or written by another program; it is no proof of anything against whoever can write to etcd. What a value
/// says about the log is recomputed from the leaves before it has an effect.
enum ClusterRecord: Sendable, Equatable {
    /// The genesis leaf, from which a new member begins.
    case genesis([UInt8])
    case head(Head)
    case batch(Batch)
    /// The last tree that a member was permitted to sign.
    case guarded(size: UInt64, root: Digest)
    case member(position: UInt64, url: String)

    /// The end of the log.
    struct Head: Sendable, Equatable {
        var size: UInt64
        var root: Digest
        var outcomeRoot: Digest

        init(size: UInt64, root: Digest, outcomeRoot: Digest) {
            self.size = size
            self.root = root
            self.outcomeRoot = outcomeRoot
        }

        init(_ head: LogHead) {
            self.init(size: head.size, root: head.root, outcomeRoot: head.outcomes.root)
        }
    }

    /// The entries between two heads.
    struct Batch: Sendable, Equatable {
        /// Who made it. Two members may make the same entries of what a client sent to both.
        var author: MemberID
        var base: Head
        var head: Head
        var leaves: [[UInt8]]
    }

    private static let mark = Array("WGC".utf8) + [1]
    private static let overhead = mark.count + 1 + 32 + 32

    private var kind: UInt8 {
        switch self {
        case .genesis: 0
        case .head: 1
        case .batch: 2
        case .guarded: 3
        case .member: 4
        }
    }

    // MARK: Writing

    func bytes(of ledger: Identifier) -> [UInt8] {
        var bytes = Self.mark + [kind]
        ledger.append(to: &bytes)
        switch self {
        case .genesis(let leaf):
            bytes += leaf
        case .head(let head):
            Self.append(head, to: &bytes)
        case .batch(let batch):
            bytes += batch.author.bytes
            Self.append(batch.base, to: &bytes)
            Self.append(batch.head, to: &bytes)
            bytes += EntryBundle.encode(batch.leaves)
        case .guarded(let size, let root):
            Self.append(size, to: &bytes)
            root.append(to: &bytes)
        case .member(let position, let url):
            Self.append(position, to: &bytes)
            bytes += Array(url.utf8)
        }
        Digest.sha256(bytes).append(to: &bytes)
        return bytes
    }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) { bytes.append(UInt8(number >> shift & 0xFF)) }
    }

    private static func append(_ head: Head, to bytes: inout [UInt8]) {
        append(head.size, to: &bytes)
        head.root.append(to: &bytes)
        head.outcomeRoot.append(to: &bytes)
    }

    // MARK: Reading

    /// Reads a value of this ledger.
    ///
    /// - Throws: `ClusterError.foreign` for anything else; such a value ends the member.
    init(_ bytes: [UInt8], of ledger: Identifier, at key: String) throws(ClusterError) {
        guard bytes.count >= Self.overhead, bytes.starts(with: Self.mark),
            Digest(bytes[(bytes.count - 32)...]) == Digest.sha256(Array(bytes[..<(bytes.count - 32)]))
        else { throw .foreign(key: key, reason: "it is no value of this version of gw-node, or it is damaged") }
        guard Digest(bytes[5..<37]) == ledger else { throw .foreign(key: key, reason: "it is of another ledger") }
        var reader = Reader(rest: bytes[37..<(bytes.count - 32)])
        let record: ClusterRecord? =
            switch bytes[4] {
            case 0: .genesis(Array(reader.rest))
            case 1: reader.head().map { .head($0) }
            case 2: reader.batch().map { .batch($0) }
            case 3: reader.guarded()
            case 4: reader.member()
            default: nil
            }
        guard let record else { throw .foreign(key: key, reason: "its fields are not those of its kind") }
        self = record
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func number() -> UInt64? {
            guard rest.count >= 8 else { return nil }
            defer { rest = rest.dropFirst(8) }
            return rest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        }

        mutating func digest() -> Digest? {
            guard rest.count >= 32 else { return nil }
            defer { rest = rest.dropFirst(32) }
            return Digest(rest.prefix(32))
        }

        private mutating func fields() -> Head? {
            guard let size = number(), let root = digest(), let outcomes = digest() else { return nil }
            return Head(size: size, root: root, outcomeRoot: outcomes)
        }

        mutating func head() -> Head? {
            guard let head = fields(), rest.isEmpty else { return nil }
            return head
        }

        mutating func batch() -> Batch? {
            guard let author = MemberID(rest.prefix(MemberID.length)) else { return nil }
            rest = rest.dropFirst(MemberID.length)
            guard let base = fields(), let head = fields(), base.size < head.size,
                head.size - base.size <= UInt64(rest.count) / 2,
                let leaves = EntryBundle.decode(Array(rest), count: Int(head.size - base.size))
            else { return nil }
            return Batch(author: author, base: base, head: head, leaves: leaves)
        }

        mutating func guarded() -> ClusterRecord? {
            guard let size = number(), let root = digest(), rest.isEmpty else { return nil }
            return .guarded(size: size, root: root)
        }

        mutating func member() -> ClusterRecord? {
            guard let position = number(), rest.count <= 2048 else { return nil }
            return .member(position: position, url: String(decoding: rest, as: UTF8.self))
        }
    }
}

/// The name of a member within its cluster: 8 random bytes.
struct MemberID: Sendable, Hashable, CustomStringConvertible {
    static let length = 8
    let bytes: [UInt8]

    init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        self.bytes = Array(bytes)
    }

    /// A new one.
    init() {
        bytes = (0..<Self.length).map { _ in UInt8.random(in: .min ... .max) }
    }

    /// 16 hex digits.
    var description: String { Hex.encode(bytes) }
}
