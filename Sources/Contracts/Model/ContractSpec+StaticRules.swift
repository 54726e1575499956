/// The static rules S1 to S5, S8 and S10 of section 5. S6, S7 and S9 are checked where their members are read.
extension ContractSpec {
    var isCoherent: Bool {
        notBefore < notAfter && backendsFitMode && exposesFitMode && backendsExist && hostsAreDistinct
            && portsAreDistinct
    }

    /// S1: keys for reverse modes, addresses for overlay, no two equal.
    private var backendsFitMode: Bool {
        var targets: Set<Backend.Target> = []
        for backend in backends {
            switch backend.target {
            case .key: guard conn != .overlay else { return false }
            case .address: guard conn == .overlay else { return false }
            }
            guard targets.insert(backend.target).inserted else { return false }
        }
        return true
    }

    /// S2 and S10: raw connections carry no demultiplexed kinds, and overlay leases no ports.
    private var exposesFitMode: Bool {
        switch conn {
        case .reverseTLS: true
        case .reverseRaw: expose.allSatisfy { $0.kind == .tls }
        case .overlay: expose.allSatisfy { !$0.kind.usesPorts }
        }
    }

    /// S3.
    private var backendsExist: Bool {
        let ids = Set(backends.map(\.id))
        return expose.allSatisfy { $0.backends.allSatisfy(ids.contains) }
    }

    /// S4: no two exposes that one request, or one ClientHello, could mean.
    private var hostsAreDistinct: Bool {
        struct Place: Hashable {
            var host: String
            var path: String?
            var tls: HTTPTLS?
        }
        var places: Set<Place> = []
        var passed: Set<String> = []
        var terminated: Set<String> = []
        var plain: Set<String> = []
        var redirected: Set<String> = []
        for expose in expose {
            for host in expose.hosts ?? [] {
                guard expose.kind == .http else {
                    guard passed.insert(host).inserted else { return false }
                    continue
                }
                guard places.insert(Place(host: host, path: expose.path, tls: expose.tls)).inserted else {
                    return false
                }
                if expose.tls == .terminate { terminated.insert(host) } else { plain.insert(host) }
                if expose.redirect == true { redirected.insert(host) }
            }
        }
        return passed.isDisjoint(with: terminated) && redirected.isDisjoint(with: plain)
    }

    /// S5: ranges of one kind do not overlap, over all exposes.
    private var portsAreDistinct: Bool {
        for kind in [ExposeKind.tcp, .udp] {
            let ranges = expose.lazy.filter { $0.kind == kind }.flatMap { $0.ports ?? [] }.sorted { $0.from < $1.from }
            for index in ranges.indices.dropFirst() where ranges[index - 1].to >= ranges[index].from { return false }
        }
        return true
    }
}
