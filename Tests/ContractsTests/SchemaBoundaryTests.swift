import Contracts
import Testing

@Suite("Schema boundaries")
struct SchemaBoundaryTests {
    private static let most = JSONValue.largestInteger
    private static let zeros = JSONValue.string(String(repeating: "0", count: 64))
    /// The point of order two: a key that E2 refuses.
    private static let weak = JSONValue.string("01" + String(repeating: "0", count: 62))

    @Test(
        "integers end where the page says",
        arguments: [
            (.tick, "time", 0, 253_402_300_799), (.genesis, "fold", 1, 1),
            (.genesis, "limits.contracts", 1, 100_000), (.genesis, "limits.grace", 0, 31_536_000),
            (.genesis, "limits.names", 1, 10_000), (.genesis, "limits.purge", 86_400, 315_360_000),
            (.genesis, "limits.term", 3600, 315_360_000), (.genesis, "limits.tick_min", 1, 3600),
            (.genesis, "root.threshold", 1, 4), (.rootRotate, "threshold", 1, 4), (.rootRotate, "version", 2, most),
            (.ledgerKeys, "version", 2, most), (.policySet, "auditor_quorum", 0, 1), (.policySet, "version", 2, most),
            (.protocolUpgrade, "fold", 1, 65_535), (.protocolUpgrade, "version", 1, most),
            (.protocolUpgrade, "activate", 0, 253_402_300_799), (.twinCreate, "keys.owner.threshold", 1, 1),
            (.twinKeys, "keys.owner.threshold", 1, 2), (.twinKeys, "version", 2, most),
            (.twinDelegate, "not_after", 0, 253_402_300_799), (.farmUpdate, "version", 2, most),
            (.nodeRegister, "offer.bps", 1, most), (.nodeRegister, "offer.conns", 1, 10_000_000),
            (.nodeRegister, "endpoints.0.port", 1, 65_535), (.nodeUpdate, "version", 2, most),
            (.nodeRegister, "offer.tcp.0.from", 1, 1999), (.nodeRegister, "offer.tcp.0.to", 1000, 65_535),
            (.contractCreate, "limits.bps", 1, most), (.contractCreate, "limits.bytes_period", 1, most),
            (.contractCreate, "limits.conn_rate", 1, 1_000_000), (.contractCreate, "limits.conns", 1, 10_000_000),
            (.contractCreate, "limits.period", 3600, 31_622_400), (.contractCreate, "max_stale", 300, 1_209_600),
            (.contractCreate, "drain", 0, 3600), (.contractCreate, "version", 1, 1),
            (.contractUpdate, "version", 2, most),
            (.contractCreate, "not_after", 2, 253_402_300_799), (.contractCreate, "not_before", 0, 1),
            (.contractCreate, "backends.0.weight", 1, 1000), (.contractCreate, "expose.3.proxy", 0, 2),
            (.contractCreate, "expose.2.ports.1.from", 1000, 2023),
            (.contractCreate, "expose.2.ports.1.to", 1000, 2023),
            (.contractReport, "version", 1, most), (.usageReport, "bytes_in", 0, most),
            (.usageReport, "conns", 0, most),
            (.usageReport, "until", 0, 253_402_300_799), (.billSettle, "period", 1, most), (.billSettle, "from", 0, 0),
            (.billSettle, "to", 1, 253_402_300_799), (.stateAttest, "fold", 1, 65_535), (.stateAttest, "size", 1, most),
            (.evidenceFork, "a.size", 0, 0), (.evidenceFork, "b.size", 0, most),
        ] as [(EntryType, String, Int64, Int64)]
    )
    func integers(type: EntryType, path: String, low: Int64, high: Int64) {
        let body = SchemaBodies.body(of: type).json
        #expect(SchemaBodies.accepts(type, body.at(path, .integer(low))))
        #expect(SchemaBodies.accepts(type, body.at(path, .integer(high))))
        if low > 0 { #expect(!SchemaBodies.accepts(type, body.at(path, .integer(low - 1)))) }
        if high < Self.most { #expect(!SchemaBodies.accepts(type, body.at(path, .integer(high + 1)))) }
    }

    @Test(
        "strings have their grammar",
        arguments: [
            (.genesis, "name", text(64), true), (.genesis, "name", text(65), false), (.genesis, "name", "", false),
            (.genesis, "name", "a\nb", false), (.genesis, "origin", "other.example.org", false),
            (.genesis, "policy", "quorum none", false), (.genesis, "policy", "quorum none\n\n", false),
            (.genesis, "reserved.0", "a-", false), (.genesis, "reserved", [], true), (.genesis, "keys", [], false),
            (.genesis, "root.keys.0", weak, false), (.genesis, "root.keys", [], false),
            (.farmCreate, "contact", text(256), true), (.farmCreate, "contact", text(257), false),
            (.farmCreate, "contact", "", false), (.farmCreate, "contact", "\n", false),
            (.nameCreate, "name", "ab", false), (.nameCreate, "name", "abc", true),
            (.nameCreate, "name", text(50), true),
            (.nameCreate, "name", text(51), false), (.nameCreate, "name", "ab--c", false),
            (.nameCreate, "name", "a--b", true),
            (.nameCreate, "name", "-abc", false), (.nameCreate, "name", "Abc", false),
            (.nameCreate, "name", "a_c", false),
            (.nameCreate, "name", "xn--a", false), (.nameRelease, "name", zeros, true),
            (.nameRelease, "name", "abc", false),
            (.nameTransfer, "to", .string(SchemaBodies.id.hex), false), (.nameTransfer, "to", zeros, true),
            (.nodeRegister, "region.country", "be", false), (.nodeRegister, "region.country", "BEL", false),
            (.nodeRegister, "region.place", text(64), true), (.nodeRegister, "region.place", text(65), false),
            (.nodeRegister, "offer.price.currency", "EU", false),
            (.nodeRegister, "offer.price.currency", "EUROS", true),
            (.nodeRegister, "offer.price.gib", "01", false), (.nodeRegister, "offer.price.gib", "1.", false),
            (.nodeRegister, "offer.price.gib", "999999999999999.123456789", true),
            (.nodeRegister, "offer.price.hour", "1000000000000000", false),
            (.nodeRegister, "offer.accept", "maybe", false),
            (.nodeRegister, "offer.kinds", ["http"], false), (.nodeRegister, "offer.kinds", [], false),
            (.nodeRegister, "offer.modes", [], false), (.nodeRegister, "offer.tcp", [], false),
            (.nodeRegister, "domains", [], true), (.nodeRegister, "domains.0", "org", false),
            (.nodeRegister, "domains.0", "*.example.org", false), (.nodeRegister, "domains.0", "a.1", false),
            (.nodeRegister, "endpoints", [], false), (.nodeRegister, "endpoints.0.host", "::1", false),
            (.nodeRegister, "endpoints.0.host", "::ffff:1:2", false),
            (.nodeRegister, "endpoints.0.host", "1.2.3", false),
            (.nodeRegister, "endpoints.0.host", "1.2.3.04", false),
            (.nodeRegister, "endpoints.0.host", "2001:DB8::1", false),
            (.nodeRegister, "endpoints.0.proto", "quic", false), (.nodeRegister, "transport_key", weak, false),
            (.twinDelegate, "types", [], false), (.twinDelegate, "types", ["contract.report"], false),
            (.twinDelegate, "types", ["name.create"], true), (.twinDelegate, "contracts", [], false),
            (.contractReport, "message", "", true), (.contractReport, "message", text(256), true),
            (.contractReport, "message", text(257), false), (.contractReport, "code", "Pending", false),
            (.contractReport, "code", "Accepted", false), (.contractReport, "state", "deployed", false),
            (.contractReport, "code", "PortUnavailable", true), (.contractReport, "code", "UnsupportedValue", false),
            (.contractCreate, "conn", "direct", false), (.contractCreate, "name_contracts", [], false),
            (.contractCreate, "gateways", [], false), (.contractCreate, "backends", [], false),
            (.contractCreate, "expose", [], false),
            (.contractCreate, "backends.0.id", "B", false), (.contractCreate, "backends.0.id", "", false),
            (.contractCreate, "expose.3.path", "/", false), (.contractCreate, "expose.3.path", "/a/", true),
            (.contractCreate, "expose.3.path", "/a//b", false), (.contractCreate, "expose.3.path", "/../a", false),
            (.contractCreate, "expose.3.path", "/a/.", false), (.contractCreate, "expose.3.path", "/...", true),
            (.contractCreate, "expose.3.path", "/%41", false), (.contractCreate, "expose.3.path", "a", false),
            (.contractCreate, "expose.3.allow", [], false), (.contractCreate, "expose.3.allow.0", "10.0.0.1/8", false),
            (.contractCreate, "expose.3.allow.0", "10.0.0.0/08", false),
            (.contractCreate, "expose.3.allow.0", "10.0.0.0", false),
            (.contractCreate, "expose.3.allow.1", "::/8", false),
            (.contractCreate, "expose.3.allow.1", "fe80::/10", true),
            (.contractCreate, "expose.3.hosts", [], false), (.contractCreate, "expose.3.hosts.0", "*.*.net", false),
            (.contractCreate, "expose.3.hosts.0", "*.net", false),
            (.contractCreate, "expose.3.hosts.0", "A.net", false),
            (.contractCreate, "expose.3.tls", "none", false), (.contractCreate, "expose.3.balance", "random", false),
            (.contractCreate, "expose.3.redirect", false, true), (.contractCreate, "expose.0.path", "/a", false),
            (.contractCreate, "expose.0.redirect", false, false), (.contractCreate, "expose.1.tls", "none", false),
            (.contractCreate, "expose.1.ports", [["from": 1, "to": 1]], false),
            (.contractCreate, "expose.0.hosts", ["a.b"], false),
            (.contractCreate, "expose.0.proxy", 1, false), (.contractCreate, "expose.0.proxy", 0, true),
            (.contractCreate, "expose.1.proxy", 1, true), (.contractCreate, "expose.0.backends.0", "nobody", false),
            (.contractCreate, "limits.period", nil, false), (.contractCreate, "limits.bytes_period", nil, false),
            (.billSettle, "currency", "eur", false), (.billSettle, "amount", "-1", false),
            (.billSettle, "amount", ".5", false),
        ] as [(EntryType, String, JSONValue?, Bool)]
    )
    func strings(type: EntryType, path: String, value: JSONValue?, accepted: Bool) {
        let body = SchemaBodies.body(of: type).json.at(path, value)
        #expect(SchemaBodies.accepts(type, body) == accepted, "\(path)")
    }

    private static func text(_ length: Int) -> JSONValue { .string(String(repeating: "x", count: length)) }

    @Test("a port range of a contract spans 1024 ports at most, one of an offer any number")
    func spans() {
        let body = SchemaBodies.body(of: .contractCreate).json
        #expect(!SchemaBodies.accepts(.contractCreate, body.at("expose.2.ports.1.to", 2024)))
        #expect(
            SchemaBodies.accepts(.nodeRegister, SchemaBodies.body(of: .nodeRegister).json.at("offer.tcp.0.to", 65_535))
        )
    }

    @Test("no key is both owner and operator")
    func keysOverlap() {
        let body = SchemaBodies.body(of: .twinCreate).json
        let owner = body["keys"]?["owner"]?["keys"]?.asArray?.first
        #expect(!SchemaBodies.accepts(.twinCreate, body.at("keys.operator.0", owner)))
        #expect(SchemaBodies.accepts(.twinCreate, body.at("keys.operator", [])))
    }

    @Test("the policy's witness keys are of type 4, ledger keys of type 1 with the origin as name")
    func verifierKeys() {
        let body = SchemaBodies.body(of: .genesis).json
        let key = FoldLedger.key(1).publicKey
        let cosigner = VerifierKey(name: "ledger.example.org", type: 4, key: key)
        let foreign = VerifierKey(name: "other.example.org", type: 1, key: key)
        #expect(!SchemaBodies.accepts(.genesis, body.at("keys.0", .string(cosigner.description))))
        #expect(!SchemaBodies.accepts(.genesis, body.at("keys.0", .string(foreign.description))))
        let ledgerKeys = SchemaBodies.body(of: .ledgerKeys).json
        #expect(SchemaBodies.accepts(.ledgerKeys, ledgerKeys.at("keys.0", .string(foreign.description))))
        #expect(SchemaBodies.accepts(.genesis, body.at("policy", .string("witness w \(cosigner)\nquorum w\n"))))
        #expect(!SchemaBodies.accepts(.genesis, body.at("policy", .string("witness w \(foreign)\nquorum w\n"))))
    }
}

@Suite("Static rules of contracts")
struct ContractStaticRuleTests {
    private static func accepts(_ change: (inout ContractSpec) -> Void) -> Bool {
        var spec = SchemaBodies.spec
        change(&spec)
        return SchemaBodies.accepts(.contractCreate, EntryBody.contractCreate(ContractCreateBody(spec: spec)).json)
    }

