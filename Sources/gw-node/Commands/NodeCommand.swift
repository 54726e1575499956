import ArgumentParser
import Contracts
import Ledger

/// `node`: gateways on the ledger.
struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "Register gateways against the ledger.",
        discussion: """
            Example:
              gw-node node register --farm north --node-key node.key --name gw1 --domain gw.example.org \\
                --endpoint tunnel=gw1.example.org:7443 --endpoint http=gw1.example.org:80 --key farmer.key
            """,
        subcommands: [Register.self]
    )

    struct Register: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "register",
            abstract: "Register a gateway: farmer and node sign, and the node's twin is created when absent.",
            discussion: """
                Without --offer the node offers http, tls and the tcp and udp ports 20000-29999, reverse-tls and
                reverse-raw, free of charge.

                Example:
                  gw-node node register --farm north --node-key node.key --name gw1 --domain gw.example.org \\
                    --endpoint tunnel=gw1.example.org:7443 --endpoint http=gw1.example.org:80 --key farmer.key
                """
        )

        @Option(help: ArgumentHelp("Id or name of the farm.", valueName: "farm")) var farm: String
        @Option(name: .customLong("node-key"), help: ArgumentHelp("Private key file of the node.", valueName: "file"))
        var nodeKey: String
        @Option(help: "Name of the node; unique in its farm is enough.") var name: String
        @Option(
            name: .customLong("domain"),
            help: ArgumentHelp("Domain whose names the gateway serves; repeatable.", valueName: "domain")
        )
        var domains: [String] = []
        @Option(
            name: .customLong("endpoint"),
            help: ArgumentHelp(
                "Public endpoint, PROTO one of http, https, tcp, tunnel, udp; repeatable.",
                valueName: "proto=host:port"
            )
        )
        var endpoints: [String] = []
        @Option(help: ArgumentHelp("Offer file (YAML).", valueName: "file")) var offer: String?
        @Option(help: ArgumentHelp("Where the gateway stands, ISO 3166 code.", valueName: "code")) var country = "ZZ"
        @Option(help: "Where in the country.") var place: String?
        @Option(help: "How to reach the operator; public.") var contact: String?
        @Option(
            name: .customLong("transport-key"),
            help: ArgumentHelp("Public key that agents pin, when it is not the node's.", valueName: "hex|file")
        )
        var transportKey: String?
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard Grammar.isName(name) else {
                throw ValidationError("--name \(name) must have 3 to 50 lower-case letters, digits and inner hyphens")
            }
            for domain in domains where !Grammar.isHost(domain) {
                throw ValidationError("--domain \(domain) must be a host name such as gw.example.org")
            }
            guard Set(domains).count == domains.count, domains.count <= 16 else {
                throw ValidationError("--domain may be given up to 16 times, each time another one")
            }
            guard Grammar.isUpperCase(country, 2...2) else {
                throw ValidationError("--country \(country) must be two upper-case letters such as BE")
            }
            guard place.map({ Grammar.isText($0, 1...64) }) ?? true else {
                throw ValidationError("--place must be one line of at most 64 bytes")
            }
            guard contact.map({ Grammar.isText($0, 1...256) }) ?? true else {
                throw ValidationError("--contact must be one line of at most 256 bytes")
            }
            let parsed = try endpoints.map(Self.endpoint)
            guard Set(parsed).count == parsed.count, (1...32).contains(parsed.count) else {
                throw ValidationError("--endpoint must be given 1 to 32 times, each time another one")
            }
            guard parsed.contains(where: { $0.proto == .tunnel }) else {
                throw ValidationError("one --endpoint must be tunnel=HOST:PORT, the address that agents dial")
            }
        }

        static func endpoint(_ text: String) throws -> Endpoint {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let proto = Endpoint.Proto(rawValue: String(parts[0])),
                let address = SocketAddressText(String(parts[1])), address.port > 0,
                Grammar.isHost(address.host) || Grammar.isIPv4(address.host) || Grammar.isIPv6(address.host)
            else {
                throw ValidationError(
                    "--endpoint \(text) must be like http=gw1.example.org:80 or tunnel=192.0.2.1:7443"
                )
            }
            return Endpoint(host: address.host, port: address.port, proto: proto)
        }

        func run() async throws {
            let node = try KeyFile.read(nodeKey)
            let details = NodeDetails(
                contact: contact,
                domains: domains.sorted(by: precedes),
                endpoints: try endpoints.map(Self.endpoint),
                offer: try offer.map { try OfferFile($0).offer } ?? OfferFile.standard,
                region: Region(country: country, place: place),
                transportKey: try transportKey.map { try KeyFile.publicKey($0) } ?? node.publicKey
            )
            try await LedgerSession.run(ledger, signing, common) { session in
                let twin = try await nodeTwin(node, session)
                let accepted = try await session.submit(alsoSignedBy: [node]) { state, _ in
                    .nodeRegister(
                        NodeRegisterBody(details: details, farm: try farmID(in: state), name: name, twin: twin)
                    )
                }
                common.output.result(
                    accepted.json(adding: [("twin", .string(twin.hex))]),
                    text: "node \(name): \(accepted.text)\ntwin of the node \(twin.hex)"
                )
            }
        }

        private func nodeTwin(_ key: SigningKey, _ session: LedgerSession) async throws -> Identifier {
            if let twin = try await session.state().twins(of: key.keyID).first { return twin }
            let accepted = try await session.createTwin(key)
            common.output.note("created the node's twin \(accepted.id.hex)")
            return accepted.id
        }

        private func farmID(in state: ContractState) throws(CommandFailure) -> Identifier {
            if let id = Identifier(hex: farm) { return id }
            guard let (id, _) = state.farm(named: farm) else {
                throw CommandFailure(
                    .refused,
                    code: "farm.unknown",
                    "the ledger has no farm \"\(farm)\"; check the name, or create it with `gw-node farm create`"
                )
            }
            return id
        }
    }
}
