internal import Contracts
internal import HTTPTypes
internal import Logging

/// Too few witnesses cosigned; asking again may help.
struct QuorumMissing: Error, CustomStringConvertible {
    /// What each witness that did not cosign said.
    var reasons: [String]

    var description: String {
        "too few witnesses cosign: \(reasons.isEmpty ? "none can be asked" : reasons.joined(separator: "; "))"
    }
}

/// Asks witnesses to cosign checkpoints, all at the same time, until there is a quorum (C2SP tlog-witness).
///
/// Every line is verified before it counts, and every answer is bounded in size and time: a witness that lies, hangs or
/// is gone costs its own cosignature and nothing else. What it remembers, the size at which each witness is, is a hint
/// that the witness's 409 corrects.
actor CosignatureCollector {
    private struct Refusal: Error {
        var reason: String
    }

    private struct Cosigned: Sendable {
        var line: SignedNote.Signature
        var verified: SignedNote.Verified
    }

    private let store: LedgerStore
    private let roster: WitnessRoster
    private let limits: ServiceLimits
    private let clock: @Sendable () -> Timestamp
    private let logger: Logger
    private var sizes: [VerifierKey: UInt64] = [:]
    private var client: LedgerClient?
    /// What was last logged about a witness that does not cosign.
    private var complaints: [VerifierKey: String] = [:]

    init(
        store: LedgerStore,
        roster: WitnessRoster,
        limits: ServiceLimits,
        clock: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.store = store
        self.roster = roster
        self.limits = limits
        self.clock = clock
        self.logger = logger
    }

    /// The checkpoint with cosignatures that satisfy all of the policies.
    ///
    /// - Throws: `QuorumMissing` when all witnesses answered or ran out of time.
    func cosign(_ checkpoint: Checkpoint, policies: [WitnessPolicy]) async throws -> Checkpoint {
        let keys = Set(policies.flatMap { $0.witnesses.map(\.key) })
        guard policies.contains(where: { $0.quorum != .none }) else { return checkpoint }
        do {
            try roster.reload()
        } catch {
            logger.error("the list of witnesses was not read again", metadata: ["reason": "\(error)"])
        }
        let members = roster.current.filter { keys.contains($0.key) }
        let client = try client(for: members.map(\.url))
        let sources = Dictionary(uniqueKeysWithValues: zip(members.map(\.key), client?.sources ?? []))
        let now = clock()
        return try await withThrowingTaskGroup(of: (VerifierKey, Result<Cosigned, Refusal>).self) { group in
            for member in members {
                guard let client, let source = sources[member.key] else { continue }
                group.addTask { (member.key, await self.ask(member.key, client, source, checkpoint)) }
            }
            defer { group.cancelAll() }
            var lines: [SignedNote.Signature] = []
            var verified: [SignedNote.Verified] = []
            var reasons: [String] = []
            while let (key, result) = try await group.next() {
                switch result {
                case .success(let cosigned):
                    lines.append(cosigned.line)
                    verified.append(cosigned.verified)
                    note(key, nil)
                case .failure(let refusal):
                    reasons.append("\(key.name): \(refusal.reason)")
                    note(key, refusal.reason)
                }
                let isEnough = policies.allSatisfy { policy in
                    if case .met = policy.judge(verified, localNow: now) { true } else { false }
                }
                if isEnough { return checkpoint.adding(lines) }
            }
            throw QuorumMissing(reasons: reasons)
        }
    }

    /// The cosignature of one witness.
    private func ask(
        _ key: VerifierKey,
        _ client: LedgerClient,
        _ source: LedgerClient.Source,
        _ checkpoint: Checkpoint
    ) async -> Result<Cosigned, Refusal> {
        var old = sizes[key] ?? 0
        do {
            // The second try knows the witness's size, the third is for one that moved in between.
            for _ in 0..<3 {
                guard old <= checkpoint.size else {
                    return .failure(Refusal(reason: "it has cosigned size \(old) already, beyond \(checkpoint.size)"))
                }
                let proof =
                    old == 0 || old == checkpoint.size
                    ? [] : try await store.consistencyProof(from: old, to: checkpoint.size)
                let body = AddCheckpointRequest(oldSize: old, proof: proof, checkpoint: checkpoint)
                var request = client.request(source, "/add-checkpoint", limits.witnessAnswerBytes)
                request.method = .post
                request.headers.append(("Content-Type", "text/plain; charset=utf-8"))
                request.body = body.bytes
                request.connect = limits.witnessTime
                request.deadline = limits.witnessTime
                let response = try await client.send(request)
                switch response.status {
                case 200:
                    let cosigned = try verified(response.body, key, checkpoint)
                    sizes[key] = max(sizes[key] ?? 0, checkpoint.size)
                    return .success(cosigned)
                case 409:
                    guard let size = Decimal53.parse(response.body.dropLast()), response.body.last == 0x0A else {
                        return .failure(Refusal(reason: "its 409 names no size"))
                    }
                    guard size != old else {
                        return .failure(Refusal(reason: "it stands by another tree of size \(size): a fork"))
                    }
                    sizes[key] = size
                    old = size
                default:
                    return .failure(Refusal(reason: "it answers \(response.status)"))
                }
            }
            return .failure(Refusal(reason: "it names another size at each try"))
        } catch let refusal as Refusal {
            return .failure(refusal)
        } catch let error as LedgerClientError {
            return .failure(Refusal(reason: error.message))
        } catch {
            return .failure(Refusal(reason: "\(error)"))
        }
    }

    private func verified(_ body: [UInt8], _ key: VerifierKey, _ checkpoint: Checkpoint) throws -> Cosigned {
        guard let note = try? SignedNote(parsing: checkpoint.note.text + [0x0A] + body),
            let line = note.signatures.first(where: { line in
                line.hash == key.hash && line.name.utf8.elementsEqual(key.name.utf8)
            })
        else { throw Refusal(reason: "its answer has no line of its key") }
        let alone = SignedNote(text: note.text, signatures: [line])
        guard let verified = try? alone.verified(by: [key]).first else {
            throw Refusal(reason: "its cosignature does not verify")
        }
        return Cosigned(line: line, verified: verified)
    }

    /// One client for all witnesses, made anew when their URLs change.
    private func client(for urls: [String]) throws -> LedgerClient? {
        if let client, client.sources.map(\.url) == urls { return client }
        client?.shutdown()
        client = nil
        guard !urls.isEmpty else { return nil }
        client = try LedgerClient(urls: urls, logger: logger)
        return client
    }

    /// Logs a witness that stops cosigning, or that cosigns again.
    private func note(_ key: VerifierKey, _ reason: String?) {
        guard complaints[key] != reason else { return }
        complaints[key] = reason
        let metadata: Logger.Metadata = ["witness": "\(key.name)"]
        if let reason {
            logger.warning("a witness does not cosign: \(reason)", metadata: metadata)
        } else {
            logger.notice("a witness cosigns again", metadata: metadata)
        }
    }

    func shutdown() {
        client?.shutdown()
        client = nil
    }
}
