internal import Contracts
internal import Logging

/// The background task of `verifiesHistory`.
extension Watcher {
    /// Verifies the history behind a snapshot once there is one, then rests until it is cancelled.
    func verifyHistory() async throws {
        for await _ in changes {
            guard let origin = await follower.unverifiedOrigin else { break }
            try await verify(origin)
            break
        }
        while true { try await configuration.clock.sleep(for: .seconds(3600)) }
    }

    private func verify(_ origin: SnapshotOrigin) async throws {
        let check = HistoryCheck(
            origin: origin,
            follower: follower,
            store: store,
            configuration: configuration,
            logger: logger
        )
        logger.notice(
            "verifying the history behind the snapshot in the background",
            metadata: ["entries": "\(origin.note.size)"]
        )
        var backoff = Backoff(base: configuration.firstPause)
        do {
            let verdict = try await check.run { entries in
                await follower.noteHistory(entries: entries)
                backoff.succeeded()
            } wait: { refusal in
                _ = try passing(refusal)
                try await configuration.clock.sleep(for: backoff.failed(fraction: configuration.random()))
            }
            try await follower.inTurn { try await self.follower.take(verdict, of: origin, in: self.store) }
            check.forget()
            await publish()
        } catch let error as AuditStoreError {
            throw LedgerRefusal(.local, code: TrustStoreError.Code.io.rawValue, source: "", message: "\(error)")
        }
    }
}

extension LedgerFollower {
    /// The snapshot that this node started from, unless its history was verified or it is known to be false.
    var unverifiedOrigin: SnapshotOrigin? {
        guard let origin, !origin.isVerified, position.halt?.result != .stateDivergence else { return nil }
        return origin
    }

    /// Takes note of how far the background task is.
    func noteHistory(entries: UInt64) {
        verifiedEntries = entries
    }

    /// What `status` says about the history.
    var history: SnapshotHistory? {
        guard let origin else { return nil }
        if origin.isVerified { return .verified(size: origin.note.size) }
        return verifiedEntries.map { .verifying(entries: $0, size: origin.note.size) }
            ?? .attested(size: origin.note.size)
    }

    /// Makes the verdict durable: the history counts as verified, or the node halts.
    func take(_ verdict: HistoryCheck.Verdict, of origin: SnapshotOrigin, in store: TrustStore) async throws {
        switch verdict {
        case .same:
            try await store.markHistoryVerified()
            self.origin?.isVerified = true
            logger.notice(
                "the history gives the attested state: verified from the first entry",
                metadata: ["entries": "\(origin.note.size)"]
            )
        case .different(let outcomeRoot, let stateRoot, let difference):
            // Evidence first: a halt without it would ask an operator to believe.
            let path = try store.keep(
                DivergenceEvidence(manifest: origin.manifest, outcomeRoot: outcomeRoot, stateRoot: stateRoot)
            )
            try await stop(
                .stateDivergence,
                "the snapshot of size \(origin.note.size) that this node started from is false: its auditors attest "
                    + "another \(difference) than the log gives; evidence is in \(path); get a checkpoint from people "
                    + "and run `gw-node ledger resolve`, which verifies from the first entry"
            )
        }
    }
}

/// What convicts auditors of a false attestation: their signed note, and the digests that the log gives at its size.
/// Anybody who replays the log can compare.
struct DivergenceEvidence: Sendable {
    var manifest: [UInt8]
    var outcomeRoot: Digest
    var stateRoot: Digest

    /// RFC 8785 form: `{"computed":{"outcome_root":hex,"state_root":hex},"note":text,"type":"webgw/divergence@v1"}`.
    var bytes: [UInt8] {
        let computed: JSONObject = ["outcome_root": .string(outcomeRoot.hex), "state_root": .string(stateRoot.hex)]
        let members: JSONObject = [
            "computed": .object(computed), "note": .string(String(decoding: manifest, as: UTF8.self)),
            "type": "webgw/divergence@v1",
        ]
        return JSONValue.object(members).canonical
    }

    var name: String { "divergence-\(Digest.sha256(bytes).hex.prefix(16)).json" }
}

extension TrustStore {
    func keep(_ evidence: DivergenceEvidence) throws -> String {
        let path = try directory.write(evidence.bytes, named: evidence.name)
        directory.synchronize()
        return path
    }
}