    private static func http(
        _ id: String,
        _ hosts: [String],
        path: String? = nil,
        tls: HTTPTLS = .terminate,
        redirect: Bool? = nil
    ) -> Expose {
        Expose(id: id, kind: .http, backends: ["b"], hosts: hosts, tls: tls, path: path, redirect: redirect)
    }

    @Test("S1: backends fit the mode and are different")
    func s1() {
        #expect(!Self.accepts { $0.conn = .overlay })
        #expect(!Self.accepts { $0.backends[1].target = $0.backends[0].target })
        #expect(!Self.accepts { $0.backends[1].target = .address("[200::1]:80") })
    }

    @Test("S2 and S10: raw connections are for tls alone, overlay for http and tls")
    func modes() {
        #expect(!Self.accepts { $0.conn = .reverseRaw })
        #expect(
            Self.accepts {
                $0.conn = .reverseRaw
                $0.expose = [$0.expose[1]]
            }
        )
        func overlay(_ addresses: [String], _ exposes: [Int]) -> Bool {
            Self.accepts { spec in
                spec.conn = .overlay
                spec.backends = addresses.enumerated().map { Backend(id: ["b", "c"][$0], target: .address($1)) }
                spec.expose = exposes.map { spec.expose[$0] }
            }
        }
        #expect(overlay(["[200::1]:80", "[200::1]:81"], [1, 3]))
        #expect(!overlay(["[200::1]:80", "[200::1]:81"], [0, 1]))
        #expect(!overlay(["[200::1]:80", "[200::1]:81"], [2]))
        #expect(!overlay(["[200::1]:80", "[200::1]:80"], [1]))
    }

