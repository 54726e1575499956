import Contracts
import Foundation
import Ledger

/// A gateway on this machine that answers `why`: its trust store for what is allowed, its admin socket for what is.
struct WhyGateway {
    /// What the gateway says beside the ledger.
    struct Conditions {
        /// Why it follows the ledger no further.
        var halt: String?
        /// Nil when no running gateway answered.
        var routes: [StatusDocument.Route]?

        var json: JSONValue {
            var object: JSONObject = ["running": .boolean(routes != nil)]
            object["halt"] = halt.map { .string($0) }
            object["conditions"] = routes.map { routes in
                .array(
                    routes.flatMap(\.conditions).map {
                        [
                            "type": .string($0.type), "status": .string($0.status), "reason": .string($0.reason),
                            "message": .string($0.message),
                        ]
                    }
                )
            }
            return .object(object)
        }

        var text: String {
            var lines: [String] = []
            if let halt { lines.append("HALTED: \(halt)") }
            guard let routes else { return (lines + ["the gateway is not running"]).joined(separator: "\n") }
            if routes.isEmpty { lines.append("the running gateway has no route of it in its table") }
            for route in routes {
                lines.append("the running gateway says of \(route.exposure), \(route.sessions) sessions:")
                lines += route.conditions.map { "  - \($0.type) \($0.status) \($0.reason) \($0.message)" }
            }
            return lines.joined(separator: "\n")
        }
    }

    private let file: GatewayFile
    private let ledger: LedgerReference

    /// - Parameter file: the keys that it names are not read.
    init(_ file: GatewayFile) throws(CommandFailure) {
        self.file = file
        ledger = try LedgerReference(file.ledger, state: file.state)
    }

    /// Answers about this gateway, or the node that the question names; conditions only for its newest height.
    func answer(
        _ question: WhyQuestion,
        _ common: CommonOptions,
        _ progress: (UInt64) -> Void
    ) async throws -> (WhyReport, Conditions?) {
        var question = question
        if question.node == nil { question.node = file.node }
        let record = try TrustRecord.read(folder: ledger.stateFolder, ledgerID: ledger.id)
        guard record.position.size > 0 else {
            throw CommandFailure(
                .tryAgain,
                code: "gateway.empty",
                "this gateway has not verified anything of its ledger yet; see `gw-node status --config \(file.path)`"
            )
        }
        let clients = try (ledger.urls + ledger.others.mirrors).map {
            try LedgerClient(urls: [$0], logger: common.logger("why"))
        }
        defer { for client in clients { client.shutdown() } }
        let report = try await question.answer(
            from: record,
            reading: clients.map { ServedLog($0) },
            localNow: Posix.now(),
            progress: progress
        )
        guard question.height == nil, question.node == file.node else { return (report, nil) }
        let halt = record.position.halt.map { "\($0.message) (\($0.result.rawValue))" }
        return (report, Conditions(halt: halt, routes: try await routes(of: report.decisive.contract, question)))
    }

    /// What the running gateway says of the contract that decides; nil when none answers.
    private func routes(of contract: Identifier?, _ question: WhyQuestion) async throws -> [StatusDocument.Route]? {
        guard let socket = file.admin, let body = try? await AdminClient(path: socket).get("/status"),
            let status = try? JSONDecoder().decode(StatusDocument.self, from: Data(body))
        else { return nil }
        return status.routes.filter { $0.contract == contract?.hex && $0.isAbout(question.subject) }
    }
}

extension StatusDocument.Route {
    /// Whether the route stands for what was asked, as far as its hosts or ports say; keys are of whole contracts.
    fileprivate func isAbout(_ subject: WhySubject) -> Bool {
        switch subject {
        case .host(let host):
            let wildcard = host.firstIndex(of: ".").map { "*" + host[$0...] }
            return hosts.contains { $0 == host || $0 == wildcard }
        case .tcp, .udp: return !ports.isEmpty
        case .key: return true
        }
    }
}
