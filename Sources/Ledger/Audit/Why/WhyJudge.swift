import Contracts

/// Answers a question from a state and the entries that led to it (sections 6, 12.1 and 12.2).
struct WhyJudge {
    let subject: WhySubject
    let state: ContractState
    let history: WhyHistory
    let time: Timestamp
    let visitor: IPAddress?

    /// Sentences of one answer, and the entries under them.
    private struct Reasons {
        var sentences: [String] = []
        var entries: [EntrySummary] = []

        mutating func say(_ sentence: String, _ entry: EntrySummary?) {
            guard let entry else { return sentences.append(sentence) }
            sentences.append("\(sentence) (\(entry.text))")
            if !entries.contains(entry) { entries.append(entry) }
        }

        var message: String { sentences.joined(separator: "; ") }
    }

    /// One answer for each node that a candidate names or named, or for `node` alone.
    func answers(node: Identifier?) -> [WhyReport.Answer] {
        if let node { return [answer(at: node)] }
        var nodes = Set(history.candidates.flatMap { history.gateways[$0] ?? [] })
        for contract in history.candidates { nodes.formUnion(state.contract(contract)?.spec?.gateways ?? []) }
        let answers = nodes.sorted().map { answer(at: $0) }
        guard !answers.isEmpty else { return [unclaimed(at: nil)] }
        return answers.filter(\.isServed) + answers.filter { !$0.isServed }
    }

    private func answer(at node: Identifier) -> WhyReport.Answer {
        guard let row = state.node(node) else {
            return refused(node, nil, "3.1", "NodeUnknown", Reasons(sentences: ["the ledger has no node \(node)"]))
        }
        guard row.live != nil else {
            var reasons = Reasons()
            reasons.say("node \(node) is retired, so its table is empty", history.last(node: node))
            return refused(node, nil, "12.1", "NodeRetired", reasons)
        }
        let routes = RouteTable(state: state, node: node, at: time).routes.compactMap { route in
            subject.place(of: route).map { (place: $0, route: route) }
        }
        let eligible = routes.filter { $0.route.mode != .rejected }
        guard let winner = eligible.min(by: { Self.order($0) < Self.order($1) }) else {
            if let rejected = routes.min(by: { Self.order($0) < Self.order($1) }) {
                return judge(rejected.route, at: node, losers: [])
            }
            return absent(at: node)
        }
        let losers = routes.map(\.route).filter { $0.contract != winner.route.contract }
        return judge(winner.route, at: node, losers: losers)
    }

    /// Exact before wildcard, then the lowest rank; the rest keeps the order of the table.
    private static func order(_ element: (place: Int, route: Route)) -> (Int, Int) {
        switch element.route.target {
        case .http(_, _, _, _, _, let rank), .tls(_, _, let rank): (element.place, rank)
        case .ports: (element.place, 0)
        }
    }

    // MARK: There is a route

    private func judge(_ route: Route, at node: Identifier, losers: [Route]) -> WhyReport.Answer {
        var reasons = Reasons()
        let contract = route.contract
        reasons.say(
            "contract \(contract) version \(route.version) has the route \(route.expose) for \(subject) at node \(node)",
            history.terms(of: contract)
        )
        reasons.say("the node's offer and domains", history.last(node: node))
        let status = state.status(contract: contract, node: node)
        let report = history.last([.contractReport], of: contract, node: node)
        let authority = explain(route, &reasons)
        for loser in Set(losers.map(\.contract)).sorted() {
            reasons.say(
                "contract \(loser) asks for it too and stands behind it: it was created later, or is rejected",
                history.namings[loser]
            )
        }
        switch route.mode {
        case .grace:
            reasons.say(
                "the contract is in its grace period, visitors are refused",
                history.last([.billSettle], of: contract)
            )
            return refused(node, contract, "12.2 grace", "GracePeriod", reasons)
        case .suspended, .rejected:
            let code = status?.code.rawValue ?? "Rejected"
            reasons.say("the gateway reported \(status?.state.rawValue ?? "") \(code)", report)
            if let conflict = status?.conflict { reasons.say("in favour of contract \(conflict)", nil) }
            return refused(node, contract, "12.2 \(route.mode.rawValue)", code, reasons)
        case .serve: break
        }
        if let visitor {
            if let network = route.deny.first(where: { $0.contains(visitor) }) {
                reasons.say("the terms deny visitors from \(network)", history.terms(of: contract))
                return refused(node, contract, "5 deny", "VisitorDenied", reasons)
            }
            if !route.allow.isEmpty, !route.allow.contains(where: { $0.contains(visitor) }) {
                reasons.say("the terms allow no visitor from \(visitor)", history.terms(of: contract))
                return refused(node, contract, "5 allow", "VisitorDenied", reasons)
            }
        } else if !route.allow.isEmpty || !route.deny.isEmpty {
            reasons.say("the terms restrict the addresses of visitors", history.terms(of: contract))
        }
        if authority == .dns, status?.state != .deployed {
            reasons.say("no gateway confirmed that a TXT record names the contract", report)
            return refused(node, contract, "12.2 auth dns", StatusCode.proofMissing.rawValue, reasons)
        }
        if let status { reasons.say("the gateway reported \(status.state.rawValue) \(status.code.rawValue)", report) }
        return WhyReport.Answer(
            node: node,
            isServed: true,
            contract: contract,
            rule: authority.map { "12.1 auth \($0.rawValue)" } ?? "12.1",
            reason: status?.code.rawValue ?? StatusCode.pending.rawValue,
            message: reasons.message,
            entries: reasons.entries
        )
    }

