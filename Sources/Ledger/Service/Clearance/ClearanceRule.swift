internal import Contracts

/// Decides whether a ledger may sign, from what it has and what others have seen (protocol.md 11). Pure.
struct ClearanceRule {
    enum Verdict: Sendable, Hashable {
        case clear
        /// Not yet, or never; a sentence says what is waited for.
        case wait(String)
    }

    /// The committed head.
    var head: SignedTree
    /// What the sign guards know, with the name of each.
    var guards: [(place: String, tree: SignedTree)]
    /// The witnesses of the policy's quorum, and of how many each quorum is.
    var quorum: (needed: Int, members: [VerifierKey])
    var sightings: [Onlooker: Sighting]
    /// What to do about entries that are missing.
    var remedy = "`gw-node ledger recover DIR --from URL` fetches them"

    /// How many members of the quorum must have answered.
    ///
    /// Any k of n that made a quorum on a larger tree share a member with every n - k + 1 that answer. Of those, as many
    /// may lie as the policy tolerates, 2k - n - 1: together k. A policy whose quorums need not meet asks for n - k + 1.
    static func answersNeeded(_ needed: Int, of count: Int) -> Int {
        count == 0 ? 0 : max(needed, count - needed + 1)
    }

    /// - Parameter rootAt: root of the database's first so many entries; asked for sizes up to the head's only.
    func judge(rootAt: (UInt64) throws -> Digest) rethrows -> Verdict {
        let seen = seen
        for (place, tree) in seen where tree.size <= head.size {
            let root = try rootAt(tree.size)
            guard root != tree.root else { continue }
            return .wait(
                "size \(tree.size) was signed with root \(tree.root), seen at \(place), and the entries here have root "
                    + "\(root): this database went another way and must not be served; put the right one back"
            )
        }
        if let largest = seen.max(by: { $0.tree.size < $1.tree.size }), largest.tree.size > head.size {
            return .wait(
                "waiting for entries up to size \(largest.tree.size), root \(largest.tree.root), seen at "
                    + "\(largest.place); this database has \(head.size); \(remedy)"
            )
        }
        return try judgeAnswers(rootAt)
    }

    /// Trees that were certainly signed, with who says so; in a fixed order.
    private var seen: [(place: String, tree: SignedTree)] {
        guards
            + sightings.sorted { "\($0.key)" < "\($1.key)" }.compactMap { onlooker, sighting in
                guard case .signed(let tree) = sighting else { return nil }
                return ("\(onlooker)", tree)
            }
    }

    private func judgeAnswers(_ rootAt: (UInt64) throws -> Digest) rethrows -> Verdict {
        let needed = Self.answersNeeded(quorum.needed, of: quorum.members.count)
        var answers = 0
        var reasons: [String] = []
        for key in quorum.members {
            let answered = sightings.first { $0.key.key == key }
            switch answered?.value {
            case .nothing?, .signed?: answers += 1
            // A tree that is a beginning of the one here needs no signature to agree with it.
            case .foreign(let tree)? where try tree.size <= head.size && rootAt(tree.size) == tree.root: answers += 1
            case .foreign(let tree)?:
                reasons.append(
                    "\(key.name): shows size \(tree.size), root \(tree.root), signed by keys this database does not know"
                )
            case .unusable(let reason)?: reasons.append("\(key.name): \(reason)")
            case nil: reasons.append("\(key.name): no URL is known")
            }
        }
        guard answers < needed else { return .clear }
        return .wait(
            "waiting for \(needed) of the \(quorum.members.count) witnesses to say what they have cosigned; \(answers) "
                + "did (\(reasons.joined(separator: "; ")))"
        )
    }
}
