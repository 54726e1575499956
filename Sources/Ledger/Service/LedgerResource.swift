internal import Contracts

/// What a request path names.
enum LedgerResource: Equatable {
    case checkpoint
    /// A list of the read model.
    case list(ReadModel.Kind)
    case tile(TilePath)
    case receipt(UInt64)
    case submissions
    case transaction(Identifier)
    case description
    /// A file of a snapshot, or where its notes are handed in.
    case snapshot(SnapshotPath)
    /// Entry of the key chain.
    case keyChange(UInt64)

    /// Nil for a path that this server does not serve.
    init?(path: String) {
        switch path {
        case "/checkpoint": self = .checkpoint
        case "/entries": self = .submissions
        case "/.well-known/webgw-ledger": self = .description
        default:
            if path.hasPrefix("/v1/"), let kind = ReadModel.Kind(rawValue: String(path.dropFirst(4))) {
                self = .list(kind)
            } else if path.hasPrefix("/tile/") {
                guard let tile = TilePath(String(path.dropFirst())) else { return nil }
                self = .tile(tile)
            } else if path.hasPrefix("/tx/"), let id = Identifier(hex: String(path.dropFirst(4))) {
                self = .transaction(id)
            } else if path.hasPrefix("/snapshot/"), let resource = SnapshotPath(String(path.dropFirst())) {
                self = .snapshot(resource)
            } else if path.hasPrefix("/receipts/"), path.hasSuffix(".tlog-proof") {
                guard let index = Decimal53.parse(path.dropFirst(10).dropLast(11).utf8) else { return nil }
                self = .receipt(index)
            } else if path.hasPrefix("/keyset/") {
                guard let number = Decimal53.parse(path.dropFirst(8).utf8) else { return nil }
                self = .keyChange(number)
            } else {
                return nil
            }
        }
    }

    /// Methods that the resource knows, as in an Allow field.
    var methods: String {
        isForPosting ? "POST" : "GET, HEAD"
    }

    func allows(_ method: String) -> Bool {
        if isForPosting { return method == "POST" }
        return method == "GET" || method == "HEAD"
    }

    private var isForPosting: Bool {
        switch self {
        case .submissions, .snapshot(.notes): true
        default: false
        }
    }

    /// Media type of a good answer.
    var mediaType: String {
        switch self {
        case .list: "application/json"
        case .checkpoint, .receipt, .submissions: "text/plain; charset=utf-8"
        case .snapshot(.sizes), .snapshot(.manifest): "text/plain; charset=utf-8"
        case .tile, .snapshot(.proof), .snapshot(.chunk): "application/octet-stream"
        case .snapshot(.notes): "application/json"
        case .transaction, .description, .keyChange: "application/json"
        }
    }
}
