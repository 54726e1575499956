import Contracts
import Testing

@Suite("Fold: admission")
struct FoldAdmissionTests {
    @Test("admitting an entry is applying it if it is ok, and nothing otherwise", arguments: ["public", "random"])
    func likeApply(pack name: String) throws {
        let pack = try FoldPack(named: name)
        var admitted = ContractState()
        var refused: Set<Code> = []
        for (position, leaf) in pack.leaves.prefix(1500).enumerated() {
            let parsed = ParsedEntry(leaf: leaf)
            var applied = admitted
            let expected = applied.apply(parsed)
            let before = admitted
            let step = admitted.admit(parsed)
            #expect(step == expected, "entry \(position)")
            guard case .outcome(let outcome) = step else { break }
            if outcome.code == .ok {
                #expect(admitted.size == applied.size && admitted.outcomeRoot == applied.outcomeRoot)
                if position % 50 == 0 { #expect(admitted.rows.map(\.value) == applied.rows.map(\.value)) }
            } else {
                refused.insert(outcome.code)
                #expect(admitted.size == before.size && admitted.outcomeRoot == before.outcomeRoot)
                var (left, right) = (admitted, before)
                #expect(left.takeChanges() == right.takeChanges(), "entry \(position), \(outcome.code)")
                #expect(left.stateRoot() == right.stateRoot(), "entry \(position), \(outcome.code)")
            }
            if position % 10 == 0 {
                _ = admitted.takeChanges()
                _ = admitted.stateRoot()
            }
        }
        #expect(refused.count > 3)
    }
}
