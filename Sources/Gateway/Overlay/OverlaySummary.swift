internal import Contracts
internal import HashTreeCollections

/// How the backends of an overlay contract stand, taken together.
struct OverlaySummary: Sendable {
    private let standings: [(backend: OverlayBackend, standing: OverlayStanding)]

    init(_ backends: [OverlayBackend], _ all: [OverlaySubject: OverlayStanding]) {
        standings = backends.map { ($0, all[$0.subject] ?? .unknown) }
    }

    /// Whether some backend may be used.
    var isProven: Bool { standings.contains { $0.standing.isProven } }

    /// Whether every backend is an address of this gateway or its host.
    var isOwn: Bool { standings.allSatisfy { $0.standing == .own } }

    /// Whether some backend is proven and answered at the last look.
    var answers: Bool { standings.contains { $0.standing == .proven } }

    /// Whether a backend was proven, and none is any more.
    var isLost: Bool {
        !answers
            && standings.contains {
                switch $0.standing {
                case .lost, .silent: true
                case .unknown, .proven, .unproven, .own: false
                }
            }
    }

    /// One word for programs.
    var reason: String {
        if isOwn { return "OwnAddress" }
        if answers { return "ProofPresent" }
        if isProven { return "BackendSilent" }
        return standings.allSatisfy { $0.standing == .unknown } ? "Asking" : "ProofMissing"
    }

    /// What is wrong with each backend that is not in use; empty when all are.
    var text: String {
        standings.compactMap { backend, standing in
            standing.complaint.map { "\(backend.id) \(backend.subject.address): \($0)" }
        }.joined(separator: "; ")
    }
}

extension RoutingIndex {
    /// Why an overlay contract is not served, or not in full order; nil when some backend is proven and answers.
    func overlayRefusal(
        of verdict: ContractVerdict,
        _ standings: [OverlaySubject: OverlayStanding]
    ) -> RouteCondition? {
        guard let backends = overlay[verdict.contract] else { return nil }
        let summary = OverlaySummary(backends, standings)
        func condition(_ state: StatusState, _ code: StatusCode, _ message: String) -> RouteCondition {
            RouteCondition(verdict.contract, verdict.version, state, code, message)
        }
        if summary.isOwn {
            return condition(.rejected, .notAllowedByPolicy, "no backend may be dialed: \(summary.text)")
        }
        if summary.answers { return nil }
        let what = summary.isProven ? "no backend answers" : "no backend proves that it belongs to this contract"
        return condition(summary.isLost ? .error : .pending, .backendUnreachable, "\(what): \(summary.text)")
    }

    /// What to say about an overlay contract that is served, though not by all of its backends.
    func overlayNote(of contract: Identifier, _ standings: [OverlaySubject: OverlayStanding]) -> String? {
        guard let backends = overlay[contract] else { return nil }
        let text = OverlaySummary(backends, standings).text
        return text.isEmpty ? nil : text
    }
}

extension Gateway {
    /// The desk that looks after the proofs of overlay backends.
    func overlayDesk(on loop: Loop) throws(TLSError) -> OverlayDesk {
        try OverlayDesk(loop: loop, recheckSeconds: core.configuration.limits.overlayRecheckSeconds) {
            [weak self] news in
            guard let self else { return }
            self.state.withLock { state in
                state.standings = news
                state.news += 1
            }
            for front in self.core.allFronts {
                front.submit { $0.reviewOverlay($0.overlay.take(news)) }
            }
        }
    }

    /// Tells the desk which backends the table has, and which addresses are this node's own.
    func lookAfterOverlay(_ index: RoutingIndex) {
        let subjects = Set(index.overlay.values.joined().map(\.subject))
        let node = index.context.state?.node(core.configuration.node)?.live
        let endpoints = Set((node?.details.endpoints ?? []).compactMap { IPAddress($0.host) })
        _ = core.onFront(0) { $0.overlay.desk?.take(subjects, endpoints: endpoints) }
    }
}
