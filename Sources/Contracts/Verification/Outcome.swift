/// What the fold made of the entry at an index (section 7).
public struct Outcome: Hashable, Sendable {
    public var index: UInt64
    public var code: Code

    /// The txid; nil when the entry was no envelope of the right type.
    public var id: Identifier?

    public init(index: UInt64, code: Code, id: Identifier?) {
        self.index = index
        self.code = code
        self.id = id
    }

    /// The canonical JSON, a leaf of the outcome tree.
    public var canonical: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(128)
        bytes.append(contentsOf: #"{"code":""#.utf8)
        bytes.append(contentsOf: code.rawValue.utf8)
        bytes.append(contentsOf: #"","id":""#.utf8)
        id?.appendHex(to: &bytes)
        bytes.append(contentsOf: #"","index":"#.utf8)
        bytes.append(contentsOf: String(index).utf8)
        bytes.append(0x7D)
        return bytes
    }
}
