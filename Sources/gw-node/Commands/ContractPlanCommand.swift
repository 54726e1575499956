import ArgumentParser
import Contracts

extension ContractCommand {
    /// Says before signing what would come of a contract file.
    struct Plan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "plan",
            abstract: "Say, before signing, what each gateway of a contract file will accept, and why not.",
            discussion: """
                Nothing is signed or sent. Exit code 0: all of it would be accepted; 1: something would be refused.

                Example:
                  gw-node contract plan contract.yaml --key user.key
                  gw-node contract plan contract.yaml --update ID --key user.key
                """
        )

        @Argument(help: ArgumentHelp("The contract file (YAML).", valueName: "file")) var file: String
        @Option(help: ArgumentHelp("The contract whose terms the file would replace.", valueName: "id")) var update:
            String?
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let contract = try ContractFile(file)
            let updating = try update.map { try IdentifierArgument.read($0, "contract") }
            var isAccepted = false
            try await LedgerSession.run(ledger, signing, common) { session in
                let state = try await session.state()
                let actor = try session.actor(in: state)
                if let updating {
                    let row = try ContractCommand.row(updating, in: state)
                    guard row.owner == actor.twin, row.isLive else {
                        let code: Code = row.isLive ? .contractForbidden : .contractDeleted
                        throw CommandFailure(.refused, code: code.rawValue, EntryRefusal.sentence(of: code.rawValue))
                    }
                }
                let plan = ContractPlan(
                    contract,
                    in: state,
                    owner: actor.twin,
                    cosigners: [actor.key.keyID] + session.cosigners.map(\.keyID),
                    updating: updating
                )
                common.output.result(plan.json, text: plan.text)
                isAccepted = plan.isAccepted
            }
            if !isAccepted { Posix.exitNow(ExitStatus.refused.rawValue) }
        }
    }
}

extension ContractPlan {
    var json: JSONText {
        .object([
            ("verdict", .string(isAccepted ? "accepted" : "refused")),
            ("reasons", .array(reasons.map(Self.json))),
            ("gateways", .array(gateways.map(Self.json))),
            ("warnings", .strings(warnings)),
        ])
    }

    private static func json(_ reason: Reason) -> JSONText {
        .object([("code", .string(reason.code)), ("message", .string(reason.message))])
    }

    private static func json(_ gateway: Gateway) -> JSONText {
        var members: [(String, JSONText)] = [("gateway", .string(gateway.text))]
        if let node = gateway.node { members.append(("node", .string(node.hex))) }
        if let farm = gateway.farm { members.append(("farm", .string(farm))) }
        if let region = gateway.region {
            members.append(("country", .string(region.country)))
            if let place = region.place { members.append(("place", .string(place))) }
        }
        members.append(("accepts", .boolean(gateway.reasons.isEmpty)))
        members.append(("reasons", .array(gateway.reasons.map(json))))
        members.append(("notes", .strings(gateway.notes)))
        if let time = gateway.lastReport { members.append(("last_report", .integer(time))) }
        return .object(members)
    }

    var text: String {
        var lines = ["\(path): \(isAccepted ? "would be accepted" : "would be refused")"]
        for reason in reasons { lines.append("  \(reason.code): \(reason.message)") }
        for gateway in gateways {
            let place = [gateway.farm, gateway.region?.text].compactMap(\.self).joined(separator: ", ")
            let verdict = gateway.reasons.isEmpty ? "accepts" : "refuses"
            lines.append("gateway \(gateway.text)\(place.isEmpty ? "" : " (\(place))"): \(verdict)")
            for reason in gateway.reasons { lines.append("  \(reason.code): \(reason.message)") }
            for note in gateway.notes { lines.append("  note: \(note)") }
            if let time = gateway.lastReport { lines.append("  last report: \(CalendarTime.text(time))") }
        }
        for warning in warnings { lines.append("warning: \(warning)") }
        return lines.joined(separator: "\n")
    }
}
