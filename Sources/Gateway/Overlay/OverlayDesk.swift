internal import Contracts

/// Addresses that a gateway never dials by itself, though they lie in the overlay's ranges.
struct OwnAddresses {
    /// Of this host's interfaces.
    var interfaces: Set<IPAddress> = []
    /// That the node is reached at, by the ledger.
    var endpoints: Set<IPAddress> = []

    func contains(_ address: OverlayAddress) -> Bool {
        interfaces.contains(address.ip) || endpoints.contains(address.ip)
    }
}

/// Looks after the proofs of all overlay backends of the table, on one loop for the whole gateway. Loop-owned.
///
/// A new backend is looked at at once, then every `recheck`, and sooner after a failure. One host is looked at once at a time, and
/// `mostVisits` are under way at most, so that contracts cannot make the gateway flood anybody.
final class OverlayDesk: Handler {
    static let mostVisits = 64

    /// Nanoseconds between two looks at a proof that holds.
    var recheck: UInt64

    private let loop: Loop
    private let context: TLSContext
    private var proofs: [OverlaySubject: OverlayProof] = [:]
    private var visits: [OverlaySubject: ProofVisit] = [:]
    private var busy: Set<IPAddress> = []
    private var own = OwnAddresses()
    private var told: [OverlaySubject: OverlayStanding] = [:]
    private let tell: ([OverlaySubject: OverlayStanding]) -> Void

    /// - Parameter tell: called with where every backend stands, whenever that changed.
    init(
        loop: Loop,
        recheckSeconds: UInt32,
        tell: @escaping ([OverlaySubject: OverlayStanding]) -> Void
    ) throws(TLSError) {
        self.loop = loop
        recheck = UInt64(recheckSeconds) * 1_000_000_000
        context = try TLSContext(anyServer: ())
        self.tell = tell
        super.init()
        loop.own(self)
    }

    /// Takes the backends of the table, and the addresses at which the ledger says that this node is reached.
    func take(_ subjects: Set<OverlaySubject>, endpoints: Set<IPAddress>) {
        own.endpoints = endpoints
        for (subject, visit) in visits where !subjects.contains(subject) {
            visit.cancel()
            forget(subject)
        }
        proofs = proofs.filter { subjects.contains($0.key) }
        for subject in subjects where proofs[subject] == nil { proofs[subject] = OverlayProof(now: loop.now) }
        look()
    }

    /// A visitor could not reach the backend: looks at it now.
    func doubt(_ subject: OverlaySubject) {
        proofs[subject]?.doubt(at: loop.now)
        look()
    }

    override func sweep(_ now: MonotonicNanoseconds) {
        if !proofs.isEmpty { look() }
    }

    override func loopStops() {
        visits = [:]
        proofs = [:]
    }

    private func look() {
        let now = loop.now
        // A system that does not tell its addresses keeps those it told before.
        if !proofs.isEmpty, let list = HostInterfaces.list() { own.interfaces = Set(list.map(\.address)) }
        for subject in proofs.keys where own.contains(subject.address) {
            proofs[subject]?.note(.own, at: now, recheck: recheck)
        }
        let due = proofs.filter { $0.value.nextLook <= now && visits[$0.key] == nil }
        for subject in due.sorted(by: { $0.value.nextLook < $1.value.nextLook }).map(\.key)
        where visits.count < Self.mostVisits && !busy.contains(subject.address.ip) {
            visit(subject)
        }
        tellIfChanged()
    }

    private func visit(_ subject: OverlaySubject) {
        do {
            let visit = try ProofVisit(subject, loop: loop, context: context) { [weak self] answer in
                self?.heard(answer, of: subject)
            }
            visits[subject] = visit
            busy.insert(subject.address.ip)
        } catch {
            let reason = (error as? SocketError)?.reason ?? "\(error)"
            proofs[subject]?.note(.failed("it cannot be reached: \(reason)"), at: loop.now, recheck: recheck)
        }
    }

    private func heard(_ answer: ProofAnswer, of subject: OverlaySubject) {
        forget(subject)
        proofs[subject]?.note(answer, at: loop.now, recheck: recheck)
        look()
    }

    private func forget(_ subject: OverlaySubject) {
        visits[subject] = nil
        busy.remove(subject.address.ip)
    }

    private func tellIfChanged() {
        let now = loop.now
        let standings = proofs.mapValues { $0.standing(at: now) }
        guard standings != told else { return }
        told = standings
        tell(standings)
    }
}
