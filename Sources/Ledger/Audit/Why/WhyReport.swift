public import Contracts

/// Why something is served or refused, at each gateway that is concerned, with the entries that say so.
public struct WhyReport: Sendable {
    /// The answer for one gateway, or for all when no gateway is concerned.
    public struct Answer: Sendable {
        public var node: Identifier?
        public var isServed: Bool
        public var contract: Identifier?

        /// The section of the protocol that decides.
        public var rule: String

        /// A word for programs: a status code, a cause, or one of this page's own.
        public var reason: String

        /// Sentences; each names the entry that it rests on.
        public var message: String

        /// Those entries.
        public var entries: [EntrySummary]

        var json: JSONObject {
            var object: JSONObject = [
                "verdict": .string(isServed ? "served" : "refused"), "rule": .string(rule), "reason": .string(reason),
                "message": .string(message), "entries": .array(entries.map(\.json)),
            ]
            object["contract"] = contract.map { .string($0.hex) }
            object["node"] = node.map { .string($0.hex) }
            return object
        }
    }

    public let subject: WhySubject

    /// Entries of the state that the answer is about, and the time that it is for.
    public let height: UInt64
    public let time: Timestamp

    /// At least one: served ones first, then those that come closest.
    public let answers: [Answer]

    /// Why the entries could not be read; the answer then names none. Nil when they were read.
    public internal(set) var unread: String?

    /// The answer that stands for all.
    public var decisive: Answer { answers[0] }

    /// The document of `why --json`.
    public var json: JSONValue {
        var object = decisive.json
        object["subject"] = .string("\(subject)")
        object["height"] = .integer(Int64(height))
        object["time"] = .integer(time)
        object["unread"] = unread.map { .string($0) }
        if answers.count > 1 { object["nodes"] = .array(answers.map { .object($0.json) }) }
        return .object(object)
    }
}
