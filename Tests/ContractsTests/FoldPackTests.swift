import Contracts
import Testing

@Suite("The fold over fixture packs")
struct FoldPackTests {
    @Test("gives every outcome, digest and row of a pack", arguments: FoldPack.names)
    func replay(name: String) throws {
        let pack = try FoldPack(named: name)
        var state = ContractState()
        var prefixes = Dictionary(uniqueKeysWithValues: pack.prefixes.map { ($0.size, $0) })
        let routes = Dictionary(grouping: pack.routes, by: \.height)
        var checkedRoutes = 0
        var codes: [String: Int] = [:]
        func check() throws {
            if let prefix = prefixes.removeValue(forKey: state.size) {
                #expect(state.now == prefix.time, "time at \(state.size)")
                #expect(state.outcomeRoot == prefix.outcomeRoot, "outcome root at \(state.size)")
                #expect(state.stateRoot() == prefix.stateRoot, "state root at \(state.size)")
            }
            for route in routes[state.size] ?? [] {
                let table = RouteTable(state: state, node: route.node, at: state.now)
                #expect(table.digest == route.digest, "routes of \(route.node) at \(state.size)")
                checkedRoutes += 1
            }
        }
        try check()
        var isStopped = false
        for leaf in pack.leaves {
            guard case .outcome(let outcome) = state.fold(leaf) else {
                isStopped = true
                break
            }
            codes[outcome.code.rawValue, default: 0] += 1
            let line = pack.outcomes.indices.contains(Int(outcome.index)) ? pack.outcomes[Int(outcome.index)] : ""
            try #require(String(decoding: outcome.canonical, as: UTF8.self) == line)
            try check()
        }
        #expect(isStopped == pack.isUnsupported)
        #expect(state.isStopped == pack.isUnsupported)
        #expect(codes == pack.codes)
        #expect(prefixes.isEmpty)
        #expect(checkedRoutes == pack.routes.count)
        #expect(pack.outcomes.count == Int(state.size))
        #expect(state.size == pack.final.size)
        #expect(state.now == pack.final.time)
        #expect(state.outcomeRoot == pack.final.outcomeRoot)
        #expect(state.stateRoot() == pack.final.stateRoot)
        let rows = state.rows.map { "\($0.key) \(String(decoding: $0.value, as: UTF8.self))" }
        for (row, line) in zip(rows, pack.state) { #expect(row == line) }
        #expect(rows.count == pack.state.count)
    }

    @Test("gives a tampered envelope its code", arguments: FoldPack.names)
    func tampered(name: String) throws {
        let pack = try FoldPack(named: name)
        var states: [UInt64: ContractState] = [:]
        let wanted = Set(pack.tampered.map(\.after))
        var state = ContractState()
        if wanted.contains(0) { states[0] = state }
        for leaf in pack.leaves {
            guard case .outcome = state.fold(leaf) else { break }
            if wanted.contains(state.size) { states[state.size] = state }
        }
        #expect(states.count == wanted.count)
        for item in pack.tampered {
            var state = try #require(states[item.after])
            guard case .outcome(let outcome) = state.fold(item.envelope) else {
                Issue.record("\(item.name): unsupported")
                continue
            }
            #expect(outcome.code.rawValue == item.expect, "\(item.name)")
        }
    }

    @Test("continues from stored rows as it would have without a restart", arguments: FoldPack.names)
    func restart(name: String) throws {
        let pack = try FoldPack(named: name)
        let step = max(1, pack.leaves.count / 13)
        var state = ContractState()
        var stored: [String: [UInt8]] = [:]
        for (index, leaf) in pack.leaves.enumerated() {
            guard case .outcome = state.fold(leaf) else { break }
            guard index % step == step - 1 else { continue }
            for change in state.takeChanges() { stored[change.key] = change.value }
            #expect(state.takeChanges().isEmpty)
            var restarted = try ContractState(
                rows: stored.map { ($0.key, $0.value) },
                size: state.size,
                outcomes: state.outcomes
            )
            #expect(restarted.takeChanges().isEmpty)
            #expect(restarted.stateRoot() == state.stateRoot(), "at \(state.size)")
            state = restarted
        }
        #expect(state.outcomeRoot == pack.final.outcomeRoot)
        #expect(state.stateRoot() == pack.final.stateRoot)
    }
}
