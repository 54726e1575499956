import Gateway

/// What people read when a gateway cannot start.
extension GatewayError: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        let isBinding = subject.hasPrefix("bind")
        return CommandFailure(
            isBinding ? .configuration : .internalError,
            code: isBinding ? "gateway.bind" : "gateway.start",
            "the gateway cannot start: \(self); "
                + (isBinding ? "choose another address, or stop what uses it" : "look at the log above")
        )
    }
}
