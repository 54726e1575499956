import Contracts
import Testing

@testable import Contracts

@Suite("Stored rows")
struct StateRowsTests {
    @Test("changes are the rows that differ, once, with nil for a removed row")
    func changes() {
        var ledger = FoldLedger()
        let twin = ledger.twin()
        #expect(ledger.state.takeChanges().map(\.key).count == 6)
        let name = ledger.name("one", of: twin)
        ledger.submit(.nameRelease(NameReleaseBody(name: name)), as: twin)
        let changes = ledger.state.takeChanges()
        let lane = "lane/\(twin.id)/\(twin.owner.keyID)"
        #expect(changes.map(\.key) == [lane, "name/\(name)"])
        #expect(changes.map(\.value) == [Array(#"{"seq":2}"#.utf8), nil])
        #expect(ledger.state.takeChanges().isEmpty)
    }

    @Test("a copy goes its own way")
    func copies() {
        var ledger = FoldLedger()
        let twin = ledger.twin()
        var before = ledger.state
        let root = before.stateRoot()
        _ = ledger.name("one", of: twin)
        #expect(before.stateRoot() == root)
        #expect(ledger.state.stateRoot() != root)
        #expect(before.name(named: "one") == nil)
    }

    @Test(
        "rows that are no state are refused",
        arguments: [
            ("twin", "{}"), ("twin/abc", "{}"), ("ledger/metas", "{}"), ("", "{}"), ("a/b/c/d", "{}"),
            ("lane/\(Digest.zero)", #"{"seq":1}"#), ("lane/\(Digest.zero)/\(Digest.zero)/", #"{"seq":1}"#),
            ("TWIN/\(Digest.zero)", "{}"), ("twin/\(String(repeating: "A", count: 64))", "{}"),
        ]
    )
    func badKeys(key: String, value: String) {
        #expect(throws: StateError.key(key)) {
            try ContractState(rows: [(key, Array(value.utf8))], size: 0, outcomes: CompactRange())
        }
    }

    @Test(
        "a value of another shape is refused",
        arguments: [
            ("lane", #"{"seq":0}"#), ("lane", #"{"seq":1,"x":1}"#), ("lane", #"{ "seq":1}"#), ("lane", "[]"),
            ("lane", ""),
            ("usage", #"{"bytes_in":1,"bytes_out":1,"conns":1}"#),
        ]
    )
    func badValues(kind: String, value: String) {
        let key = "\(kind)/\(Digest.zero)/\(Digest.zero)"
        #expect(throws: StateError.value(key: key)) {
            try ContractState(rows: [(key, Array(value.utf8))], size: 0, outcomes: CompactRange())
        }
    }

    @Test("every single ledger row is needed, and the outcomes must be as many as the entries")
    func incomplete() throws {
        let state = FoldLedger.stateWithContract()
        #expect(throws: StateError.size) {
            try ContractState(rows: state.rows, size: state.size + 1, outcomes: state.outcomes)
        }
        for missing in ["ledger/keys", "ledger/meta", "ledger/policy", "ledger/root", "ledger/time"] {
            #expect(throws: StateError.ledgerRows) {
                let rows = state.rows.filter { $0.key != missing }
                return try ContractState(rows: rows, size: state.size, outcomes: state.outcomes)
            }
        }
    }

    @Test("every changed byte of a stored row is refused or changes the state root")
    func everyByte() throws {
        var state = FoldLedger.stateWithContract()
        let root = state.stateRoot()
        for (index, row) in state.rows.enumerated() {
            for offset in stride(from: 0, to: row.value.count, by: 3) {
                var rows = state.rows
                rows[index].value[offset] ^= 1
                guard var other = try? ContractState(rows: rows, size: state.size, outcomes: state.outcomes) else {
                    continue
                }
                #expect(other.stateRoot() != root, "\(row.key) at \(offset)")
                #expect(other.rows[index].value == rows[index].value)
            }
        }
    }

    @Test("keys round-trip through their text")
    func keys() throws {
        let state = FoldLedger.stateWithContract()
        for row in state.rows {
            let key = try #require(RowKey(row.key))
            #expect(String(decoding: key.bytes, as: UTF8.self) == row.key)
        }
    }
}
