import HashTreeCollections

/// One thing in the terms of a contract that the ledger would refuse: the code of the first such thing is the fold's.
public struct TermObjection: Hashable, Sendable {
    public var code: Code
    /// What of the terms it is about, such as a kind, a host or a range of ports; empty when the code says it all.
    public var subject: String
}

/// What `checkTerms` refuses, in full instead of up to the first code, for those who want to know before they sign.
extension ContractState {
    /// Rules C4 to C6 at one live node.
    ///
    /// - Parameters:
    ///   - names: the texts of the names that the contract may use.
    ///   - contract: the contract that the terms would replace; its own leases do not count.
    public func objections(
        to spec: ContractSpec,
        at id: Identifier,
        names: Set<String>,
        updating contract: Identifier? = nil
    ) -> [TermObjection] {
        guard let node = node(id) else { return [TermObjection(code: .nodeUnknown, subject: "")] }
        guard let row = node.live else { return [TermObjection(code: .nodeRetired, subject: "")] }
        let isKept = spec.keeps(id, of: contract.flatMap { self.contract($0)?.spec })
        var list = isKept ? [] : offerObjections(to: spec, row.details.offer)
        for expose in spec.expose {
            for host in expose.hosts ?? [] {
                switch authority(of: host, at: id) {
                case .reserved?: list.append(TermObjection(code: .hostReserved, subject: host))
                case .managed(let name)? where !names.contains(name):
                    list.append(TermObjection(code: .nameRequired, subject: host))
                case .managed?, .custom?, nil: break
                }
            }
        }
        for expose in spec.expose where expose.kind.usesPorts {
            for range in expose.ports ?? [] {
                let text = "\(expose.kind.rawValue) \(range.from)" + (range.to == range.from ? "" : "-\(range.to)")
                if !isKept, !row.details.offer.ranges(of: expose.kind).contains(where: { $0.contains(range) }) {
                    list.append(TermObjection(code: .portNotOffered, subject: text))
                } else if indexes.leases.isTaken(range, expose.kind, at: id, except: contract) {
                    list.append(TermObjection(code: .portTaken, subject: text))
                }
            }
        }
        return list
    }

    /// Rule C3, and the account's quota for a new contract.
    public func objections(
        to spec: ContractSpec,
        account: Identifier,
        updating contract: Identifier? = nil
    ) -> [TermObjection] {
        var list: [TermObjection] = []
        let isSameEnd = contract.flatMap { self.contract($0)?.spec?.notAfter } == spec.notAfter
        if spec.notAfter <= now || (!isSameEnd && spec.notAfter > now + (meta?.limits.term ?? 0)) {
            list.append(TermObjection(code: .contractWindow, subject: ""))
        }
        if contract == nil, indexes.contractCounts[account, default: 0] >= meta?.limits.contracts ?? 0 {
            list.append(TermObjection(code: .quotaExceeded, subject: ""))
        }
        return list
    }

    private func offerObjections(to spec: ContractSpec, _ offer: Offer) -> [TermObjection] {
        var list: [TermObjection] = []
        for kind in Set(spec.expose.map(\.kind)).subtracting(offer.kinds).sorted(by: { $0.rawValue < $1.rawValue }) {
            list.append(TermObjection(code: .offerKind, subject: kind.rawValue))
        }
        if !offer.modes.contains(spec.conn) {
            list.append(TermObjection(code: .offerMode, subject: spec.conn.rawValue))
        }
        if spec.limits.conns > offer.conns {
            list.append(TermObjection(code: .offerExceeded, subject: "conns \(spec.limits.conns) of \(offer.conns)"))
        }
        if spec.limits.bps > offer.bps {
            list.append(TermObjection(code: .offerExceeded, subject: "bps \(spec.limits.bps) of \(offer.bps)"))
        }
        return list
    }
}
