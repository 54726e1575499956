import Contracts
import Foundation
import TestSupport

/// A fixture pack (section 13), as far as the fold needs it.
struct FoldPack {
    struct Prefix {
        var size: UInt64
        var outcomeRoot: Digest
        var stateRoot: Digest
        var time: Timestamp
    }

    struct RouteDigest {
        var height: UInt64
        var node: Identifier
        var digest: Digest
    }

    struct Tampered {
        var after: UInt64
        var envelope: [UInt8]
        var expect: String
        var name: String
    }

    enum Failure: Error { case malformed(String) }

    /// The packs of the project; each name is a folder.
    static let names = ["public", "public-upgrade", "random", "farmer", "user", "rotation"]

    var leaves: [[UInt8]]
    /// Lines of outcomes.jsonl.
    var outcomes: [String]
    /// Lines of state.txt.
    var state: [String]
    var final: Prefix
    var isUnsupported: Bool
    var codes: [String: Int]
    var prefixes: [Prefix]
    var routes: [RouteDigest]
    var tampered: [Tampered]

    init(named name: String) throws {
        let folder = VectorFiles.fixture("packs").appending(path: name)
        func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: folder.appending(path: path))) }
        func lines(_ path: String) throws -> [String] {
            try bytes(path).split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
        }
        func json(_ path: String) throws -> Any {
            try JSONSerialization.jsonObject(with: Data(contentsOf: folder.appending(path: path)))
        }
        outcomes = try lines("outcomes.jsonl")
        state = try lines("state.txt")
        let expect = try Fields(json("expect.json"))
        final = try Prefix(expect)
        isUnsupported = expect.fields["unsupported"] as? Bool ?? false
        codes = try expect.value("codes")
        prefixes = try expect.list("prefixes").map(Prefix.init)
        routes = try expect.list("routes").map { fields in
            RouteDigest(
                height: try fields.number("height"),
                node: try fields.digest("node"),
                digest: try fields.digest("digest")
            )
        }
        tampered = try ((json("tampered.json") as? [Any]) ?? []).map { item in
            let fields = try Fields(item)
            guard let envelope = Data(base64Encoded: try fields.value("envelope") as String) else {
                throw Failure.malformed("envelope")
            }
            return Tampered(
                after: try fields.number("after"),
                envelope: [UInt8](envelope),
                expect: try fields.value("expect"),
                name: try fields.value("name")
            )
        }
        let checkpoint = try lines("checkpoint")
        guard checkpoint.count > 1, let count = Int(checkpoint[1]) else { throw Failure.malformed("checkpoint") }
        leaves = []
        while leaves.count < count {
            let number = leaves.count / 256
            let width = min(256, count - leaves.count)
            let path = String(format: "tile/entries/%03d", number) + (width < 256 ? ".p/\(width)" : "")
            leaves += try Self.entries(of: bytes(path))
        }
    }

    /// Splits a bundle: a big-endian length of two bytes before each leaf.
    private static func entries(of bundle: [UInt8]) throws -> [[UInt8]] {
        var entries: [[UInt8]] = []
        var rest = bundle[...]
        while !rest.isEmpty {
            guard rest.count >= 2 else { throw Failure.malformed("bundle") }
            let length = rest.prefix(2).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(2)
            guard rest.count >= length else { throw Failure.malformed("bundle") }
            entries.append([UInt8](rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return entries
    }
}

private struct Fields {
    var fields: [String: Any]

    init(_ value: Any) throws {
        guard let fields = value as? [String: Any] else { throw FoldPack.Failure.malformed("object") }
        self.fields = fields
    }

    func value<Value>(_ name: String) throws -> Value {
        guard let value = fields[name] as? Value else { throw FoldPack.Failure.malformed(name) }
        return value
    }

    func number(_ name: String) throws -> UInt64 { UInt64(try value(name) as Int) }

    func digest(_ name: String) throws -> Digest {
        guard let digest = Digest(hex: try value(name)) else { throw FoldPack.Failure.malformed(name) }
        return digest
    }

    func list(_ name: String) throws -> [Fields] { try (value(name) as [Any]).map(Fields.init) }
}

extension FoldPack.Prefix {
    fileprivate init(_ fields: Fields) throws {
        self.init(
            size: try fields.number("size"),
            outcomeRoot: try fields.digest("outcome_root"),
            stateRoot: try fields.digest("state_root"),
            time: Timestamp(try fields.number("time"))
        )
    }
}
