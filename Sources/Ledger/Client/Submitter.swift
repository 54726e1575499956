public import Contracts

/// An entry that is in the log, with code `ok` in the local fold.
public struct Submission: Sendable, Hashable {
    /// The txid.
    public var id: Identifier
    /// Index in the log.
    public var index: UInt64
    /// Always `ok`; for output beside refusals.
    public var code: Code
    /// The verified receipt (C2SP tlog-proof).
    public var receipt: [UInt8]
}

/// Why an entry was not accepted, with the sequence the ledger expects if it said so.
public struct SubmissionRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// A fold code of protocol.md 3.4, or a code of the server.
    public var code: String
    public var message: String
    public var expectedSequence: Int64?

    public var description: String { "\(message) [\(code)]" }
}

/// Builds, signs and submits entries, and believes the ledger only with a proof.
///
/// The sequence comes from the verified lane. On `seq.gap` or `seq.replay` the lane is read again and the entry is made
/// once more. An entry counts as accepted when its receipt verifies and the local fold of the log gives `ok` at its
/// index. Any task; entries of one lane must be submitted one after the other.
public struct Submitter: Sendable {
    /// Seconds an entry stays valid after it was made: long enough for a ledger that is down, short enough that a lost
    /// entry does not come back.
    public static let lifetime: Int64 = 86_400
    /// How far above the verified lane a sequence the ledger asks for may lie: entries that are taken, not published.
    static let largestLead: Int64 = 256

    public let watcher: Watcher
    /// Time for all of it, from the first request to the verified outcome.
    public var deadline: Duration

    public init(watcher: Watcher, deadline: Duration = .seconds(60)) {
        self.watcher = watcher
        self.deadline = deadline
    }

    /// Submits one entry for an account and returns it verified.
    ///
    /// - Parameters:
    ///   - account: nil for twin.create.
    ///   - key: the primary signer, whose lane is used.
    ///   - cosigners: other keys the type demands.
    /// - Throws: `SubmissionRefusal` when the ledger or the fold says no, `LedgerRefusal` when nothing is known for sure.
    public func submit(
        _ body: EntryBody,
        account: Identifier?,
        key: SigningKey,
        cosigners: [SigningKey] = []
    ) async throws -> Submission {
        let elapsed = stopwatch(watcher.configuration.clock)
        var state = try await verified(elapsed)
        var hint: Int64 = 0
        for isLastTry in [false, true] {
            let lane = account.map { state.state.lane(account: $0, key: key.keyID) } ?? 0
            let sequence = min(max(lane, hint) + 1, lane + Self.largestLead)
            let envelope = envelope(body, account, [key] + cosigners, sequence, state)
            do {
                return try await deliver(envelope, elapsed)
            } catch let refusal as SubmissionRefusal {
                let isSequence = refusal.code == Code.seqGap.rawValue || refusal.code == Code.seqReplay.rawValue
                guard isSequence, account != nil, !isLastTry else { throw refusal }
                state = try await verified(elapsed)
                // The ledger counts entries that are taken and not published; its word only chooses a sequence.
                hint = max(1, refusal.expectedSequence ?? 1) - 1
            }
        }
        preconditionFailure("the second try returns or throws")
    }

    /// Submits entries of one lane in their order without waiting in between, and returns each one's result.
    ///
    /// The ledger logs them in one or a few batches. When it refuses one, those after it fail as `seq.gap`; the caller
    /// submits again what is still to be said.
    public func submitAll(
        _ bodies: [EntryBody],
        account: Identifier,
        key: SigningKey
    ) async -> [Result<Submission, any Error>] {
        let elapsed = stopwatch(watcher.configuration.clock)
        let state: VerifiedState
        do {
            state = try await verified(elapsed)
        } catch {
            return bodies.map { _ in .failure(error) }
        }
        var sequence = state.state.lane(account: account, key: key.keyID)
        var sent: [(envelope: Envelope, answer: Result<SubmissionAnswer, any Error>)] = []
        for body in bodies {
            sequence += 1
            let envelope = envelope(body, account, [key], sequence, state)
            do {
                let answer = try await insisting(elapsed) { () async throws(LedgerClientError) in
                    try await watcher.client.submit(envelope, isAsynchronous: true)
                }
                sent.append((envelope, .success(answer)))
            } catch {
                sent.append((envelope, .failure(error)))
            }
        }
        var results: [Result<Submission, any Error>] = []
        for (envelope, answer) in sent {
            do {
                results.append(.success(try await settle(try answer.get(), envelope, elapsed)))
            } catch {
                results.append(.failure(error))
            }
        }
        return results
    }

    private func envelope(
        _ body: EntryBody,
        _ account: Identifier?,
        _ keys: [SigningKey],
        _ sequence: Int64,
        _ verified: VerifiedState
    ) -> Envelope {
        EntryDraft(
            body,
            ledger: watcher.configuration.ledgerID,
            account: account,
            signer: keys[0].keyID,
            seq: sequence,
            // An idle ledger's time stands still until the next entry brings a tick, so the local clock counts too.
            expires: max(verified.state.now, watcher.configuration.now()) + Self.lifetime
        ).signed(by: keys)
    }

    // MARK: One envelope

    /// Sends the envelope until the ledger answers; sending it again is safe, the log takes a txid once.
    private func deliver(_ envelope: Envelope, _ elapsed: @Sendable () -> Duration) async throws -> Submission {
        let answer = try await insisting(elapsed) { () async throws(LedgerClientError) in
            try await watcher.client.submit(envelope)
        }
        return try await settle(answer, envelope, elapsed)
    }

