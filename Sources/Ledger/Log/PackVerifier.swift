public import Contracts

/// Compares the replay of a pack's log with what the pack records, as the replay goes on.
public struct PackVerifier: Sendable {
    /// What the pack records.
    public let expectation: PackExpectation

    /// Verdicts of tampered envelopes so far; complete after `finish`.
    public private(set) var verdicts: [CaseVerdict] = []

    /// Differences found so far, in the order in which they were found.
    public private(set) var failures: [AuditFailure] = []

    private let pack: FixturePack
    private let tampered: [TamperedCase]
    private let outcomes: [UInt8]
    private var attacks: AttackJudge?
    /// Where the next outcome is read; -1 after the first difference.
    private var outcomeOffset = 0
    private let milestones: Set<UInt64>

    /// Sizes at which the verifier needs the root of the log's leaves.
    public var rootSizes: Set<UInt64> { attacks?.noteSizes ?? [] }

    /// Loads the recorded results; with `each` the tampered envelopes and attack files too.
    public init(_ pack: FixturePack, ledgerID: Identifier, each: Bool) throws(AuditFailure) {
        self.pack = pack
        expectation = try PackExpectation(pack)
        guard expectation.ledger == ledgerID else {
            throw AuditFailure(code: "expect.ledger", "expect.json is of another ledger, \(expectation.ledger)")
        }
        outcomes = try pack.requiredFile("outcomes.jsonl")
        tampered = each ? try TamperedCase.all(pack) : []
        attacks = each ? AttackJudge(try AttackCase.all(pack)) : nil
        var milestones = Set(expectation.prefixes.map(\.size))
        milestones.formUnion(expectation.routes.map(\.height))
        milestones.formUnion(tampered.map(\.after))
        milestones.formUnion(attacks?.trustedSizes ?? [])
        self.milestones = milestones
    }

    /// Looks at the replay before its first entry, and after each entry with its outcome.
    public mutating func observe(_ replay: inout LogReplay, outcome: Outcome?) {
        if let outcome { compareOutcome(outcome) }
        guard milestones.contains(replay.state.size) else { return }
        let size = replay.state.size
        for prefix in expectation.prefixes where prefix.size == size { compare(prefix, with: &replay, "prefixes") }
        for route in expectation.routes where route.height == size { compare(route, with: replay) }
        for element in tampered where element.after == size { judge(element, on: replay) }
        attacks?.observe(replay)
    }

    /// The checks that need the whole replay: final digests, codes, rows, policy, and the attack files.
    public mutating func finish(_ replay: inout LogReplay, leaves: VerifiedLeaves, dev: Bool) {
        if outcomeOffset != outcomes.count {
            let index = replay.state.size
            fail(AuditFailure(code: "outcomes", "outcomes.jsonl goes on after outcome \(index)", index: index))
        }
        if expectation.isUnsupported != replay.isUnsupported {
            fail(AuditFailure(code: "expect.unsupported", "a fold upgrade is reached: \(replay.isUnsupported)"))
        }
        compare(expectation.final, with: &replay, "final")
        compareCodes(replay)
        compareUnreached(replay)
        comparePolicy(replay)
        compareRows(replay)
        for element in tampered where element.after > replay.state.size { judgeUnreached(element, replay) }
        if let attacks { verdicts += attacks.verdicts(after: replay, leaves: leaves, dev: dev) }
        for verdict in verdicts where !verdict.agrees {
            fail(
                AuditFailure(
                    code: "pack",
                    "\(verdict.name) is listed as \(verdict.expected) and gives \(verdict.got)"
                )
            )
        }
    }

    private mutating func fail(_ failure: AuditFailure) {
        failures.append(failure)
    }

    // MARK: Comparing results

    private mutating func compareOutcome(_ outcome: Outcome) {
        let line = outcome.canonical + [0x0A]
        let end = outcomeOffset + line.count
        if outcomeOffset >= 0, end <= outcomes.count, outcomes[outcomeOffset..<end].elementsEqual(line) {
            outcomeOffset = end
        } else if outcomeOffset >= 0 {
            fail(
                AuditFailure(
                    code: "outcomes",
                    "entry \(outcome.index) is \(outcome.code.rawValue), which outcomes.jsonl does not say",
                    index: outcome.index
                )
            )
            // Lines after the first difference prove nothing more.
            outcomeOffset = -1
        }
    }

