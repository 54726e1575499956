internal import Contracts

extension ContractState {
    /// Brings the hash tree up to date on all cores; `stateRoot()` costs nothing afterwards.
    ///
    /// - Returns: what was hashed, for the store that writes the same rows.
    @discardableResult
    mutating func hashOnAllCores() async -> StateHashing? {
        guard !isHashed else { return nil }
        var hashing = takeHashing()
        let slices = await Self.inParallel(hashing.sliceCount) { [hashing] in hashing.slice($0) }
        let pages = hashing.take(slices)
        hashing.take(await Self.inParallel(pages.count) { pages[$0].hashed() })
        finish(hashing)
        return hashing
    }

    /// The results of independent pieces of work, in their order.
    private static func inParallel<Result: Sendable>(
        _ count: Int,
        _ work: @escaping @Sendable (Int) -> Result
    ) async -> [Result] {
        await withTaskGroup(of: (Int, Result).self) { group in
            for number in 0..<count {
                group.addTask { (number, work(number)) }
            }
            var results = [Result?](repeating: nil, count: count)
            for await (number, result) in group { results[number] = result }
            return results.compactMap(\.self)
        }
    }
}

extension LogReplay {
    /// Does what `stateRoot()` costs on all cores.
    @discardableResult
    mutating func hashOnAllCores() async -> StateHashing? { await state.hashOnAllCores() }
}
