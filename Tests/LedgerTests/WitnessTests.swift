import Contracts
import Foundation
import NIOConcurrencyHelpers
import TestSupport
import Testing

@testable import Ledger

@Suite("Witness")
struct WitnessTests {
    private let folder: TemporaryFolder
    private let database: WitnessDatabase
    private let log: TestLog
    /// The same first three entries, then others.
    private let fork: TestLog
    private let time = NIOLockedValueBox<Timestamp>(TestLog.start)

    init() throws {
        folder = try TemporaryFolder()
        database = try WitnessDatabase(path: "\(folder.path("witness.db"))")
        var log = TestLog()
        log.grow(to: 3)
        var fork = log
        log.grow(to: 12)
        fork.grow(to: 12, from: 200)
        (self.log, self.fork) = (log, fork)
    }

    private func witness(check: SignatureCheck = .ed25519) -> Witness {
        Witness(
            identity: WitnessIdentity(name: "w1.example", key: TestLog.key(9, 9)),
            store: database,
            check: check
        ) { [time] in time.withLockedValue { $0 } }
    }

    private var known: WitnessedLog { WitnessedLog(origin: log.origin, keys: [log.ledgerVKey]) }

    private func request(_ log: TestLog, old: Int, _ size: Int, proof: [Digest]? = nil) throws -> [UInt8] {
        let checkpoint = try Checkpoint(parsing: log.checkpoint(size, isCosigned: false))
        let proof = proof ?? (old > 0 && old < size ? log.consistency(from: old, to: size) : [])
        return AddCheckpointRequest(oldSize: UInt64(old), proof: proof, checkpoint: checkpoint).bytes
    }

    /// The cosignature of an answer, verified.
    private func time(of answer: WitnessAnswer, size: Int, _ witness: Witness) throws -> Timestamp {
        guard case .cosigned(let line) = answer else {
            Issue.record("answered \(answer)")
            return -1
        }
        let note = try SignedNote(parsing: log.checkpoint(size, isCosigned: false) + line)
        let verified = try note.verified(by: [witness.identity.verifierKey])
        #expect(verified.count == 1)
        return Timestamp(verified.first?.time ?? 0)
    }

    @Test("cosigns a first checkpoint, larger ones with a proof, and the same one again")
    func cosigns() async throws {
        let witness = witness()
        let steps = [(0, 5), (5, 8), (8, 8), (8, 12)]
        for (old, size) in steps {
            let answer = try await witness.addCheckpoint(request(log, old: old, size), of: known)
            #expect(try time(of: answer, size: size, witness) == TestLog.start)
            let latest = try #require(try await witness.checkpoint(of: log.origin))
            let lines = try SignedNote(parsing: latest).verified(by: [log.ledgerVKey, witness.identity.verifierKey])
            #expect(lines.count == 2)
        }
    }

    @Test("refuses with the status that the specification names")
    func refuses() async throws {
        let witness = witness()
        _ = try await witness.addCheckpoint(request(log, old: 0, 5), of: known)
        let other = WitnessedLog(origin: "other.example", keys: [log.ledgerVKey])
        let stranger = WitnessedLog(origin: log.origin, keys: [log.witnessVKey])
        func answer(_ body: [UInt8], _ log: WitnessedLog?) async throws -> WitnessAnswer {
            try await witness.addCheckpoint(body, of: log)
        }
        #expect(try await answer(Array("old 5\n".utf8), known) == .malformed)
        #expect(try await answer(Array("old 05\n\n".utf8) + log.checkpoint(8), known) == .malformed)
        #expect(try await answer(request(log, old: 5, 8), nil) == .unknownOrigin)
        #expect(try await answer(request(log, old: 5, 8), other) == .unknownOrigin)
        #expect(try await answer(request(log, old: 5, 8), stranger) == .untrusted)
        #expect(try await answer(request(log, old: 9, 8), known) == .oldSizeTooLarge)
        #expect(try await answer(request(log, old: 0, 8), known) == .conflict(size: 5))
        #expect(try await answer(request(log, old: 4, 4), known) == .conflict(size: 5))
        #expect(try await answer(request(log, old: 5, 8, proof: []), known) == .proofInvalid)
        #expect(try await answer(request(log, old: 5, 5, proof: [log.root()]), known) == .proofInvalid)
        let tooMany = Array(repeating: log.root(), count: 64)
        #expect(try await answer(request(log, old: 5, 8, proof: tooMany), known) == .malformed)
        let answers: [WitnessAnswer] = [
            .malformed, .oldSizeTooLarge, .untrusted, .unknownOrigin, .conflict(size: 5), .proofInvalid,
        ]
        #expect(answers.map(\.status) == [400, 400, 403, 404, 409, 422])
        #expect(try await witness.evidence().isEmpty)
    }

