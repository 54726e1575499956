import Foundation

/// Runs a function over a list on all cores; results keep their order.
func onAllCores<Item: Sendable, Result: Sendable>(
    _ items: [Item],
    _ body: @escaping @Sendable (Item) -> Result
) async -> [Result] {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let share = max(1, (items.count + cores - 1) / cores)
    return await withTaskGroup(of: (Int, [Result]).self) { group in
        for start in stride(from: 0, to: items.count, by: share) {
            let slice = items[start..<min(start + share, items.count)]
            group.addTask { (start, slice.map(body)) }
        }
        var parts: [(Int, [Result])] = []
        for await part in group { parts.append(part) }
        return parts.sorted { $0.0 < $1.0 }.flatMap(\.1)
    }
}
