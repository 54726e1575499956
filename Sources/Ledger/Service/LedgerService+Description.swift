/// Whoever runs a service names it by its description; the default one would spell out the whole state, and the key.
extension LedgerService: CustomStringConvertible {
    public var description: String { "ledger" }
}
