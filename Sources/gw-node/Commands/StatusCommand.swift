import ArgumentParser
import Contracts
import Foundation

/// `status`: what a running gateway serves, over its admin socket.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Print what a running gateway serves: ledger, routes with their conditions, tunnel sessions.",
        discussion: """
            Example:
              gw-node status --config gateway.yaml
              gw-node status --admin /run/gw-node/admin.sock --json
            """
    )

    @Option(help: ArgumentHelp("The gateway configuration, for its admin socket.", valueName: "file")) var config:
        String?
    @Option(help: ArgumentHelp("The admin socket itself.", valueName: "path")) var admin: String?
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (config == nil) != (admin == nil) else {
            throw ValidationError("give --config FILE of the gateway, or --admin PATH of its socket")
        }
    }

    func run() async throws {
        let path: String
        if let admin {
            path = admin.hasPrefix("unix:") ? String(admin.dropFirst(5)) : admin
        } else {
            guard let socket = try GatewayFile(config ?? "").admin else {
                throw CommandFailure(
                    .configuration,
                    "\(config ?? ""): `bind.admin` is missing, so the gateway has no admin socket; add it"
                )
            }
            path = socket
        }
        let body = try await AdminClient(path: path).get("/status")
        guard let document = try? JSONDecoder().decode(StatusDocument.self, from: Data(body)) else {
            throw CommandFailure(
                .unreachable,
                code: "gateway.unreachable",
                "the gateway's status is not of this version"
            )
        }
        common.output.result(.encoded(body), text: document.text)
    }
}

/// What the admin socket answers, as far as people read it.
struct StatusDocument: Decodable {
    struct Ledger: Decodable {
        var size: Int64
        /// Missing before anything was verified.
        var quorum_time: Int64?
        var condition: String
        var age: Int64?
        /// Why the ledger is not followed any more.
        var halt: String?
        var alarms: [Alarm]?
        /// Missing for a node that replayed the log from its first entry.
        var history: History?
    }

    struct History: Decodable {
        var entries: Int64
        var state: String
        var verified: Int64

        var text: String {
            switch state {
            case "attested": "started from a snapshot of \(entries) entries, which auditors attest; not verified here"
            case "verified": "all \(entries) entries before the snapshot verified"
            default: "\(verified) of \(entries) entries before the snapshot verified"
            }
        }
    }

    struct Alarm: Decodable {
        var code: String
        var message: String
    }

    struct Condition: Decodable {
        var type: String
        var status: String
        var reason: String
        var message: String
    }

    struct Route: Decodable {
        var contract: String
        var exposure: String
        var hosts: [String]
        var ports: [String]
        var conditions: [Condition]
        var sessions: Int
    }

    var node: String
    var ledger: Ledger?
    var routes: [Route]
    var generation: Int

    var text: String {
        var lines = ["node      \(node)"]
        if let ledger, let quorumTime = ledger.quorum_time {
            lines.append(
                "ledger    \(ledger.size) entries verified, quorum time \(CalendarTime.text(quorumTime)), "
                    + "\(ledger.age ?? 0) s old, \(ledger.condition)"
            )
            if let history = ledger.history { lines.append("history   \(history.text)") }
            if let halt = ledger.halt { lines.append("HALTED    \(halt)") }
            for alarm in ledger.alarms ?? [] { lines.append("ALARM     \(alarm.code): \(alarm.message)") }
        } else {
            lines.append("ledger    nothing verified yet")
        }
        lines.append("table     generation \(generation), \(routes.count) routes")
        for route in routes {
            let places = (route.hosts + route.ports).joined(separator: " ")
            lines.append("route     \(route.contract) \(route.exposure) \(places), \(route.sessions) sessions")
            for condition in route.conditions {
                lines.append(
                    "          \(condition.type) \(condition.status) \(condition.reason) \(condition.message)"
                )
            }
        }
        return lines.joined(separator: "\n")
    }
}
