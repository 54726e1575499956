internal import Contracts
internal import Foundation
internal import Logging

/// Fork evidence that comes from elsewhere, and that goes elsewhere (protocol.md 10.4).
extension Watcher {
    /// Folder beneath the state directory for evidence that somebody brings: files `*.json`, judged at the next heartbeat.
    public static let inbox = "inbox"
    /// Attempts to bring one file to one receiver while the process lives.
    private static let mostAttempts = 64

    /// Judges fork evidence, from a POST or a file. What is proven for this ledger halts this node, durably.
    ///
    /// - Throws: `LedgerRefusal` when the trust store fails.
    public func receive(evidence bytes: [UInt8]) async throws(LedgerRefusal) -> EvidenceVerdict {
        let verdict: EvidenceVerdict
        do {
            verdict = try await follower.inTurn { try await self.follower.receive(evidence: bytes) }
        } catch {
            throw LedgerRefusal(local: error)
        }
        if case .proven(let digest) = verdict {
            logger.error("evidence of a fork was received", metadata: ["evidence": "\(digest.hex)"])
            await publish()
        }
        return verdict
    }

    /// Judges the files of the inbox; each is taken away, what is proven is kept beside the trust store.
    func takeInbox() async throws -> Bool {
        let folder = "\(store.directory.path)/\(Self.inbox)"
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return false }
        var hasNews = false
        for name in names.sorted().prefix(16) where name.hasSuffix(".json") {
            let path = "\(folder)/\(name)"
            let verdict: EvidenceVerdict =
                if let bytes = StateDirectory.read(path, atMost: ForkEvidence.longest) {
                    try await receive(evidence: bytes)
                } else {
                    .invalid
                }
            if case .proven = verdict { hasNews = true }
            logger.notice("judged evidence", metadata: ["file": "\(path)", "verdict": "\(verdict)"])
            try? FileManager.default.removeItem(atPath: path)
        }
        return hasNews
    }

    /// Brings every file of evidence to peers, witnesses and auditors, each in a task of its own with back-off.
    ///
    /// Runs beside everything else and never keeps it up. After a restart all are told again; they take a file once.
    func deliver() async throws {
        guard !client.others.isEmpty else {
            while true { try await configuration.clock.sleep(for: .seconds(3600)) }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for receiver in client.others {
                group.addTask { try await self.deliver(to: receiver) }
            }
            try await group.waitForAll()
        }
    }

    private func deliver(to receiver: LedgerClient.Source) async throws {
        var backoffs: [String: Backoff] = [:]
        var done: Set<String> = []
        while true {
            var pause = configuration.heartbeat
            for (name, bytes) in store.directory.evidence() where !done.contains(name) {
                do throws(LedgerClientError) {
                    let isProven = try await client.post(evidence: bytes, to: receiver)
                    done.insert(name)
                    logger.notice(
                        "told of the fork",
                        metadata: ["receiver": "\(receiver)", "evidence": "\(name)", "believes": "\(isProven)"]
                    )
                } catch {
                    try Task.checkCancellation()
                    let first = Backoff(base: configuration.firstPause)
                    pause = max(pause, backoffs[name, default: first].failed(fraction: configuration.random()))
                    if backoffs[name, default: first].failures >= Self.mostAttempts { done.insert(name) }
                    _ = note(error)
                }
            }
            try await configuration.clock.sleep(for: pause)
        }
    }
}
