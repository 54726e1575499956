internal import Contracts
internal import Logging

/// Holds a ledger back from logging and signing until it is known that its database is not older than what was signed.
///
/// Asks the sign guards, the witnesses and the mirrors that it was given. Until the verdict is clear nothing is written,
/// so that `ledger recover` may fill the database meanwhile; the lock `writer` keeps the two apart.
struct SigningClearance: Sendable {
    /// Pause between two rounds of questions.
    static let pause: Duration = .seconds(2)

    let directory: String
    let store: LedgerStore
    /// Where to ask, read anew for each round.
    let onlookers: @Sendable () -> [Onlooker]
    let logger: Logger

    /// Waits until the ledger may sign.
    ///
    /// - Parameters:
    ///   - stored: what the database held when it was opened.
    ///   - report: told why not, whenever that changes.
    /// - Returns: the lock of the writer, and what the database holds now.
    func wait(
        from stored: StoredLedger,
        _ report: @Sendable (String) async -> Void
    ) async throws -> (lock: DirectoryLock, stored: StoredLedger) {
        var stored = stored
        var told = ""
        while true {
            // Asked before the lock is taken, so that a recovery can have it meanwhile.
            let reader = SightingReader(origin: stored.state.meta?.origin ?? "", ledgerKeys: stored.state.ledgerKeys)
            let sightings = await reader.ask(onlookers())
            let reason: String
            switch try await attempt(&stored, sightings) {
            case .cleared(let lock):
                if !told.isEmpty { logger.notice("the ledger signs again", metadata: ["size": "\(stored.head.size)"]) }
                return (lock, stored)
            case .held(let sentence): reason = sentence
            }
            if reason != told {
                told = reason
                await report(reason)
                logger.error("nothing is logged or signed", metadata: ["reason": "\(reason)"])
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    private enum Attempt {
        case cleared(DirectoryLock)
        case held(String)
    }

    private func attempt(_ stored: inout StoredLedger, _ sightings: [Onlooker: Sighting]) async throws -> Attempt {
        guard let lock = try DirectoryLock(path: "\(directory)/\(LedgerDirectory.writerLock)") else {
            return .held("waiting for the end of the `gw-node ledger recover` that fills this database")
        }
        do {
            if try await store.head() != stored.head { stored = try store.restore() }
            let verdict = try await judge(stored, sightings)
            guard case .wait(let sentence) = verdict else { return .cleared(lock) }
            lock.release()
            return .held(sentence)
        } catch {
            lock.release()
            throw error
        }
    }

    private func judge(
        _ stored: StoredLedger,
        _ sightings: [Onlooker: Sighting]
    ) async throws -> ClearanceRule.Verdict {
        let rule = ClearanceRule(
            head: SignedTree(size: stored.head.size, root: stored.head.root),
            guards: try await store.signedTrees(),
            quorum: stored.state.policy.map(Self.quorum) ?? (0, []),
            sightings: sightings
        )
        return try store.readBlocking { database in
            try rule.judge { size in try LedgerStore.root(at: size, in: database) }
        }
    }

    static func quorum(_ policy: WitnessPolicy) -> (needed: Int, members: [VerifierKey]) {
        guard case .of(let k, let members) = policy.quorum else { return (0, []) }
        return (k, members)
    }
}

extension LedgerStore {
    /// What both sign guards know, with their names.
    func signedTrees() async throws -> [(place: String, tree: SignedTree)] {
        let row = try await read { database in
            try SignGuard.last(database).map { SignedTree(size: $0.size, root: $0.root) }
        }
        var trees: [(place: String, tree: SignedTree)] = []
        if let row { trees.append(("the sign guard of the database", row)) }
        if let tree = guardFile.last { trees.append(("the file \(SignGuardFile.name)", tree)) }
        return trees
    }
}

extension WitnessRoster {
    /// The members to be asked what they have cosigned, as the file names them now.
    var onlookers: [Onlooker] {
        // A file that is not in the form leaves those that were known.
        try? reload()
        return current.map { Onlooker(witness: $0.key, url: $0.url) }
    }
}