    @Test("never cosigns another history, and keeps the proof of it")
    func forks() async throws {
        let witness = witness()
        _ = try await witness.addCheckpoint(request(log, old: 0, 6), of: known)
        // The same size with another root, whatever old size is claimed.
        #expect(try await witness.addCheckpoint(request(fork, old: 6, 6), of: known) == .conflict(size: 6))
        #expect(try await witness.addCheckpoint(request(fork, old: 0, 6), of: known) == .conflict(size: 6))
        // A larger one with a proof in its own history.
        #expect(try await witness.addCheckpoint(request(fork, old: 6, 10), of: known) == .proofInvalid)
        let kept = try await witness.evidence()
        #expect(kept.count == 2)
        for file in kept {
            #expect(try ForkEvidence(parsing: file).verify(keyChain: KeyChain([log.ledgerVKey])) == .ok)
        }
        // The history that it stands by goes on.
        let answer = try await witness.addCheckpoint(request(log, old: 6, 12), of: known)
        #expect(answer.status == 200)
    }

    @Test("remembers across a restart, and its times never go back")
    func restarts() async throws {
        let first = witness()
        _ = try await first.addCheckpoint(request(log, old: 0, 8), of: known)
        try database.close()
        time.withLockedValue { $0 -= 5000 }
        let reopened = try WitnessDatabase(path: "\(folder.path("witness.db"))")
        let second = Witness(identity: first.identity, store: reopened, check: .ed25519) { [time] in
            time.withLockedValue { $0 }
        }
        #expect(try await second.addCheckpoint(request(fork, old: 0, 9), of: known) == .conflict(size: 8))
        let answer = try await second.addCheckpoint(request(log, old: 8, 9), of: known)
        #expect(try time(of: answer, size: 9, second) == TestLog.start)
    }

    @Test("of many requests at the same time, in two histories, only those of one are cosigned")
    func races() async throws {
        let witness = witness()
        let (log, fork, known) = (log, fork, known)
        let requests = try (4...12).flatMap { size in
            [(0, try request(log, old: 0, size)), (1, try request(fork, old: 0, size))]
        }
        let cosigned = await withTaskGroup(of: (Int, WitnessAnswer?).self) { group in
            for (branch, body) in requests {
                group.addTask { (branch, try? await witness.addCheckpoint(body, of: known)) }
            }
            var branches: Set<Int> = []
            for await (branch, answer) in group {
                if case .cosigned = answer { branches.insert(branch) }
            }
            return branches
        }
        #expect(cosigned.count == 1)
    }

    @Test("takes the check of signatures as a parameter")
    func countingCheck() async throws {
        let count = NIOLockedValueBox(0)
        let witness = witness(
            check: SignatureCheck { _, _, _ in
                count.withLockedValue { $0 += 1 }
                return true
            }
        )
        let answer = try await witness.addCheckpoint(request(log, old: 0, 5), of: known)
        #expect(answer.status == 200)
        #expect(count.withLockedValue { $0 } == 1)
    }

    @Test("takes evidence that proves a fork, and no other")
    func evidence() async throws {
        let witness = witness()
        let chain = KeyChain([log.ledgerVKey])
        let (a, b) = (log.checkpoint(5, isCosigned: false), fork.checkpoint(9, isCosigned: false))
        let good = ForkEvidence(
            a: try Checkpoint(parsing: a),
            b: try Checkpoint(parsing: b),
            prefixRoot: fork.root(5),
            proof: fork.consistency(from: 5, to: 9)
        )
        let honest = ForkEvidence(a: good.a, b: good.b, prefixRoot: good.a.root, proof: good.proof)
        func add(_ bytes: [UInt8]) async throws -> VerificationResult? {
            try await witness.add(evidence: bytes, origin: log.origin, keyChain: chain)
        }
        #expect(try await add(honest.bytes) == .evidenceInvalid)
        #expect(try await add(Array("{}".utf8)) == .evidenceInvalid)
        #expect(try await add(good.bytes) == .ok)
        #expect(try await add(good.bytes) == .ok)
        #expect(try await witness.evidence() == [good.bytes])
    }

    @Test("begins with what its node verified when it remembers nothing, and with nothing else")
    func recalls() async throws {
        let witness = witness()
        let trusted = try Checkpoint(parsing: log.checkpoint(8))
        #expect(try await !witness.recall(trusted, of: [log.witnessVKey], at: TestLog.start - 9))
        #expect(try await witness.recall(trusted, of: [log.ledgerVKey], at: TestLog.start - 9))
        #expect(try await !witness.recall(try Checkpoint(parsing: log.checkpoint(9)), of: [log.ledgerVKey], at: 1))
        let shown = try Checkpoint(parsing: #require(try await witness.checkpoint(of: log.origin)))
        let lines = try shown.note.verified(by: [log.ledgerVKey, witness.identity.verifierKey])
        #expect(shown.size == 8 && lines.count == 2 && shown.note.signatures.count == 2)
        #expect(lines.compactMap(\.time) == [UInt64(TestLog.start - 9)])
        // As if nothing had been lost: no smaller tree, no other one, and the next one with a proof from there.
        for (other, old, size) in [(log, 0, 5), (fork, 0, 12), (fork, 8, 12), (log, 5, 12)] {
            let answer = try await witness.addCheckpoint(request(other, old: old, size), of: known)
            #expect(answer.status == 409 || answer.status == 422, "\(old) \(size): \(answer)")
        }
        let next = try await witness.addCheckpoint(request(log, old: 8, 12), of: known)
        #expect(try time(of: next, size: 12, witness) == TestLog.start)
    }
}
