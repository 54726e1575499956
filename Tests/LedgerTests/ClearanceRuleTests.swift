import Contracts
import Testing

@testable import Ledger

@Suite("When a ledger may sign after a start")
struct ClearanceRuleTests {
    /// Roots of the database that is judged, by size.
    private static func root(_ size: UInt64) -> Digest { .sha256([UInt8(size)]) }
    private static let foreignRoot = Digest.sha256([255])

    private static func tree(_ size: UInt64, root: Digest? = nil) -> SignedTree {
        SignedTree(size: size, root: root ?? Self.root(size))
    }

    private static let keys = (0..<4).map { number in
        VerifierKey(
            name: "w\(number).example",
            type: VerifierKey.cosignatureType,
            key: TestLog.key(30, UInt8(number)).publicKey
        )
    }

    /// A database of ten entries whose policy asks for `needed` of the first `members` witnesses, of which the first ones
    /// showed what is listed.
    private func verdict(
        _ needed: Int,
        of members: Int,
        guards: [(place: String, tree: SignedTree)] = [],
        mirror: Sighting? = nil,
        _ sightings: Sighting...
    ) -> String {
        var shown: [Onlooker: Sighting] = [:]
        for (key, sighting) in zip(Self.keys, sightings) {
            shown[Onlooker(witness: key, url: "https://\(key.name)")] = sighting
        }
        if let mirror { shown[Onlooker(copy: "https://mirror.example")] = mirror }
        let rule = ClearanceRule(
            head: Self.tree(10),
            guards: guards,
            quorum: (needed, Array(Self.keys.prefix(members))),
            sightings: shown
        )
        switch rule.judge(rootAt: Self.root) {
        case .clear: return "clear"
        case .wait(let why): return why
        }
    }

    @Test("as many witnesses must answer as every quorum that may exist shares one honest member with")
    func answersNeeded() {
        let expected = [(0, 0, 0), (1, 1, 1), (2, 3, 2), (3, 4, 3), (2, 4, 3), (1, 4, 4), (4, 4, 4), (5, 7, 5)]
        for (needed, count, answers) in expected {
            #expect(ClearanceRule.answersNeeded(needed, of: count) == answers, "\(needed) of \(count)")
        }
    }

    @Test("clear without witnesses, and when enough of them know nothing or a beginning of what is here")
    func clear() {
        #expect(verdict(0, of: 0) == "clear")
        #expect(verdict(0, of: 0, mirror: .unusable("it does not answer")) == "clear")
        #expect(verdict(3, of: 4, .nothing, .nothing, .signed(Self.tree(10))) == "clear")
        #expect(verdict(3, of: 4, .signed(Self.tree(4)), .foreign(Self.tree(7)), .nothing) == "clear")
        #expect(verdict(1, of: 1, guards: [("the file", Self.tree(10))], .signed(Self.tree(9))) == "clear")
    }

    @Test("waits for answers, and says whose and why not")
    func waits() {
        let two = verdict(3, of: 4, .nothing, .unusable("it is asleep"), .signed(Self.tree(3)))
        #expect(two.contains("waiting for 3 of the 4 witnesses") && two.contains("w1.example: it is asleep"))
        #expect(two.contains("w3.example: no URL is known"))
        // A tree under unknown keys that is not a beginning of this one is no answer.
        for tree in [Self.tree(11), Self.tree(7, root: Self.foreignRoot)] {
            let foreign = verdict(1, of: 1, .foreign(tree))
            #expect(foreign.contains("signed by keys this database does not know"), "\(foreign)")
        }
    }

    @Test("waits for entries that anybody has seen signed: a witness, a mirror, or a guard", arguments: [0, 1, 2])
    func behind(who: Int) {
        let larger = Self.tree(12)
        let found =
            switch who {
            case 0: verdict(2, of: 3, .nothing, .nothing, .signed(larger))
            case 1: verdict(2, of: 3, mirror: .signed(larger), .nothing, .nothing)
            default: verdict(0, of: 0, guards: [("sign-guard", larger), ("the database", Self.tree(10))])
            }
        #expect(found.contains("waiting for entries up to size 12") && found.contains("ledger recover"))
        #expect(found.contains(["w2.example", "mirror", "sign-guard"][who]))
    }

    @Test("never signs on a database that went another way than what was signed, however many witnesses agree with it")
    func otherWay() {
        let other = Self.tree(8, root: Self.foreignRoot)
        for found in [
            verdict(2, of: 3, .signed(Self.tree(10)), .signed(Self.tree(10)), .signed(other)),
            verdict(0, of: 0, mirror: .signed(other)), verdict(0, of: 0, guards: [("sign-guard", other)]),
            // The contradiction outweighs what is merely larger.
            verdict(2, of: 3, mirror: .signed(Self.tree(15)), .signed(other)),
        ] {
            #expect(found.contains("went another way and must not be served"), "\(found)")
        }
    }
}
