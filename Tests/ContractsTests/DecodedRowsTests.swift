import Contracts
import Testing

@testable import Contracts

@Suite("Rows decoded in parts")
struct DecodedRowsTests {
    private func state() -> ContractState {
        var ledger = FoldLedger()
        for number in 0..<8 {
            let twin = ledger.twin(owners: 2, threshold: 1, operators: 1)
            let node = ledger.node(of: twin, farm: ledger.farm("farm-\(number)", of: twin))
            let expose = [FoldLedger.expose(host: "h\(number).example.net")]
            _ = ledger.contract(ledger.spec([node], expose), of: twin)
            _ = ledger.name("name-\(number)", of: twin)
        }
        return ledger.state
    }

    private func parts(of state: ContractState, size: Int, isHashed: Bool) throws -> [DecodedRows] {
        let rows = state.rows.map { (key: Array($0.key.utf8), value: $0.value) }
        return try stride(from: 0, to: rows.count, by: size).map { start in
            try DecodedRows(Array(rows[start..<min(start + size, rows.count)]), isHashed: isHashed)
        }
    }

    @Test("parts of any size give the state back, with the same root and the same future", arguments: [1, 7, 10_000])
    func roundTrip(size: Int) throws {
        var state = state()
        let root = state.stateRoot()
        let parts = try parts(of: state, size: size, isHashed: true)
        var restored = try ContractState(parts: parts, size: state.size, outcomes: state.outcomes)
        restored.adopt(try (0..<StateChunk.count).map { try StateChunk(number: $0, of: parts) })
        #expect(restored.stateRoot() == root)
        #expect(restored.rows.map(\.value) == state.rows.map(\.value))
        #expect(restored.takeChanges().isEmpty)
        let later = ParsedEntry(leaf: Array("junk".utf8))
        #expect(restored.apply(later) == state.apply(later))
        #expect(restored.stateRoot() == state.stateRoot())
    }

    @Test("without a hash tree the root is right whenever it is asked for, and changes are remembered")
    func unhashed() throws {
        var ledger = FoldLedger()
        let twin = ledger.twin()
        _ = ledger.state.takeChanges()
        let parts = try parts(of: ledger.state, size: 5, isHashed: false)
        var restored = ledger
        restored.state = try ContractState(parts: parts, size: ledger.state.size, outcomes: ledger.state.outcomes)
        for number in 0..<2 {
            _ = ledger.name("name-\(number)", of: twin)
            _ = restored.name("name-\(number)", of: twin)
        }
        #expect(restored.state.stateRoot() == ledger.state.stateRoot())
        _ = ledger.name("later", of: twin)
        _ = restored.name("later", of: twin)
        #expect(restored.state.stateRoot() == ledger.state.stateRoot())
        let (changes, expected) = (restored.state.takeChanges(), ledger.state.takeChanges())
        #expect(!changes.isEmpty && changes == expected)
    }

    @Test("rows out of their order, twice, without places, or of another shape are refused")
    func refused() throws {
        let state = state()
        let ordered = try parts(of: state, size: 1, isHashed: true)
        let number = StateChunk.number(ofKey: Array(state.rows[0].key.utf8))
        #expect(throws: StateError.chunk(number)) { try StateChunk(number: number, of: [ordered[0]] + ordered) }
        let plain = try parts(of: state, size: 1, isHashed: false)
        #expect(throws: StateError.chunk(number)) { try StateChunk(number: number, of: plain) }
        #expect(throws: StateError.key("twin/abc")) {
            try DecodedRows([(Array("twin/abc".utf8), Array("{}".utf8))], isHashed: true)
        }
        #expect(throws: StateError.size) {
            try ContractState(parts: ordered, size: state.size + 1, outcomes: state.outcomes)
        }
        #expect(throws: StateError.ledgerRows) {
            try ContractState(
                parts: try parts(of: state, size: 1, isHashed: true).filter { part in
                    if case .ledger(.meta, _)? = part.rows.first { return false }
                    return true
                },
                size: state.size,
                outcomes: state.outcomes
            )
        }
    }

    @Test("the bytes of a key are read as its text is, and every changed byte of them too")
    func keys() throws {
        for row in state().rows {
            let bytes = Array(row.key.utf8)
            #expect(RowKey(bytes: bytes) == RowKey(row.key))
            for index in bytes.indices {
                for byte in [bytes[index] ^ 1, 0x2F, 0x41, 0xFF] {
                    var other = bytes
                    other[index] = byte
                    let expected = String(validating: other, as: UTF8.self).flatMap { RowKey($0) }
                    #expect(RowKey(bytes: other) == expected, "\(row.key) at \(index)")
                }
            }
            #expect(RowKey(bytes: Array(bytes.dropLast())) == RowKey(String(row.key.dropLast())))
            #expect(RowKey(bytes: bytes + [0x30]) == nil)
        }
        #expect(RowKey(bytes: []) == nil)
    }
}
