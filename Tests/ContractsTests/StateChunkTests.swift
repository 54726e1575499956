import Contracts
import Testing

@testable import Contracts

@Suite("Chunks of a snapshot")
struct StateChunkTests {
    private func chunks(of state: ContractState) -> [StateChunk] {
        var rows = [[(key: [UInt8], value: [UInt8])]](repeating: [], count: StateChunk.count)
        for row in state.rows {
            let key = Array(row.key.utf8)
            rows[StateChunk.number(ofKey: key)].append((key, row.value))
        }
        return rows.enumerated().map { StateChunk(number: $0, rows: $1) }
    }

    @Test("the chunks of a state have its root, survive their bytes, and give the state back")
    func roundTrip() throws {
        var state = FoldLedger.stateWithContract()
        let root = state.stateRoot()
        let chunks = try chunks(of: state).map { try StateChunk(parsing: $0.bytes, number: $0.number) }
        #expect(StateChunk.stateRoot(chunks.map(\.root)) == root)
        var restored = try ContractState(
            chunks: chunks.map { try $0.decoded() },
            size: state.size,
            outcomes: state.outcomes
        )
        #expect(restored.stateRoot() == root)
        #expect(restored.rows.map(\.key) == state.rows.map(\.key))
        #expect(restored.rows.map(\.value) == state.rows.map(\.value))
        #expect(restored.takeChanges().isEmpty)
        // Both go on in the same way.
        let tick = ParsedEntry(leaf: Array("junk".utf8))
        #expect(restored.apply(tick) == state.apply(tick))
        #expect(restored.outcomeRoot == state.outcomeRoot)
    }

    @Test("every changed byte of a chunk is refused or changes its root")
    func tampered() throws {
        let chunk = try #require(chunks(of: FoldLedger.stateWithContract()).first { !$0.rows.isEmpty })
        let bytes = chunk.bytes
        for index in bytes.indices {
            var other = bytes
            other[index] ^= 1
            if let parsed = try? StateChunk(parsing: other, number: chunk.number) {
                #expect(parsed.root != chunk.root, "byte \(index)")
            }
        }
        for cut in [0, 1, bytes.count - 1] {
            #expect(throws: StateError.chunk(chunk.number)) {
                try StateChunk(parsing: Array(bytes[..<cut]), number: chunk.number)
            }
        }
        #expect(throws: StateError.chunk(chunk.number)) {
            try StateChunk(parsing: bytes + [0], number: chunk.number)
        }
        let other = (chunk.number + 1) % StateChunk.count
        #expect(throws: StateError.chunk(other)) { try StateChunk(parsing: bytes, number: other) }
    }

    @Test("a state needs all its chunks, in order, and as many outcomes as entries")
    func incomplete() throws {
        let state = FoldLedger.stateWithContract()
        var decoded = try chunks(of: state).map { try $0.decoded() }
        #expect(throws: StateError.size) {
            try ContractState(chunks: Array(decoded.dropLast()), size: state.size, outcomes: state.outcomes)
        }
        #expect(throws: StateError.size) {
            try ContractState(chunks: decoded, size: state.size + 1, outcomes: state.outcomes)
        }
        decoded.swapAt(0, 1)
        #expect(throws: StateError.chunk(0)) {
            try ContractState(chunks: decoded, size: state.size, outcomes: state.outcomes)
        }
    }
}