    /// Who gives the contract the right to a host.
    private func explain(_ route: Route, _ reasons: inout Reasons) -> HostAuth? {
        switch route.target {
        case .http(let host, _, _, _, let auth, let rank), .tls(let host, let auth, let rank):
            let names = (state.contract(route.contract)?.spec?.nameContracts ?? []).compactMap { state.name($0)?.name }
            if auth == .name, let name = names.first(where: { history.last(name: $0) != nil }) {
                reasons.say("its owner has the name \(name)", history.last(name: name))
            } else if auth == .dns {
                reasons.say("\(host) is no host of the node's domains, so DNS has to name the contract", nil)
            }
            if rank > 0 { reasons.say("it is number \(rank + 1) of the contracts that ask for \(host)", nil) }
            return auth
        case .ports: return nil
        }
    }

    // MARK: There is none

    /// The candidate that comes closest: the last one that is live, else the last one.
    private func absent(at node: Identifier) -> WhyReport.Answer {
        let here = history.candidates.filter { contract in
            (history.gateways[contract] ?? []).contains(node)
                || state.contract(contract)?.spec?.gateways.contains(node) == true
        }
        guard let contract = here.last(where: { state.contract($0)?.isLive == true }) ?? here.last else {
            return unclaimed(at: node)
        }
        var reasons = Reasons()
        reasons.say("contract \(contract) named \(subject)", history.namings[contract])
        guard let row = state.contract(contract) else {
            reasons.say("it was deleted and purged since", nil)
            return refused(node, contract, "6.2", "Purged", reasons)
        }
        switch row.phase {
        case .deleted(let cause, let deleted):
            let entry: EntrySummary?
            switch cause {
            case .canceledByUser, .canceledByCollective: entry = history.last([.contractCancel], of: contract)
            case .expired, .outOfFunds: entry = history.tick(at: deleted)
            }
            reasons.say("it was deleted, \(cause.rawValue)", entry)
            return refused(node, contract, "6.1", cause.rawValue, reasons)
        case .created(let spec), .grace(let spec, _):
            let terms = history.terms(of: contract)
            if !subject.isNamed(in: spec) {
                reasons.say("version \(row.version) names it no more", terms)
                return refused(node, contract, "12.1", "NoLongerNamed", reasons)
            }
            if !spec.gateways.contains(node) {
                reasons.say("version \(row.version) does not name node \(node)", terms)
                return refused(node, contract, "12.1", "NodeNotNamed", reasons)
            }
            if time < spec.notBefore {
                reasons.say("its window begins at \(spec.notBefore), this is \(time)", terms)
                return refused(node, contract, "12.1 not_before", "NotStarted", reasons)
            }
            if time >= spec.notAfter {
                reasons.say("its window ended at \(spec.notAfter), this is \(time)", terms)
                return refused(node, contract, "12.1 not_after", "Expired", reasons)
            }
            return withoutRight(contract, at: node, reasons)
        }
    }

    /// The terms name the host, and the contract has no right to it at this node.
    private func withoutRight(_ contract: Identifier, at node: Identifier, _ reasons: Reasons) -> WhyReport.Answer {
        var reasons = reasons
        guard case .host(let host) = subject, let authority = state.authority(of: host, at: node) else {
            return refused(node, contract, "12.1", "NoRoute", reasons)
        }
        switch authority {
        case .managed(let name):
            reasons.say(
                "\(host) belongs to the name \(name), which the contract's owner has not",
                history.last(name: name)
            )
            return refused(node, contract, "12.1", "NameNotOwned", reasons)
        case .reserved:
            reasons.say("\(host) is a domain of the node itself", history.last(node: node))
            return refused(node, contract, "5", "HostReserved", reasons)
        case .custom:
            return refused(node, contract, "12.1", "NoRoute", reasons)
        }
    }

    /// No contract ever named it here.
    private func unclaimed(at node: Identifier?) -> WhyReport.Answer {
        var reasons = Reasons()
        let place = node.map { " at node \($0)" } ?? ""
        switch subject {
        case .key:
            reasons.say("no contract\(place) has the key \(subject) among its backends", nil)
            return refused(node, nil, "12.2 agents", "KeyNotBackend", reasons)
        case .tcp, .udp:
            reasons.say("no contract\(place) holds \(subject)", nil)
        case .host(let host):
            reasons.say("no contract\(place) names \(host)", nil)
            if let node, case .managed(let name)? = state.authority(of: host, at: node),
                let (_, row) = state.name(named: name)
            {
                reasons.say("the name \(name) belongs to twin \(row.owner)", history.last(name: name))
            }
        }
        return refused(node, nil, "12.2", "NoContract", reasons)
    }

    private func refused(
        _ node: Identifier?,
        _ contract: Identifier?,
        _ rule: String,
        _ reason: String,
        _ reasons: Reasons
    ) -> WhyReport.Answer {
        WhyReport.Answer(
            node: node,
            isServed: false,
            contract: contract,
            rule: rule,
            reason: reason,
            message: reasons.message,
            entries: reasons.entries
        )
    }
}