    @Test(
        "overlay addresses are literals of two ranges",
        arguments: [
            ("[200::]:1", true), ("[3ff:ffff::1]:65535", true), ("[400::1]:80", true), ("[5ff::]:80", true),
            ("[1ff::1]:80", false), ("[600::1]:80", false), ("[2001:db8::1]:80", false), ("[fd00::1]:80", false),
            ("[::1]:80", false), ("[::ffff:c000:201]:80", false), ("[0200::1]:80", false), ("[200:0::1]:80", false),
            ("[200::1]", false), ("[200::1]:", false), ("[200::1]:0", false), ("[200::1]:080", false),
            ("[200::1]:65536", false), ("200::1:80", false), ("[200::1]80", false), ("[200::1%1]:80", false),
            ("192.0.2.1:80", false), ("[192.0.2.1]:80", false), ("host.example:80", false), ("[]:80", false),
            ("]", false),
            ("[200::1]:80 ", false), ("[200::1]:99999999999999999999", false), ("", false), ("[", false),
        ]
    )
    func overlayAddresses(address: String, accepted: Bool) {
        let result = Self.accepts { spec in
            spec.conn = .overlay
            spec.backends = [Backend(id: "b", target: .address(address))]
            spec.expose = [SchemaBodies.web]
        }
        #expect(result == accepted)
    }

