import Contracts
import TestSupport
import Testing

@Suite("Fold: random mutations")
struct FoldMutationTests {
    @Test("any change of the bytes of a leaf gives a code and never traps", arguments: [1, 2, 3] as [UInt64])
    func bytes(seed: UInt64) throws {
        let pack = try FoldPack(named: "public")
        var random = SplitMix64(seed: seed)
        var state = ContractState()
        for leaf in pack.leaves {
            for _ in 0..<3 {
                var copy = state
                guard case .outcome(let outcome) = copy.fold(Self.mutated(leaf, &random)) else {
                    Issue.record("seed \(seed): unsupported at \(state.size)")
                    continue
                }
                #expect(outcome.index == state.size)
                #expect(copy.size == state.size + 1)
                if outcome.id == nil { #expect(copy.takeChanges().isEmpty) }
            }
            _ = state.fold(leaf)
            _ = state.takeChanges()
        }
        #expect(state.stateRoot() == pack.final.stateRoot)
    }

    /// Members are changed, the lane's next number is put in and every signature counts as valid, so that mutants reach
    /// the rules of their types; those that take effect stay in the state. A twin of the state that is rebuilt from its
    /// rows again and again must agree with it about everything.
    @Test("mutants that take effect keep indexes and rows in step", arguments: [11, 12, 13, 14] as [UInt64])
    func members(seed: UInt64) throws {
        let pack = try FoldPack(named: "random")
        var random = SplitMix64(seed: seed)
        var state = ContractState()
        var rebuilt = state
        var codes: [Code: Int] = [:]
        var pool: [JSONValue] = []
        for (position, leaf) in pack.leaves.prefix(1200).enumerated() {
            var entries: [ParsedEntry] = [ParsedEntry(leaf: leaf)]
            if let envelope = try? Envelope(leaf: leaf), let payload = try? JSONValue(canonical: envelope.payload),
                case .object(let object) = payload, state.ledgerID != nil
            {
                if let body = object["body"] { Self.collect(body, into: &pool, &random) }
                for _ in 0..<2 { entries.append(Self.mutant(object, envelope, state, pool, &random)) }
            }
            for entry in entries {
                let verdicts = Self.allValid(entry)
                let step = state.apply(entry, verdicts: verdicts)
                #expect(rebuilt.apply(entry, verdicts: verdicts) == step, "seed \(seed), entry \(position)")
                if case .outcome(let outcome) = step { codes[outcome.code, default: 0] += 1 }
            }
            guard position % 40 == 39 else { continue }
            rebuilt = try ContractState(rows: state.rows, size: state.size, outcomes: state.outcomes)
            #expect(rebuilt.stateRoot() == state.stateRoot(), "seed \(seed), entry \(position)")
            for (node, _) in state.nodes {
                let table = RouteTable(state: state, node: node, at: state.now)
                #expect(RouteTable(state: rebuilt, node: node, at: state.now) == table)
            }
        }
        // The walk is worth its time only if it reaches rules behind the signatures, and effects.
        #expect(codes[.ok, default: 0] > 250)
        #expect(codes.count > 25, "seed \(seed) reached \(codes.keys.map(\.rawValue).sorted())")
    }

    private static func mutated(_ leaf: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var leaf = leaf
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            guard !leaf.isEmpty else { return leaf }
            let index = leaf.indices.randomElement(using: &random)!
            switch Int.random(in: 0..<5, using: &random) {
            case 0: leaf[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: leaf[index] = UInt8.random(in: .min ... .max, using: &random)
            case 2: leaf.remove(at: index)
            case 3: leaf.insert(UInt8.random(in: 0x20...0x7E, using: &random), at: index)
            default: leaf.removeSubrange(index...)
            }
        }
        return leaf
    }

    private static func mutant(
        _ object: JSONObject,
        _ envelope: Envelope,
        _ state: ContractState,
        _ pool: [JSONValue],
        _ random: inout SplitMix64
    ) -> ParsedEntry {
        var object = object
        object["body"] = changed(object["body"] ?? .object([:]), pool, &random)
        if let account = object["account"]?.asString.flatMap(Identifier.init(hex:)),
            let signer = object["signer"]?.asString.flatMap(KeyID.init(hex:))
        {
            object["seq"] = .integer(state.lane(account: account, key: signer) + 1)
        }
        object["expires"] = .integer(state.now + 10)
        if Int.random(in: 0..<20, using: &random) == 0 {
            object = changed(.object(object), pool, &random).asObject ?? object
        }
        var mutant = envelope
        mutant.payload = object.canonical
        return ParsedEntry(leaf: mutant.leaf)
    }

    /// The value with one of its parts changed to an extreme, to a part of another entry, or away.
    private static func changed(
        _ value: JSONValue,
        _ pool: [JSONValue],
        _ random: inout SplitMix64
    ) -> JSONValue {
        switch value {
        case .object(var object) where !object.members.isEmpty:
            let member = object.members.randomElement(using: &random)!
            if Int.random(in: 0..<12, using: &random) == 0 {
                object[member.name] = nil
            } else {
                object[member.name] = changed(member.value, pool, &random)
            }
            return .object(object)
        case .array(var elements) where !elements.isEmpty:
            let index = elements.indices.randomElement(using: &random)!
            switch Int.random(in: 0..<5, using: &random) {
            case 0: elements.remove(at: index)
            case 1: elements.insert(pool.randomElement(using: &random) ?? true, at: index)
            default: elements[index] = changed(elements[index], pool, &random)
            }
            return .array(elements)
        case .integer(let number):
            return [
                .integer(number + 1), .integer(max(0, number - 1)), .integer(0), .integer(1),
                .integer(JSONValue.largestInteger), .integer(.random(in: 0...70_000, using: &random)),
            ].randomElement(using: &random)!
        case .boolean(let flag):
            return .boolean(!flag)
        default:
            return pool.randomElement(using: &random) ?? value
        }
    }

    /// Keeps leaves of bodies, so that mutants name objects that exist.
    private static func collect(_ value: JSONValue, into pool: inout [JSONValue], _ random: inout SplitMix64) {
        switch value {
        case .object(let object):
            for member in object.members { collect(member.value, into: &pool, &random) }
        case .array(let elements):
            for element in elements { collect(element, into: &pool, &random) }
        default:
            if pool.count < 400 {
                pool.append(value)
            } else {
                pool[Int.random(in: 0..<400, using: &random)] = value
            }
        }
    }

    private static func allValid(_ parsed: ParsedEntry) -> SignatureVerdicts {
        var verdicts = SignatureVerdicts()
        if case .entry(let entry) = parsed {
            for signature in entry.envelope.signatures { verdicts[signature.keyID] = true }
        }
        return verdicts
    }
}
