/// The state checks C1 to C6 of a contract body (section 5).
extension ContractState {
    /// Checks terms of an account, new ones or, with a contract and its previous terms, changed ones.
    func checkTerms(
        of spec: ContractSpec,
        account: Identifier,
        updating contract: Identifier? = nil,
        from previous: ContractSpec? = nil
    ) throws(Code) {
        let nodes = try liveNodes(spec.gateways)
        let names = try ownNames(spec.nameContracts ?? [], account: account)
        try checkWindow(of: spec, from: previous)
        for (id, node) in nodes where !spec.keeps(id, of: previous) {
            try checkOffer(node.details.offer, for: spec)
        }
        for (_, node) in nodes {
            try checkHosts(of: spec, domains: NodeDomains(node.details.domains), names: names)
        }
        for (id, node) in nodes {
            let isKept = spec.keeps(id, of: previous)
            for expose in spec.expose where expose.kind.usesPorts {
                for range in expose.ports ?? [] {
                    let offered = node.details.offer.ranges(of: expose.kind)
                    guard isKept || offered.contains(where: { $0.contains(range) }) else { throw .portNotOffered }
                    guard !indexes.leases.isTaken(range, expose.kind, at: id, except: contract) else {
                        throw .portTaken
                    }
                }
            }
        }
    }

    /// C1.
    private func liveNodes(_ gateways: [Identifier]) throws(Code) -> [(Identifier, NodeRow)] {
        var nodes: [(Identifier, NodeRow)] = []
        nodes.reserveCapacity(gateways.count)
        for id in gateways {
            guard let node = node(id) else { throw .nodeUnknown }
            guard case .live(let row) = node else { throw .nodeRetired }
            nodes.append((id, row))
        }
        return nodes
    }

    /// C2.
    private func ownNames(_ ids: [Identifier], account: Identifier) throws(Code) -> [String] {
        var names: [String] = []
        names.reserveCapacity(ids.count)
        for id in ids {
            guard let row = name(id) else { throw .nameUnknown }
            guard row.owner == account else { throw .nameForbidden }
            names.append(row.name)
        }
        return names
    }

    /// C3.
    private func checkWindow(of spec: ContractSpec, from previous: ContractSpec?) throws(Code) {
        let term = meta?.limits.term ?? 0
        guard spec.notAfter > now, spec.notAfter == previous?.notAfter || spec.notAfter <= now + term else {
            throw .contractWindow
        }
    }

    /// C4.
    private func checkOffer(_ offer: Offer, for spec: ContractSpec) throws(Code) {
        guard spec.expose.allSatisfy({ offer.kinds.contains($0.kind) }) else { throw .offerKind }
        guard offer.modes.contains(spec.conn) else { throw .offerMode }
        guard spec.limits.conns <= offer.conns, spec.limits.bps <= offer.bps else { throw .offerExceeded }
    }

    /// C5.
    private func checkHosts(of spec: ContractSpec, domains: NodeDomains, names: [String]) throws(Code) {
        for expose in spec.expose {
            for host in expose.hosts ?? [] {
                switch domains.authority(of: host) {
                case .custom: break
                case .reserved: throw .hostReserved
                case .managed(let name): guard names.contains(name) else { throw .nameRequired }
                }
            }
        }
    }
}