    @Test("S4: hosts are distinct where one request could mean two exposes")
    func s4() {
        func accepts(_ exposes: Expose...) -> Bool { Self.accepts { $0.expose = exposes } }
        let tls = Expose(id: "z", kind: .tls, backends: ["b"], hosts: ["a.example.net"])
        #expect(!accepts(Self.http("a", ["a.example.net"]), Self.http("b", ["a.example.net"])))
        #expect(accepts(Self.http("a", ["a.example.net"]), Self.http("b", ["a.example.net"], path: "/a")))
        #expect(accepts(Self.http("a", ["a.example.net"], path: "/a"), Self.http("b", ["a.example.net"], path: "/a/")))
        #expect(!accepts(Self.http("a", ["a.example.net"], path: "/a"), Self.http("b", ["a.example.net"], path: "/a")))
        #expect(accepts(Self.http("a", ["a.example.net"]), Self.http("b", ["a.example.net"], tls: .none)))
        #expect(!accepts(Self.http("a", ["a.example.net"]), tls))
        #expect(accepts(Self.http("a", ["a.example.net"], tls: .none), tls))
        #expect(accepts(Self.http("a", ["*.example.net"]), tls))
        var second = tls
        second.id = "zz"
        #expect(!accepts(tls, second))
        #expect(
            !accepts(
                Self.http("a", ["a.example.net"], redirect: true),
                Self.http("b", ["a.example.net"], path: "/x", tls: .none)
            )
        )
        #expect(
            accepts(Self.http("a", ["a.example.net"], redirect: false), Self.http("b", ["a.example.net"], tls: .none))
        )
        #expect(
            accepts(Self.http("a", ["a.example.net"], redirect: true), Self.http("b", ["b.example.net"], tls: .none))
        )
    }

    @Test("S5: ports of one kind do not overlap, within an expose or across")
    func s5() {
        func accepts(_ exposes: (ExposeKind, [PortRange])...) -> Bool {
            Self.accepts { spec in
                spec.expose = exposes.enumerated().map { index, expose in
                    Expose(id: "e\(index)", kind: expose.0, backends: ["b"], ports: expose.1)
                }
            }
        }
        let low = PortRange(from: 10, to: 20)
        let middle = PortRange(from: 20, to: 30)
        let high = PortRange(from: 21, to: 30)
        #expect(accepts((.tcp, [low, high])))
        #expect(!accepts((.tcp, [low, middle])))
        #expect(!accepts((.tcp, [high, low])))
        #expect(!accepts((.tcp, [low]), (.tcp, [middle])))
        #expect(!accepts((.udp, [low]), (.udp, [PortRange(from: 15, to: 15)])))
        #expect(accepts((.tcp, [low]), (.udp, [middle])))
        #expect(accepts((.tcp, [high]), (.tcp, [low])))
    }

    @Test("S8: a window has a length")
    func s8() {
        #expect(!Self.accepts { $0.notAfter = $0.notBefore })
        #expect(Self.accepts { $0.notAfter = $0.notBefore + 1 })
    }

    @Test("status pairs are those of section 6.3", arguments: StatusState.allCases)
    func statusPairs(state: StatusState) {
        let pairs: [StatusState: [String]] = [
            .pending: ["DNSProofMissing", "CertificatePending", "BackendUnreachable"], .deployed: ["Accepted"],
            .rejected: [
                "HostnameConflict", "PortUnavailable", "NotAllowedByOffer", "NotAllowedByPolicy", "UnsupportedValue",
            ],
            .error: ["BackendUnreachable", "CertificateFailed", "DNSProofMissing", "InternalError"],
            .suspended: ["Suspended:abuse", "Suspended:legal", "Suspended:maintenance", "Suspended:quota"],
            .removed: ["Removed"],
        ]
        let reportable = StatusCode.allCases.filter { $0.isReportable(in: state) }.map(\.rawValue)
        #expect(Set(reportable) == Set(pairs[state] ?? []))
    }
}
