public import Contracts
internal import Foundation

/// What the ledger said to a submitted entry. None of it is believed before its proof.
public enum SubmissionAnswer: Sendable, Hashable {
    /// The entry is in the log (201), or was before (200); the receipt has to be verified.
    case included(receipt: [UInt8])
    /// Taken, not yet published (202): ask at `location`, a path of the same source.
    case pending(location: String)
    /// Not taken: the fold code or a code of the server, its sentence, and the sequence it expects.
    case refused(code: String, message: String, expectedSequence: Int64?)
}

/// What GET /tx/<txid> says: a hint, not a proof.
public struct TransactionHint: Sendable, Hashable {
    public enum State: String, Sendable {
        case pending
        case included
        case rejected
    }

    public var state: State
    public var code: String?
    public var index: UInt64?
}

extension LedgerClient {
    /// POST /entries. Submitting the same envelope again is safe: the log takes a txid once.
    ///
    /// - Parameter isAsynchronous: asks for an answer before the entry is in a checkpoint.
    /// - Throws: when no source gave an answer about this entry; it may have been logged all the same.
    public func submit(
        _ envelope: Envelope,
        isAsynchronous: Bool = false
    ) async throws(LedgerClientError) -> SubmissionAnswer {
        let leaf = envelope.leaf
        return try await inTurn { source async throws(LedgerClientError) -> SubmissionAnswer in
            var request = self.request(source, "/entries", self.limits.answerBytes)
            request.method = .post
            request.headers.append(("Content-Type", "application/json"))
            if isAsynchronous { request.headers.append(("Prefer", "respond-async")) }
            request.body = leaf
            request.deadline = self.limits.submissionDeadline
            // The server holds its answer back until the next checkpoint.
            request.slowTime = self.limits.submissionDeadline
            return try self.answer(try await self.send(request), request)
        }
    }

    /// GET /tx/<txid>.
    public func transaction(_ id: Identifier) async throws(LedgerClientError) -> TransactionHint {
        try await inTurn { source async throws(LedgerClientError) -> TransactionHint in
            let request = self.request(source, "/tx/\(id.hex)", self.limits.answerBytes)
            let response = try await self.send(request)
            guard response.status == 200 else { throw self.unexpected(response, request) }
            guard
                let answer = try? JSONDecoder().decode(TransactionDocument.self, from: Data(response.body)),
                let state = TransactionHint.State(rawValue: answer.state)
            else {
                throw LedgerClientError(
                    .malformed,
                    source: source.url,
                    message: "GET \(request.url) did not answer the state of a transaction"
                )
            }
            let code = answer.code.flatMap { Self.isCode($0) ? $0 : nil }
            return TransactionHint(state: state, code: code, index: answer.index)
        }
    }

    /// Whether text is of the form of a code: lower-case words with dots and underscores.
    private static func isCode(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2E || $0 == 0x5F }
    }

    /// The sentence of a server as it may be shown in a terminal: no control characters, at most 256 characters.
    private static func printable(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(256).map { scalar in
            scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format ? " " : scalar
        }
        return String(String.UnicodeScalarView(scalars))
    }

    private func answer(
        _ response: HTTPResponse,
        _ request: HTTPRequest
    ) throws(LedgerClientError) -> SubmissionAnswer {
        switch response.status {
        case 200, 201:
            return .included(receipt: response.body)
        case 202:
            guard let location = response.headers["location"], location.hasPrefix("/") else {
                throw LedgerClientError(
                    .malformed,
                    source: request.source,
                    message: "POST \(request.url) answered 202 without a path to ask at"
                )
            }
            return .pending(location: location)
        default:
            // A mirror takes no entries; an overloaded server gives no verdict on this one.
            let isVerdict =
                (400...499).contains(response.status) && ![404, 405, 408, 410, 429].contains(response.status)
            guard
                isVerdict, let problem = try? JSONDecoder().decode(ProblemDocument.self, from: Data(response.body)),
                Self.isCode(problem.code)
            else { throw unexpected(response, request) }
            let message = problem.detail ?? problem.title ?? "the ledger refused the entry"
            return .refused(
                code: problem.code,
                message: Self.printable(message),
                expectedSequence: problem.expected_seq
            )
        }
    }
}

/// RFC 9457 with the ledger's members.
private struct ProblemDocument: Decodable {
    var code: String
    var title: String?
    var detail: String?
    var expected_seq: Int64?
}

private struct TransactionDocument: Decodable {
    var state: String
    var code: String?
    var index: UInt64?
}
