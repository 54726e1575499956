internal import Contracts
internal import Logging

/// Holds a member of a cluster back from logging and signing until it is known that etcd is not older than what was
/// signed.
///
/// etcd that was restored from an old copy goes on from there with members that were behind themselves: nothing that
/// they hold contradicts it. So each member asks at its start, as a ledger alone does: the witnesses, the mirrors, and
/// the other members. Meanwhile it follows the log.
struct MemberClearance: Sendable {
    /// Pause between two looks at the own log while it is followed.
    private static let step: Duration = .milliseconds(100)
    private static let remedy =
        "if no member has them etcd was restored from an old copy: stop all members, and make a new cluster of the one with "
        + "the largest log with `gw-node ledger cluster`"

    let log: ClusterLog
    let mirrors: [String]

    /// Asks until the member may sign, or the task is cancelled.
    func run(_ sequencer: Sequencer) async {
        var told = ""
        while !Task.isCancelled {
            let reason = await attempt(sequencer)
            guard let reason else {
                if !told.isEmpty { log.logger.notice("the member signs again") }
                return await sequencer.restrain(nil)
            }
            if reason != told {
                told = reason
                await sequencer.restrain(.waiting(reason))
                log.logger.error("nothing is logged or signed", metadata: ["reason": "\(reason)"])
            }
        }
    }

    /// One round of questions, and time to follow up to what they show.
    ///
    /// - Returns: what is waited for; nil if the member may sign.
    private func attempt(_ sequencer: Sequencer) async -> String? {
        let reader = SightingReader(origin: log.signer.origin, ledgerKeys: sequencer.state.ledgerKeys)
        let sightings = await reader.ask(await onlookers())
        let end = ContinuousClock.now + SigningClearance.pause
        while true {
            let reason: String
            do {
                guard case .wait(let sentence) = try await judge(sightings, sequencer.state) else { return nil }
                reason = sentence
            } catch {
                reason = "the ledger cannot be read at the moment"
            }
            guard ContinuousClock.now < end, !Task.isCancelled else { return reason }
            try? await Task.sleep(for: Self.step)
        }
    }

    /// An etcd that does not answer names no members; then nothing can be signed either.
    private func onlookers() async -> [Onlooker] {
        let members = (try? await log.otherMembers()) ?? []
        return log.signer.roster.onlookers + (mirrors + members).map { Onlooker(copy: $0) }
    }

    private func judge(
        _ sightings: [Onlooker: Sighting],
        _ state: ContractState
    ) async throws -> ClearanceRule.Verdict {
        let head = try await log.store.head()
        let rule = ClearanceRule(
            head: SignedTree(size: head.size, root: head.root),
            guards: try await log.store.signedTrees(),
            quorum: state.policy.map(SigningClearance.quorum) ?? (0, []),
            sightings: sightings,
            remedy: Self.remedy
        )
        return try log.store.readBlocking { database in
            try rule.judge { size in try LedgerStore.root(at: size, in: database) }
        }
    }
}
