import Ledger

/// What people read when the ledger, or the verified copy of it, gives no usable answer.

extension LedgerClientError: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        switch code {
        case .url:
            CommandFailure(.usage, code: code.rawValue, message)
        case .unavailable, .closed:
            CommandFailure(.tryAgain, code: code.rawValue, "\(message); try again in a minute")
        case .cancelled:
            CommandFailure(.tryAgain, code: code.rawValue, "the request to \(source) was interrupted; try again")
        case .malformed, .tooLarge, .redirect:
            CommandFailure(
                .unreachable,
                code: code.rawValue,
                "\(message); check that --ledger names a ledger and not another server"
            )
        case .unreachable, .timeout, .tls, .notFound, .status:
            CommandFailure(.unreachable, code: code.rawValue, "\(message); check --ledger and the network")
        }
    }
}

extension TrustStoreError: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        let status: ExitStatus =
            switch code {
            case .busy: .tryAgain
            case .corrupt, .otherLedger, .io: .configuration
            case .conflict: .internalError
            }
        return CommandFailure(status, code: code.rawValue, message)
    }
}

extension LedgerRefusal: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        if code == "unsupported" { return CommandFailure(.unsupported, code: code, message) }
        switch kind {
        case .unreachable:
            return CommandFailure(.unreachable, code: code, "\(message); check --ledger and the network")
        case .refused:
            return CommandFailure(
                .refused,
                code: code,
                "\(message) (\(code)); nothing of it was believed, check --ledger-id, and tell the ledger's auditors if it is right"
            )
        case .halted:
            return CommandFailure(
                .refused,
                code: code,
                "\(message) (\(code)); this copy follows the ledger no further: show the evidence in the state folder to the auditors, then name the true checkpoint with `gw-node ledger resolve`"
            )
        case .local:
            let trust = TrustStoreError.Code(rawValue: code)
            return trust.map { TrustStoreError($0, message).commandFailure }
                ?? CommandFailure(.internalError, code: code, message)
        }
    }
}

extension SubmissionRefusal: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        EntryRefusal.failure(code: code, message: message, expectedSequence: expectedSequence)
    }
}
