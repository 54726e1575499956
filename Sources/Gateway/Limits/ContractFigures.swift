/// What one loop, or all, counted for a contract.
struct ContractFigures: Sendable {
    var streams = 0
    var refusals = RefusalCounts()
    /// Times that a stream waited for the contract's rate.
    var delays: Int64 = 0

    mutating func add(_ other: ContractFigures) {
        streams += other.streams
        delays += other.delays
        refusals.add(other.refusals)
    }
}
