internal import Contracts

/// What a request path names.
enum LedgerResource: Equatable {
    case checkpoint
    case tile(TilePath)
    case receipt(UInt64)
    case submissions
    case transaction(Identifier)
    case description

    /// Nil for a path that this server does not serve.
    init?(path: String) {
        switch path {
        case "/checkpoint": self = .checkpoint
        case "/entries": self = .submissions
        case "/.well-known/webgw-ledger": self = .description
        default:
            if path.hasPrefix("/tile/") {
                guard let tile = TilePath(String(path.dropFirst())) else { return nil }
                self = .tile(tile)
            } else if path.hasPrefix("/tx/"), let id = Identifier(hex: String(path.dropFirst(4))) {
                self = .transaction(id)
            } else if path.hasPrefix("/receipts/"), path.hasSuffix(".tlog-proof") {
                guard let index = Decimal53.parse(path.dropFirst(10).dropLast(11).utf8) else { return nil }
                self = .receipt(index)
            } else {
                return nil
            }
        }
    }

    /// Methods that the resource knows, as in an Allow field.
    var methods: String {
        if case .submissions = self { return "POST" }
        return "GET, HEAD"
    }

    func allows(_ method: String) -> Bool {
        if case .submissions = self { return method == "POST" }
        return method == "GET" || method == "HEAD"
    }

    /// Media type of a good answer.
    var mediaType: String {
        switch self {
        case .checkpoint, .receipt, .submissions: "text/plain; charset=utf-8"
        case .tile: "application/octet-stream"
        case .transaction, .description: "application/json"
        }
    }
}
