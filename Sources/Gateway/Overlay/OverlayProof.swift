/// What one look at a backend said.
enum ProofAnswer: Hashable, Sendable {
    /// It answered with the contract's id.
    case proven
    /// It answered with something else: a definite absence.
    case absent(String)
    /// It gave no answer that counts for or against it.
    case failed(String)
    /// It is not looked at: the address is this gateway's, or its host's.
    case own
}

/// Where a backend stands now.
enum OverlayStanding: Hashable, Sendable {
    /// Not looked at yet.
    case unknown
    case proven
    /// The proof holds, but the backend did not answer lately.
    case silent(String)
    /// There is no proof.
    case unproven(String)
    /// There was a proof, and it was withdrawn or ran out.
    case lost(String)
    /// The address is this gateway's, or its host's.
    case own

    /// Whether visitors may be taken there.
    var isProven: Bool {
        switch self {
        case .proven, .silent: true
        case .unknown, .unproven, .lost, .own: false
        }
    }

    /// What is wrong, for a person; nil when nothing is.
    var complaint: String? {
        switch self {
        case .unknown: "its proof is being asked for"
        case .proven: nil
        case .silent(let reason), .unproven(let reason), .lost(let reason): reason
        case .own: "it is an address of this gateway or its host"
        }
    }
}

/// The proof of control of one backend over time (section 12.2). Pure; times are of the monotonic clock.
///
/// A definite absence ends the proof at once. A look that fails keeps it, for at most 72 hours since the last answer, and comes
/// again soon.
struct OverlayProof {
    /// How long a proof outlives looks that fail.
    static let longestSilence: UInt64 = 72 * 3600 * 1_000_000_000
    /// The first pause after a look without proof; each further one doubles, up to a minute.
    private static let firstPause: UInt64 = 2_000_000_000
    private static let longestPause: UInt64 = 60_000_000_000

    private(set) var nextLook: MonotonicNanoseconds
    private var provenAt: MonotonicNanoseconds?
    private var failures: UInt64 = 0
    private var last: ProofAnswer?
    private var wasProven = false

    /// Due at once.
    init(now: MonotonicNanoseconds) { nextLook = now }

    /// Takes what a look said; the next one follows after `recheck` nanoseconds, or sooner when there was no proof.
    mutating func note(_ answer: ProofAnswer, at now: MonotonicNanoseconds, recheck: UInt64) {
        last = answer
        if answer == .proven {
            provenAt = now
            wasProven = true
            failures = 0
            nextLook = now &+ recheck
            return
        }
        if case .failed = answer {} else { provenAt = nil }
        nextLook = now &+ min(recheck, Self.longestPause, Self.firstPause << min(failures, 5))
        failures += 1
    }

    /// Asks for a look at once: a visitor could not reach the backend.
    mutating func doubt(at now: MonotonicNanoseconds) {
        guard last == .proven else { return }
        nextLook = min(nextLook, now)
    }

    func standing(at now: MonotonicNanoseconds) -> OverlayStanding {
        let isHeld = provenAt.map { now &- $0 <= Self.longestSilence } ?? false
        switch last {
        case nil: return .unknown
        case .proven?: return isHeld ? .proven : .lost("it was not looked at for too long")
        case .own?: return .own
        case .failed(let reason)?:
            if isHeld { return .silent(reason) }
            return wasProven ? .lost(reason) : .unproven(reason)
        case .absent(let reason)?: return wasProven ? .lost(reason) : .unproven(reason)
        }
    }
}
