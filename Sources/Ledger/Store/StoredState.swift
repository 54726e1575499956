internal import Contracts
internal import Dispatch
internal import Foundation
internal import GRDB
internal import NIOConcurrencyHelpers

/// Puts the state of a database's table `state (key, value)` together on all cores.
///
/// One thread reads the rows in the order of their keys and hands them on in slices; the others decode them. Then the
/// 256 chunks of the hash tree are hashed beside each other while the tables are built. Blocks the caller's thread.
enum StoredState {
    /// Rows of a slice.
    private static let sliceRows = 4096

    /// The state of all rows. With `isHashed` it has its hash tree, so that `stateRoot()` costs nothing; without, the tree
    /// is made when somebody asks.
    ///
    /// - Throws: `StateError` for rows that are no state, or an error of the database.
    static func load(
        _ database: Database,
        size: UInt64,
        outcomes: CompactRange,
        isHashed: Bool
    ) throws -> ContractState {
        let parts = try decodedRows(database, isHashed: isHashed)
        guard isHashed else { return try ContractState(parts: parts, size: size, outcomes: outcomes) }
        let result = NIOLockedValueBox<(state: ContractState?, chunks: [StateChunk?], error: StateError?)>(
            (nil, [StateChunk?](repeating: nil, count: StateChunk.count), nil)
        )
        // The first piece of work is the longest.
        DispatchQueue.concurrentPerform(iterations: 1 + StateChunk.count) { number in
            do throws(StateError) {
                if number == 0 {
                    let state = try ContractState(parts: parts, size: size, outcomes: outcomes)
                    result.withLockedValue { $0.state = state }
                } else {
                    let chunk = try StateChunk(number: number - 1, of: parts)
                    result.withLockedValue { $0.chunks[chunk.number] = chunk }
                }
            } catch {
                result.withLockedValue { $0.error = error }
            }
        }
        let (built, chunks, error) = result.withLockedValue { $0 }
        result.withLockedValue { $0.state = nil }
        if let error { throw error }
        guard var state = built else { throw StateError.size }
        state.adopt(chunks.compactMap(\.self))
        return state
    }

    /// All rows, decoded, in the order of their keys.
    private static func decodedRows(_ database: Database, isHashed: Bool) throws -> [DecodedRows] {
        let decoder = Decoder(isHashed: isHashed)
        defer { decoder.wait() }
        var slice: [(key: [UInt8], value: [UInt8])] = []
        let cursor = try Row.fetchCursor(database, sql: "SELECT key, value FROM state ORDER BY key")
        while let row = try cursor.next() {
            slice.append(
                ([UInt8](try row.decode(Data.self, atIndex: 0)), [UInt8](try row.decode(Data.self, atIndex: 1)))
            )
            guard slice.count == sliceRows else { continue }
            try decoder.take(slice)
            slice = []
        }
        try decoder.take(slice)
        return try decoder.finish()
    }

    /// Decodes slices on a concurrent queue, a few at a time.
    private final class Decoder: Sendable {
        private struct Results {
            var parts: [Int: DecodedRows] = [:]
            var error: StateError?
        }

        private let isHashed: Bool
        private let queue = DispatchQueue(label: "webgw.state", attributes: .concurrent)
        private let group = DispatchGroup()
        private let places = DispatchSemaphore(value: ProcessInfo.processInfo.activeProcessorCount + 1)
        private let results = NIOLockedValueBox(Results())
        private let started = NIOLockedValueBox(0)

        init(isHashed: Bool) {
            self.isHashed = isHashed
        }

        /// Takes the next slice when there is a place for it; throws what an earlier one met.
        func take(_ rows: [(key: [UInt8], value: [UInt8])]) throws(StateError) {
            if let error = results.withLockedValue({ $0.error }) { throw error }
            places.wait()
            let number = started.withLockedValue { count in
                count += 1
                return count
            }
            queue.async(group: group) { [isHashed, places, results] in
                do throws(StateError) {
                    let part = try DecodedRows(rows, isHashed: isHashed)
                    results.withLockedValue { $0.parts[number] = part }
                } catch {
                    results.withLockedValue { $0.error = error }
                }
                places.signal()
            }
        }

        func wait() { group.wait() }

        /// All slices in their order.
        func finish() throws(StateError) -> [DecodedRows] {
            wait()
            let results = results.withLockedValue { $0 }
            if let error = results.error { throw error }
            return results.parts.sorted { $0.key < $1.key }.map(\.value)
        }
    }
}
