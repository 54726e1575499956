/// A configured address and what is served there.
struct ListenerKey: Hashable, Sendable {
    enum Kind: String, Sendable {
        case http
        case https
        case tunnel
    }

    var kind: Kind
    /// As configured, such as `0.0.0.0:80`.
    var address: String
}
