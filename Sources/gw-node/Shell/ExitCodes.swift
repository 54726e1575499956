import ArgumentParser

/// How a gw-node process ends; scripts and service managers rely on the numbers.
enum ExitStatus: Int32, Sendable {
    case done = 0
    /// The answer is "no": the ledger, a gateway or a proof refused.
    case refused = 1
    case usage = 2
    /// The ledger uses a fold version that this build does not know.
    case unsupported = 3
    case unreachable = 69
    case internalError = 70
    case tryAgain = 75
    case configuration = 78
}

/// Why a command ends without doing what it was asked: one sentence that names the object, the rule and the next step.
///
/// Every error that reaches the user is one of these. `code` is stable and for programs, `message` is for people.
struct CommandFailure: Error, Sendable {
    var status: ExitStatus
    var code: String
    var message: String
    /// The sequence number that the ledger expects next, where it said so.
    var expectedSequence: Int64?

    init(_ status: ExitStatus, code: String? = nil, _ message: String, expectedSequence: Int64? = nil) {
        self.status = status
        self.code = code ?? Self.defaultCode(status)
        self.message = message
        self.expectedSequence = expectedSequence
    }

    private static func defaultCode(_ status: ExitStatus) -> String {
        switch status {
        case .done: "ok"
        case .refused: "refused"
        case .usage: "usage"
        case .unsupported: "unsupported"
        case .unreachable: "unreachable"
        case .internalError: "internal"
        case .tryAgain: "try_again"
        case .configuration: "configuration"
        }
    }
}

/// An error type of another part that knows its own sentence and exit code.
///
/// Conformances stand beside the commands that use that part.
protocol CommandFailureConvertible: Error {
    var commandFailure: CommandFailure { get }
}

extension CommandFailure {
    /// Makes one sentence of any error; a type that nobody foresaw becomes an internal error without its dump.
    init(_ error: any Error) {
        switch error {
        case let failure as CommandFailure:
            self = failure
        case let convertible as any CommandFailureConvertible:
            self = convertible.commandFailure
        case let posix as PosixError:
            self.init(.internalError, "the operating system refused \(posix.call): \(posix.reason)")
        case is CancellationError:
            self.init(.tryAgain, code: "cancelled", "the command was interrupted before it was done; run it again")
        default:
            self.init(
                .internalError,
                "gw-node met an error that it has no words for (\(type(of: error))); run it again with "
                    + "--log-level debug and report what it prints"
            )
        }
    }
}

/// The one way out of the process: prints the sentence on stderr, the JSON document on stdout, and exits.
enum Termination {
    static func end(after error: any Error) -> Never {
        let parserCode = GWNode.exitCode(for: error)
        if !(error is CommandFailure), !(error is any CommandFailureConvertible) {
            if parserCode == .success {
                Output.write(GWNode.fullMessage(for: error))
                Posix.exitNow(ExitStatus.done.rawValue)
            }
            if parserCode == .validationFailure {
                finish(CommandFailure(.usage, trimmed(GWNode.fullMessage(for: error))), isSentence: false)
            }
        }
        finish(CommandFailure(error), isSentence: true)
    }

    private static func finish(_ failure: CommandFailure, isSentence: Bool) -> Never {
        Output.writeError(isSentence ? "gw-node: \(failure.message)" : failure.message)
        if CommandLine.arguments.contains("--json") {
            var members: [(String, JSONText)] = [
                ("code", .string(failure.code)), ("message", .string(failure.message)),
            ]
            if let expected = failure.expectedSequence { members.append(("expected_seq", .integer(expected))) }
            Output.write(JSONText.object(members).text)
        }
        Posix.exitNow(failure.status.rawValue)
    }

    private static func trimmed(_ message: String) -> String {
        var text = Substring(message)
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
