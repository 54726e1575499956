public import Contracts

/// A local service began to work, or stopped.
public struct HealthNews: Hashable, Sendable {
    public var contract: Identifier
    public var exposure: String
    public var isHealthy: Bool
    /// What the last check found; nil when the service works.
    public var reason: String?
}

/// Runs the health checks of an agent's exposures, each at its own interval. Loop-owned.
final class HealthChecks {
    private struct Place: Hashable {
        var contract: Identifier
        var exposure: String
    }

    private final class Watch {
        let target: ForwardTarget
        let check: HealthCheck
        var state = HealthState()
        var reason: String?
        var timer: Timer?
        var probe: HealthProbe?

        init(_ target: ForwardTarget, _ check: HealthCheck) {
            self.target = target
            self.check = check
        }

        func stop() {
            timer?.cancel()
            timer = nil
            probe?.cancel()
            probe = nil
        }
    }

    private unowned let core: AgentCore
    private var watches: [Place: Watch] = [:]
    private let onChange: (HealthNews) -> Void

    init(core: AgentCore, onChange: @escaping (HealthNews) -> Void) {
        self.core = core
        self.onChange = onChange
    }

    /// Begins the checks that are new, ends those that are gone, leaves alone what stays the same.
    func take(_ contracts: [Identifier: [String: ForwardTarget]]) {
        var wanted: [Place: (ForwardTarget, HealthCheck)] = [:]
        for (contract, targets) in contracts {
            for (exposure, target) in targets {
                if let check = target.check {
                    wanted[Place(contract: contract, exposure: exposure)] = (target, check)
                }
            }
        }
        for (place, watch) in watches where wanted[place]?.0 != watch.target {
            watch.stop()
            watches[place] = nil
            // What is not checked any more is taken to work.
            if !watch.state.isHealthy { tell(place, true, nil) }
        }
        for (place, (target, check)) in wanted where watches[place] == nil {
            let watch = Watch(target, check)
            watches[place] = watch
            look(place, watch)
        }
    }

    func stop() {
        for watch in watches.values { watch.stop() }
        watches = [:]
    }

    /// What does not work now, for a gateway that was not told yet.
    var failed: [HealthNews] {
        watches.filter { !$0.value.state.isHealthy }.map { place, watch in
            HealthNews(contract: place.contract, exposure: place.exposure, isHealthy: false, reason: watch.reason)
        }
    }

    private func look(_ place: Place, _ watch: Watch) {
        watch.timer = nil
        switch watch.target.place {
        case .address(let address): probe(address, place, watch)
        case .name(let host, let port):
            core.resolve(host, port) { [weak self] addresses in
                guard let self, self.watches[place] === watch else { return }
                guard let address = addresses.first else { return self.heard("no address for \(host)", place, watch) }
                self.probe(address, place, watch)
            }
        }
    }

    private func probe(_ address: SocketAddress, _ place: Place, _ watch: Watch) {
        do {
            let tls = try core.secure.engine(for: watch.target)
            watch.probe = try HealthProbe(
                watch.check,
                address,
                loop: core.loop,
                tls: tls.map { ($0, watch.target.serverName) }
            ) { [weak self] complaint in
                self?.heard(complaint, place, watch)
            }
        } catch {
            heard((error as? SocketError)?.reason ?? "\(error)", place, watch)
        }
    }

    private func heard(_ complaint: String?, _ place: Place, _ watch: Watch) {
        guard watches[place] === watch else { return }
        watch.probe = nil
        watch.timer = core.loop.after(watch.check.interval) { [weak self, weak watch] in
            guard let self, let watch, self.watches[place] === watch else { return }
            self.look(place, watch)
        }
        guard watch.state.note(complaint == nil, rise: watch.check.rise, fall: watch.check.fall) else { return }
        watch.reason = complaint
        tell(place, watch.state.isHealthy, complaint)
    }

    private func tell(_ place: Place, _ isHealthy: Bool, _ reason: String?) {
        onChange(
            HealthNews(contract: place.contract, exposure: place.exposure, isHealthy: isHealthy, reason: reason)
        )
    }
}

extension HealthNews {
    /// Items of one HEALTH frame at most, so that it stays within a control frame.
    private static let most = 32

    /// The payloads of the HEALTH frames that tell the news.
    static func payloads(_ news: [HealthNews]) -> [[UInt8]] {
        stride(from: 0, to: news.count, by: most).map { start in
            let items = news[start..<min(start + most, news.count)].map { item -> JSONValue in
                var object: JSONObject = [
                    "contract": .string(item.contract.hex), "expose": .string(item.exposure),
                    "ok": .boolean(item.isHealthy),
                ]
                if let reason = item.reason {
                    object["reason"] = .string(String(decoding: reason.utf8.prefix(200), as: UTF8.self))
                }
                return .object(object)
            }
            let document: JSONObject = ["backends": .array(items)]
            return document.canonical
        }
    }
}
