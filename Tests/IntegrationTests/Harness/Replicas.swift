import Contracts
import Foundation
import TestSupport

/// A page of one contract at gateways of farmers of their own, behind agents with keys of their own, each of which leads to a page that
/// says its name.
final class Replicas {
    static let host = "shop.gw.test.example"

    let deployment: Deployment
    private(set) var gateways: [Deployment.Gateway] = []
    private(set) var processes: [NodeProcess] = []
    private(set) var agents: [String: NodeProcess] = [:]
    let contract: String
    private var origins: [String: Origin] = [:]

    /// - Parameters:
    ///   - weights: the agents, by name, in the order of the contract.
    ///   - more: lines for the configuration of every gateway, such as another count of loops.
    init(
        gateways count: Int = 1,
        weights: KeyValuePairs<String, Int>,
        balance: String = "round-robin",
        loops: Int = 1
    ) async throws {
        deployment = try await Deployment()
        try await deployment.makeTwin("user")
        for number in 1...count {
            try await deployment.makeTwin("farmer\(number)")
            let gateway = try await deployment.makeGateway(
                "gw\(number)",
                farmer: "farmer\(number)",
                domain: "gw.test.example"
            )
            let file = deployment.folder.appendingPathComponent(gateway.configuration)
            let text = try String(contentsOf: file, encoding: .utf8)
            try deployment.write(gateway.configuration, text.replacing("loops: 1", with: "loops: \(loops)"))
            gateways.append(gateway)
        }
        for (name, _) in weights {
            try await deployment.run(["keys", "new", "\(name).key"])
            origins[name] = try await Origin.start(.http(text: name))
        }
        try await deployment.act("user", ["name", "reserve", "shop"])
        let names = weights.map(\.key).joined(separator: ", ")
        try deployment.write(
            "shop.yaml",
            """
            gateways: [\(gateways.map { "\"\($0.node)\"" }.joined(separator: ", "))]
            conn: reverse-tls
            backends: [\(weights.map { "{ id: \($0.key), key: \($0.key).key.pub, weight: \($0.value) }" }.joined(separator: ", "))]
            expose:
              - { id: web, kind: http, tls: none, hosts: [\(Self.host)], backends: [\(names)], balance: \(balance) }
            names: [shop]
            limits: { conns: 10000, bps: 100Gbit }
            valid: 30d
            """
        )
        contract = try await deployment.act("user", ["contract", "create", "shop.yaml"]).json()["id"] as? String ?? ""
        processes = try gateways.map { try deployment.start($0) }
        for (name, _) in weights { try startAgent(name) }
        try await eventually(within: 40, "every agent has both sessions at every gateway") {
            for gateway in gateways where try await deployment.sessions(of: gateway).count < 2 * weights.count {
                return false
            }
            return true
        }
    }

    /// Starts an agent, again, or a second one with the same key when `state` names a folder of its own.
    func startAgent(_ name: String, state: String? = nil, more: [String] = []) throws {
        agents[name] = try deployment.startAgent(
            name,
            contract: contract,
            forwards: ["web=\(origins[name]!.target)"],
            state: state,
            more: more
        )
    }

    /// Starts a gateway whose process has ended.
    func restart(gateway place: Int) throws { processes[place] = try deployment.start(gateways[place]) }

    /// The name of the agent that served a visitor; nil when nobody did.
    func ask(_ place: Int = 0, from source: String? = nil) async -> String? {
        let gateway = gateways[place]
        guard let visitor = try? await Visitor(gateway.address, gateway.http, from: source) else { return nil }
        let answer = try? await visitor.get("/", host: Self.host, fields: ["Connection: close"])
        await visitor.close()
        return answer?.status == 200 ? answer?.body : nil
    }
}