    private mutating func compare(
        _ expected: PackExpectation.Prefix,
        with replay: inout LogReplay,
        _ what: String
    ) {
        func check(_ member: String, _ agrees: Bool, _ got: String) -> AuditFailure? {
            agrees
                ? nil : AuditFailure(code: "expect.\(member)", "\(what) at size \(expected.size): \(member) is \(got)")
        }
        let stateRoot = replay.stateRoot()
        let found = [
            check("size", replay.state.size == expected.size, "\(replay.state.size)"),
            check("root", replay.tree.root == expected.root, replay.tree.root.hex),
            check("outcome_root", replay.state.outcomeRoot == expected.outcomeRoot, replay.state.outcomeRoot.hex),
            check("state_root", stateRoot == expected.stateRoot, stateRoot.hex),
            check("time", replay.state.now == expected.time, "\(replay.state.now)"),
        ]
        failures += found.compactMap { $0 }
    }

    private mutating func compare(_ expected: PackExpectation.RouteDigest, with replay: LogReplay) {
        let table = RouteTable(state: replay.state, node: expected.node, at: replay.state.now)
        guard table.digest != expected.digest else { return }
        fail(
            AuditFailure(
                code: "expect.routes",
                "routes of \(expected.node) at height \(expected.height) are \(table.digest)"
            )
        )
    }

    private mutating func compareCodes(_ replay: LogReplay) {
        let got = Dictionary(uniqueKeysWithValues: replay.codes.map { ($0.rawValue, $1) })
        // A code that no entry had may be listed with 0, or not at all.
        for name in Set(got.keys).union(expectation.codes.keys).sorted() {
            let (found, expected) = (got[name] ?? 0, expectation.codes[name] ?? 0)
            guard found != expected else { continue }
            fail(AuditFailure(code: "expect.codes", "\(found) entries are \(name), not \(expected)"))
        }
    }

    /// Prefixes and routes beyond the last folded entry cannot be confirmed.
    private mutating func compareUnreached(_ replay: LogReplay) {
        for prefix in expectation.prefixes where prefix.size > replay.state.size {
            fail(AuditFailure(code: "expect.prefixes", "the replay does not reach size \(prefix.size)"))
        }
        for route in expectation.routes where route.height > replay.state.size {
            fail(AuditFailure(code: "expect.routes", "the replay does not reach height \(route.height)"))
        }
    }

    private mutating func comparePolicy(_ replay: LogReplay) {
        let text = replay.state.ledgerKeys.map { "log \($0)\n" }.joined() + replay.state.policyText
        do throws(AuditFailure) {
            let bytes = try pack.requiredFile("policy.txt", limit: SignedNote.longest)
            guard bytes.elementsEqual(text.utf8) else {
                throw AuditFailure(code: "policy", "policy.txt is not the key set and the policy of the final state")
            }
        } catch {
            fail(error)
        }
    }

    private mutating func compareRows(_ replay: LogReplay) {
        do throws(AuditFailure) {
            let bytes = try pack.requiredFile("state.txt")
            var offset = 0
            for row in replay.state.rows {
                let line = Array(row.key.utf8) + [0x20] + row.value + [0x0A]
                guard offset + line.count <= bytes.count, bytes[offset..<offset + line.count].elementsEqual(line) else {
                    throw AuditFailure(code: "state", "state.txt differs from the final state at \(row.key)")
                }
                offset += line.count
            }
            guard offset == bytes.count else {
                throw AuditFailure(code: "state", "state.txt has rows that the final state has not")
            }
        } catch {
            fail(error)
        }
    }

    // MARK: Tampered envelopes

    private mutating func judge(_ element: TamperedCase, on replay: LogReplay) {
        var state = replay.state
        let got: String
        switch state.fold(element.envelope) {
        case .outcome(let outcome): got = outcome.code.rawValue
        case .unsupported: got = VerificationResult.unsupported.rawValue
        }
        verdicts.append(CaseVerdict(name: element.name, expected: element.expected, got: got))
    }

    /// Behind the stop nothing can be folded; behind the end of the log there is no state.
    private mutating func judgeUnreached(_ element: TamperedCase, _ replay: LogReplay) {
        let got = replay.isUnsupported ? VerificationResult.unsupported.rawValue : "missing"
        verdicts.append(CaseVerdict(name: element.name, expected: element.expected, got: got))
    }
}