    private func settle(
        _ answer: SubmissionAnswer,
        _ envelope: Envelope,
        _ elapsed: @Sendable () -> Duration
    ) async throws -> Submission {
        switch answer {
        case .included(let receipt):
            return try await confirm(envelope, receipt, elapsed)
        case .pending:
            return try await awaitInclusion(envelope, elapsed)
        case .refused(let code, let message, let expected):
            throw SubmissionRefusal(code: code, message: message, expectedSequence: expected)
        }
    }

    /// Asks for a taken entry until it is published.
    private func awaitInclusion(
        _ envelope: Envelope,
        _ elapsed: @Sendable () -> Duration
    ) async throws -> Submission {
        var backoff = Backoff(base: .milliseconds(200), cap: .seconds(2))
        while elapsed() < deadline {
            let hint: TransactionHint
            do {
                hint = try await insisting(elapsed, isPatient: false) { () async throws(LedgerClientError) in
                    try await watcher.client.transaction(envelope.id)
                }
            } catch let refusal as LedgerRefusal where refusal.code == LedgerClientError.Code.notFound.rawValue {
                // The server forgot it, as after a restart before its commit: nothing is lost by sending it again.
                try await pause(&backoff)
                return try await deliver(envelope, elapsed)
            }
            if hint.state == .rejected {
                let code = hint.code ?? Code.payloadSchema.rawValue
                throw SubmissionRefusal(code: code, message: "the ledger refused the entry: \(code)")
            }
            if hint.state == .included, let index = hint.index {
                let receipt = try await insisting(elapsed) { () async throws(LedgerClientError) in
                    try await watcher.client.receipt(index: index)
                }
                return try await confirm(envelope, receipt, elapsed)
            }
            try await pause(&backoff)
        }
        throw LedgerRefusal(
            .unreachable,
            code: LedgerClientError.Code.timeout.rawValue,
            source: watcher.client.sources[0].url,
            message: "the ledger took entry \(envelope.id.hex) and did not publish it in time; it may still appear"
        )
    }

    /// Checks the proof and waits for the local fold to reach the entry.
    private func confirm(
        _ envelope: Envelope,
        _ bytes: [UInt8],
        _ elapsed: @Sendable () -> Duration
    ) async throws -> Submission {
        let index = try verify(bytes, envelope)
        let rest = max(.seconds(1), deadline - elapsed())
        _ = try await watcher.state(reaching: index + 1, within: rest)
        guard let outcome = try await watcher.outcome(at: index), outcome.id == envelope.id else {
            throw unproven("the receipt names index \(index), where the log has another entry")
        }
        guard outcome.code == .ok else {
            let message =
                "the ledger logged the entry at index \(index), where it has no effect: \(outcome.code.rawValue)"
            throw SubmissionRefusal(code: outcome.code.rawValue, message: message)
        }
        return Submission(id: envelope.id, index: index, code: .ok, receipt: bytes)
    }

    /// Index of the envelope by its receipt: the checkpoint is signed and has its quorum, the leaf is in its tree.
    private func verify(_ bytes: [UInt8], _ envelope: Envelope) throws -> UInt64 {
        guard let state = watcher.latest?.state, let origin = state.meta?.origin, let policy = state.policy else {
            throw unproven("there is no verified state to check the receipt with")
        }
        let receipt: Receipt
        do {
            receipt = try Receipt(parsing: bytes)
        } catch {
            throw unproven("the ledger's receipt is malformed: \(error)")
        }
        let judge = CheckpointJudge(
            origin: origin,
            ledgerKeys: state.ledgerKeys,
            policy: policy,
            dev: watcher.configuration.isDev
        )
        let now = watcher.configuration.now()
        let result = receipt.verify(leaf: envelope.leaf, judge: judge, localNow: now)
        guard result == .ok else {
            let what = "the ledger's receipt for index \(receipt.index) does not prove the entry: \(result.rawValue)"
            throw unproven(what, result)
        }
        return receipt.index
    }

    private func unproven(_ message: String, _ result: VerificationResult = .entriesMismatch) -> LedgerRefusal {
        LedgerRefusal(
            .refused,
            code: result.rawValue,
            source: watcher.client.sources[0].url,
            message: message
        )
    }

    // MARK: Patience

    /// The newest verified state; a ledger that is starting up is waited for, one that is away is not.
    private func verified(_ elapsed: @Sendable () -> Duration) async throws -> VerifiedState {
        var backoff = Backoff(base: watcher.configuration.firstPause, cap: .seconds(2))
        while true {
            do {
                return try await watcher.catchUp()
            } catch let refusal as LedgerRefusal {
                let isStarting = refusal.code == LedgerClientError.Code.unavailable.rawValue
                guard isStarting, elapsed() < deadline else { throw refusal }
                try await pause(&backoff)
            }
        }
    }

    /// Repeats a request that passing failures stop, until the deadline; an impatient one stops at "not found".
    private func insisting<Answer: Sendable>(
        _ elapsed: @Sendable () -> Duration,
        isPatient: Bool = true,
        _ request: () async throws(LedgerClientError) -> Answer
    ) async throws -> Answer {
        var backoff = Backoff(base: watcher.configuration.firstPause)
        while true {
            do throws(LedgerClientError) {
                return try await request()
            } catch {
                let isOver = elapsed() >= deadline || (!isPatient && error.code == .notFound)
                guard error.mayRetry, !isOver else { throw LedgerRefusal(error) }
                var least = Duration.zero
                if case .later(let asked?) = error.retry { least = asked }
                try await pause(&backoff, atLeast: least)
            }
        }
    }

    private func pause(_ backoff: inout Backoff, atLeast least: Duration = .zero) async throws {
        let wait = backoff.failed(fraction: watcher.configuration.random(), atLeast: least)
        try await watcher.configuration.clock.sleep(for: wait)
    }
}
