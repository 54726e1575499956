import Contracts

/// What would become of a contract file if it were signed now: at each gateway it names, and on the ledger.
struct ContractPlan {
    struct Reason {
        var code: String
        var message: String
    }

    /// One gateway of the file.
    struct Gateway {
        /// As the file names it.
        var text: String
        var node: Identifier?
        var farm: String?
        var region: Region?
        /// Why it would not serve the contract; empty when it would.
        var reasons: [Reason] = []
        /// What to know besides.
        var notes: [String] = []
        /// Ledger time of its newest report about any contract.
        var lastReport: Timestamp?
    }

    /// Seconds after which a gateway that has not reported about a contract looks absent.
    private static let patience: Timestamp = 900

    let path: String
    private(set) var gateways: [Gateway] = []
    /// What keeps the contract from the ledger, whatever its gateways say.
    private(set) var reasons: [Reason] = []
    private(set) var warnings: [String] = []

    var isAccepted: Bool { reasons.isEmpty && gateways.allSatisfy(\.reasons.isEmpty) }

    private let state: ContractState
    private let owner: Identifier
    private let updating: Identifier?

    /// - Parameters:
    ///   - owner: the twin that would sign.
    ///   - cosigners: further keys that would sign.
    ///   - updating: the contract whose terms would be replaced; nil for a new one.
    init(
        _ file: ContractFile,
        in state: ContractState,
        owner: Identifier,
        cosigners: [KeyID],
        updating: Identifier? = nil
    ) {
        path = file.path
        self.state = state
        self.owner = owner
        self.updating = updating
        resolve(file)
        let names = readNames(file)
        let live = gateways.compactMap { gateway in gateway.node.flatMap { state.node($0)?.live } }
        let spec = terms(of: file, nodes: live)
        reasons += state.objections(to: spec, account: owner, updating: updating).map(Self.reason)
        for place in gateways.indices {
            guard let node = gateways[place].node, let row = state.node(node)?.live else { continue }
            let objections = state.objections(to: spec, at: node, names: names, updating: updating)
            gateways[place].reasons += objections.map(Self.reason)
            gateways[place].reasons += conflicts(of: spec, at: node)
            if row.details.offer.accept == .cosign, row.twin != owner, !signs(for: row.twin, cosigners) {
                gateways[place].reasons.append(
                    Reason(
                        code: Code.signatureMissing.rawValue,
                        message: "it signs each contract itself; ask its operator, and give its key with --cosigner"
                    )
                )
            }
            addNotes(spec, node, row, &gateways[place])
        }
        warnOfOneOwner()
    }

    private static func reason(_ objection: TermObjection) -> Reason {
        let sentence = EntryRefusal.sentence(of: objection.code.rawValue)
        return Reason(
            code: objection.code.rawValue,
            message: objection.subject.isEmpty ? sentence : "\(objection.subject): \(sentence)"
        )
    }

    // MARK: Reading the file

    private mutating func resolve(_ file: ContractFile) {
        for reference in file.gateways {
            var gateway = Gateway(text: reference.text)
            do {
                let id = try NodeReference(reference.text).resolve(in: state)
                if gateways.contains(where: { $0.node == id }) {
                    gateway.reasons.append(
                        Reason(code: "gateway.twice", message: "it stands in the list already; keep one")
                    )
                } else if let row = state.node(id)?.live {
                    gateway.node = id
                    gateway.farm = state.farm(row.farm)?.name ?? row.farm.hex
                    gateway.region = row.details.region
                } else {
                    gateway.reasons.append(
                        Reason(
                            code: Code.nodeRetired.rawValue,
                            message: EntryRefusal.sentence(of: Code.nodeRetired.rawValue)
                        )
                    )
                }
            } catch {
                gateway.reasons.append(Reason(code: error.code, message: error.message))
            }
            gateways.append(gateway)
        }
    }

    /// The names of the file that are the owner's, or that could be.
    private mutating func readNames(_ file: ContractFile) -> Set<String> {
        var names: Set<String> = []
        for reference in file.names {
            let text = Identifier(hex: reference.text).flatMap { state.name($0)?.name } ?? reference.text
            names.insert(text)
            if let row = state.name(named: text)?.1 {
                guard row.owner != owner else { continue }
                reasons.append(
                    Reason(code: "name.forbidden", message: "\(text) belongs to another twin; choose another name")
                )
            } else if state.meta?.reserved.contains(text) == true {
                reasons.append(
                    Reason(code: "name.reserved", message: "\(text) is kept back by the ledger; choose another name")
                )
            } else if Grammar.isName(text) {
                reasons.append(
                    Reason(
                        code: "name.unknown",
                        message: "\(text) is free; reserve it first: gw-node name reserve \(text)"
                    )
                )
            } else {
                reasons.append(Reason(code: "name.unknown", message: "\(text) is no name that can be reserved"))
            }
        }
        return names
    }

