import Contracts

/// Writes down what the replay of a log yields: outcomes, digests on the way, route digests, and envelopes that must fail.
struct PackRecorder {
    /// Lines of `outcomes.jsonl`.
    private(set) var outcomes: [UInt8] = []

    /// Envelopes on the states that they are judged on.
    private(set) var tampered: [PackCase] = []

    private var prefixes: [JSONValue] = []
    private var routes = Thinned<JSONValue>(most: 48)
    private let stride: UInt64
    private let samples: [UInt64: [UInt8]]

    /// - Parameter samples: entries by their index, to make tampered ones of.
    init(size: UInt64, samples: [UInt64: [UInt8]]) {
        stride = max(1, (size + 15) / 16)
        self.samples = samples
    }

    /// Looks at the replay before its first entry, and after each with its outcome.
    mutating func observe(_ replay: inout LogReplay, _ outcome: Outcome?) {
        if let outcome { outcomes += outcome.canonical + [0x0A] }
        let size = replay.state.size
        if size > 0, size % stride == 0 { prefixes.append(digests(&replay)) }
        if outcome?.code == .ok, routes.wantsNext { record(replay.state) }
        // The state now is the one that the entry at `size` is folded on.
        if let leaf = samples[size] { tampered += TamperedEnvelopes.of(leaf, at: size) }
        if let outcome, outcome.code == .ok, let leaf = samples[outcome.index] {
            tampered.append(PackCase(file: "\(outcome.index)-again", after: size, bytes: leaf))
        }
    }

    /// `expect.json` after the last entry.
    mutating func expectation(_ replay: inout LogReplay, ledger: Identifier) -> JSONValue {
        guard case .object(var object) = digests(&replay) else { preconditionFailure("digests are an object") }
        object["codes"] = .object(JSONObject(members: replay.codes.map { ($0.rawValue, .integer(Int64($1))) }))
        object["ledger"] = .string(ledger.hex)
        object["prefixes"] = .array(prefixes)
        object["routes"] = .array(routes.elements)
        if replay.isUnsupported { object["unsupported"] = true }
        return .object(object)
    }

    private func digests(_ replay: inout LogReplay) -> JSONValue {
        [
            "outcome_root": .string(replay.state.outcomeRoot.hex), "root": .string(replay.tree.root.hex),
            "size": .integer(Int64(replay.state.size)), "state_root": .string(replay.stateRoot().hex),
            "time": .integer(replay.state.now),
        ]
    }

    /// The tables of up to four nodes.
    private mutating func record(_ state: ContractState) {
        for (node, _) in state.nodes.filter({ $0.1.live != nil }).prefix(4) {
            let table = RouteTable(state: state, node: node, at: state.now)
            routes.append([
                "digest": .string(table.digest.hex), "height": .integer(Int64(state.size)), "node": .string(node.hex),
            ])
        }
    }
}

/// A list that keeps every element while there are few, and an even choice of them when there are many.
private struct Thinned<Element> {
    let most: Int
    private(set) var elements: [Element] = []
    private var stride = 1
    private var met = 0

    init(most: Int) {
        self.most = most
    }

    /// Whether the next occasion is one to take; counts it.
    var wantsNext: Bool {
        mutating get {
            defer { met += 1 }
            return met % stride == 0
        }
    }

    mutating func append(_ element: Element) {
        elements.append(element)
        guard elements.count > most else { return }
        elements = elements.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        stride *= 2
    }
}
