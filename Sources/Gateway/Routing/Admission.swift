internal import Contracts

/// What became of a contract of the table at this gateway.
struct ContractVerdict: Hashable, Sendable {
    enum Outcome: Hashable, Sendable {
        /// Every managed host and leased port is served.
        case served
        /// All its hosts here wait for a proof by DNS, which this version does not look up.
        case waitsForProof
        /// It asks for something that this version does not offer; the text names it.
        case unsupported(String)
        /// An earlier contract owns one of its hosts.
        case conflict(host: String, winner: Identifier)
    }

    var contract: Identifier
    var version: Int64
    var mode: RouteMode
    var outcome: Outcome
    /// Hosts that wait for a proof by DNS, beside what is served.
    var unproven: Int
    var ports: [LeasedRange]

    /// Whether what can be served of the contract is served.
    var isTaken: Bool {
        switch outcome {
        case .served, .waitsForProof: mode != .rejected
        case .unsupported, .conflict: false
        }
    }
}

/// Decides which contracts of a table are served: what is offered, and who owns a host (section 12.2 of the protocol).
///
/// What becomes of a contract depends on those that ask for its managed hosts, and on those that these depend on; all others
/// may be left out.
struct Admission {
    private(set) var verdicts: [Identifier: ContractVerdict] = [:]

    private struct Candidate {
        var verdict: ContractVerdict
        /// Managed hosts with the contract's rank among those that claim them.
        var hosts: [String: Int] = [:]
        var isOpen = true
    }

    init(_ routes: [Route]) {
        var candidates: [Candidate] = []
        var places: [Identifier: Int] = [:]
        for route in routes {
            let place = places[route.contract] ?? candidates.count
            if place == candidates.count {
                places[route.contract] = place
                let verdict = ContractVerdict(
                    contract: route.contract,
                    version: route.version,
                    mode: route.mode,
                    outcome: .served,
                    unproven: 0,
                    ports: []
                )
                candidates.append(Candidate(verdict: verdict))
            }
            Self.add(route, to: &candidates[place])
        }
        let owners = Self.resolve(&candidates)
        for candidate in candidates {
            var verdict = candidate.verdict
            if verdict.outcome == .served, verdict.mode == .rejected {
                // Not a claimant itself; would it be served if it were?
                for host in candidate.hosts.keys.sorted() {
                    if let owner = owners[host], owner != verdict.contract {
                        verdict.outcome = .conflict(host: host, winner: owner)
                        break
                    }
                }
            }
            if verdict.outcome == .served, candidate.hosts.isEmpty, verdict.ports.isEmpty {
                verdict.outcome = .waitsForProof
            }
            verdicts[verdict.contract] = verdict
        }
    }

    /// Whether a route of a taken contract is served: everything but hosts that wait for a proof.
    static func isServable(_ route: Route) -> Bool {
        switch route.target {
        case .http(_, _, _, _, let auth, _), .tls(_, let auth, _): auth == .name
        case .ports: true
        }
    }

    private static func add(_ route: Route, to candidate: inout Candidate) {
        if let reason = unsupported(route), candidate.verdict.outcome == .served {
            candidate.verdict.outcome = .unsupported(reason)
        }
        switch route.target {
        case .http(let host, _, _, _, let auth, let rank), .tls(let host, let auth, let rank):
            if auth == .dns {
                candidate.verdict.unproven += 1
            } else {
                candidate.hosts[host] = rank
            }
        case .ports(let from, let to):
            candidate.verdict.ports.append(LeasedRange(range: PortRange(from: from, to: to), kind: route.kind))
        }
    }

    private static func unsupported(_ route: Route) -> String? {
        switch route.conn {
        case .reverseTLS, .overlay: break
        case .reverseRaw:
            // The ledger lets no such contract pass; bytes that nobody encrypted never leave over a data connection.
            guard route.kind == .tls else { return "conn reverse-raw of expose \(route.expose), which is not tls" }
        }
        if case .http(_, _, .terminate, _, _, _) = route.target { return "tls terminate of expose \(route.expose)" }
        return nil
    }

    /// Gives each host to the earliest contract that is eligible. Ranks are positions in the order of creation, so in every
    /// round some open contract is the first for all of its hosts.
    private static func resolve(_ candidates: inout [Candidate]) -> [String: Identifier] {
        var owners: [String: Identifier] = [:]
        for place in candidates.indices {
            let verdict = candidates[place].verdict
            candidates[place].isOpen = verdict.outcome == .served && verdict.mode != .rejected
        }
        while true {
            var first: [String: Int] = [:]
            for candidate in candidates where candidate.isOpen {
                for (host, rank) in candidate.hosts { first[host] = min(first[host] ?? rank, rank) }
            }
            var progress = false
            for place in candidates.indices where candidates[place].isOpen {
                guard candidates[place].hosts.allSatisfy({ first[$0.key] == $0.value }) else { continue }
                for host in candidates[place].hosts.keys { owners[host] = candidates[place].verdict.contract }
                candidates[place].isOpen = false
                progress = true
            }
            for place in candidates.indices where candidates[place].isOpen {
                for host in candidates[place].hosts.keys.sorted() {
                    guard let owner = owners[host] else { continue }
                    candidates[place].verdict.outcome = .conflict(host: host, winner: owner)
                    candidates[place].isOpen = false
                    progress = true
                    break
                }
            }
            if !progress { return owners }
        }
    }
}