    /// The terms as far as the ledger's rules look at them.
    private mutating func terms(of file: ContractFile, nodes: [NodeRow]) -> ContractSpec {
        let previous = updating.flatMap { state.contract($0)?.spec }
        let begin = file.notBefore ?? previous?.notBefore
        var end = begin ?? state.now
        do {
            end = try file.end(in: state, begin: begin)
        } catch {
            reasons.append(Reason(code: Code.contractWindow.rawValue, message: error.message))
            end = state.now + 1
        }
        return ContractSpec(
            backends: file.backends,
            conn: file.connection,
            expose: file.exposes,
            gateways: gateways.compactMap(\.node).sorted(),
            limits: file.contractLimits(offers: nodes.map(\.details.offer)),
            nameContracts: nil,
            notBefore: begin ?? state.now,
            notAfter: end,
            version: (updating.flatMap { state.contract($0)?.version } ?? 0) + 1,
            drain: file.drain,
            maxStale: file.maxStale
        )
    }

    // MARK: Beside the ledger's rules

    private func signs(for twin: Identifier, _ cosigners: [KeyID]) -> Bool {
        guard let keys = state.twin(twin)?.keys else { return false }
        return cosigners.contains { keys.contains($0) }
    }

    /// Hosts that an earlier contract has at the gateway: the ledger takes the contract, and the gateway rejects it.
    private func conflicts(of spec: ContractSpec, at node: Identifier) -> [Reason] {
        let index = updating.flatMap { state.contract($0)?.index } ?? .max
        let wanted = Set(spec.expose.flatMap { $0.hosts ?? [] })
        var reasons: [Reason] = []
        for id in state.contracts(node: node) where id != updating {
            guard let row = state.contract(id), row.index < index, let other = row.spec,
                state.status(contract: id, node: node).map({ $0.state != .rejected || $0.version != row.version })
                    ?? true
            else { continue }
            for host in Set(other.expose.flatMap { $0.hosts ?? [] }).intersection(wanted).sorted(by: precedes)
            where state.authority(of: host, at: node) != .custom {
                let message = "\(host) belongs to the earlier contract \(id.hex); cancel it, or choose another host"
                reasons.append(Reason(code: StatusCode.hostnameConflict.rawValue, message: message))
            }
        }
        return reasons
    }

    private func addNotes(_ spec: ContractSpec, _ node: Identifier, _ row: NodeRow, _ gateway: inout Gateway) {
        let hosts = spec.expose.flatMap { $0.hosts ?? [] }
        for host in hosts where state.authority(of: host, at: node) == .custom {
            gateway.notes.append(
                "\(host) is outside of its domains and needs a proof by DNS, so it is not served before that"
            )
        }
        if spec.expose.contains(where: { $0.tls == .terminate }) {
            gateway.notes.append(
                "a gateway may reject `tls: terminate` as an UnsupportedValue; the kind tls is always served"
            )
        }
        if spec.conn != .overlay, !row.details.endpoints.contains(where: { $0.proto == .tunnel }) {
            gateway.reasons.append(
                Reason(
                    code: "gateway.no_tunnel",
                    message: "it names no tunnel endpoint that an agent could dial; choose another one"
                )
            )
        }
        let rows = state.contractsWithStatus(node: node).compactMap { id in
            state.status(contract: id, node: node).map { (id, $0) }
        }
        gateway.lastReport = rows.filter { $0.1.code != .pending }.map(\.1.time).max()
        let waiting = rows.count { id, status in
            status.code == .pending && status.time + Self.patience < state.now && state.contract(id)?.isLive == true
        }
        if waiting > 0 {
            gateway.notes.append(
                "it has said nothing about \(waiting) contracts for more than 15 minutes; it may be down"
            )
        } else if gateway.lastReport == nil {
            gateway.notes.append("it has not reported about any contract yet")
        }
        let rejected = rows.count { $0.1.state == .rejected }
        if rejected > 0 { gateway.notes.append("it rejects \(rejected) contracts of all now") }
    }

    private mutating func warnOfOneOwner() {
        let known = gateways.filter { $0.node != nil }
        if known.count == 1 {
            warnings.append(
                "one gateway serves all of it: when it is down, nothing is left; name a second one of another farm"
            )
            return
        }
        guard known.count > 1 else { return }
        let farms = Set(known.compactMap(\.farm))
        if farms.count == 1, let farm = farms.first {
            warnings.append(
                "all \(known.count) gateways belong to the farm \(farm): what stops its owner stops all; name one of another farm"
            )
        }
        let regions = Set(known.compactMap(\.region))
        if regions.count == 1, let region = regions.first {
            // ZZ is ISO 3166's code for an unknown place.
            let place = region.country == "ZZ" ? "say no country" : "stand in one region (\(region.text))"
            warnings.append(
                "all \(known.count) gateways \(place): what stops the region stops all; name one that stands elsewhere"
            )
        }
    }
}

extension Region {
    var text: String { place.map { "\(country), \($0.withoutControls)" } ?? country }
}
