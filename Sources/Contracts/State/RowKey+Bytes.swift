extension RowKey {
    /// Parses the bytes of a key; nil for anything else. Of each shape there is one length, so most keys are told apart
    /// by their first byte and their length without a string.
    init?(bytes: [UInt8]) {
        guard let slash = bytes.firstIndex(of: 0x2F) else { return nil }
        let start = slash + 1
        switch bytes.count - start {
        case 64:
            guard let id = Self.identifier(bytes, start), let key = Self.ofOne(bytes[..<slash], id) else { return nil }
            self = key
        case 129:
            guard bytes[start + 64] == 0x2F, let first = Self.identifier(bytes, start),
                let second = Self.identifier(bytes, start + 65), let key = Self.ofTwo(bytes[..<slash], first, second)
            else { return nil }
            self = key
        default:
            guard bytes.count <= Self.longestLedgerKey else { return nil }
            self.init(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// `ledger/upgrade`, in bytes.
    private static let longestLedgerKey = 14

    private static func identifier(_ bytes: [UInt8], _ start: Int) -> Digest? {
        Bytes32(hexDigits: bytes, at: start).map(Digest.init(raw:))
    }

    private static func ofOne(_ kind: ArraySlice<UInt8>, _ id: Digest) -> RowKey? {
        switch kind {
        case Kind.twin: .twin(id)
        case Kind.farm: .farm(id)
        case Kind.node: .node(id)
        case Kind.name: .name(id)
        case Kind.contract: .contract(id)
        case Kind.bill: .bill(id)
        case Kind.attest: .attest(id)
        case Kind.evidence: .evidence(id)
        default: nil
        }
    }

    private static func ofTwo(_ kind: ArraySlice<UInt8>, _ first: Digest, _ second: Digest) -> RowKey? {
        switch kind {
        case Kind.lane: .lane(LaneKey(account: first, key: second))
        case Kind.delegate: .delegate(first, second)
        case Kind.status: .status(first, second)
        case Kind.usage: .usage(first, second)
        default: nil
        }
    }

    /// The words before the first slash.
    private enum Kind {
        static let twin = Array("twin".utf8)[...]
        static let farm = Array("farm".utf8)[...]
        static let node = Array("node".utf8)[...]
        static let name = Array("name".utf8)[...]
        static let contract = Array("contract".utf8)[...]
        static let bill = Array("bill".utf8)[...]
        static let attest = Array("attest".utf8)[...]
        static let evidence = Array("evidence".utf8)[...]
        static let lane = Array("lane".utf8)[...]
        static let delegate = Array("delegate".utf8)[...]
        static let status = Array("status".utf8)[...]
        static let usage = Array("usage".utf8)[...]
    }
}
