/// Body of `state.attest`, and the row `attest/<twin>`.
public struct Attestation: Hashable, Sendable {
    public var fold: Int64
    public var outcomeRoot: Digest
    public var root: Digest
    public var size: Int64
    public var stateRoot: Digest

    public init(fold: Int64 = 1, outcomeRoot: Digest, root: Digest, size: Int64, stateRoot: Digest) {
        self.fold = fold
        self.outcomeRoot = outcomeRoot
        self.root = root
        self.size = size
        self.stateRoot = stateRoot
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        fold = try reader.required("fold").integer(1...65_535)
        outcomeRoot = try reader.required("outcome_root").identifier()
        root = try reader.required("root").identifier()
        size = try reader.required("size").integer(1...largestInteger)
        stateRoot = try reader.required("state_root").identifier()
        try reader.end()
    }

    var json: JSONValue {
        .object([
            "fold": .integer(fold), "outcome_root": .identifier(outcomeRoot), "root": .identifier(root),
            "size": .integer(size), "state_root": .identifier(stateRoot),
        ])
    }
}

/// Size and root of a tree.
public struct TreeHead: Hashable, Sendable, SchemaValue {
    public var root: Digest
    public var size: Int64

    public init(root: Digest, size: Int64) {
        self.root = root
        self.size = size
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        root = try reader.required("root").identifier()
        size = try reader.required("size").integer(0...largestInteger)
        try reader.end()
    }

    var json: JSONValue { .object(["root": .identifier(root), "size": .integer(size)]) }
}

/// Body of `evidence.fork`: two checkpoints that prove equivocation, and the digest of the evidence file.
public struct EvidenceForkBody: Sendable {
    public var a: TreeHead
    public var b: TreeHead
    public var digest: Digest

    public init(a: TreeHead, b: TreeHead, digest: Digest) {
        self.a = a
        self.b = b
        self.digest = digest
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        a = try TreeHead(reading: try reader.required("a"))
        b = try TreeHead(reading: try reader.required("b"))
        digest = try reader.required("digest").identifier()
        try reader.end()
        guard a.size <= b.size else { throw SchemaViolation() }
    }

    var json: JSONValue { .object(["a": a.json, "b": b.json, "digest": .identifier(digest)]) }
}
