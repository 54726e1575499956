import Contracts
import Gateway
import TestSupport
import Testing

@testable import gw_node

@Suite("Configuration files")
struct ConfigurationFileTests {
    static let pin = String(repeating: "ab", count: 32)

    static let gateway = """
        ledger: { urls: ["https://ledger.example.org"], id: "\(pin)" }
        node:
          id: "\(pin)"
          key: node.key
        bind:
          http: ["0.0.0.0:80", "[::]:80"]
          tunnel: ["0.0.0.0:7443"]
          ports: "0.0.0.0"
          admin: "unix:admin.sock"
        loops: auto
        limits:
          header_size: 16KiB
          header_time: 10s
        """

    private func read(_ text: String) throws(CommandFailure) -> GatewayFile {
        try GatewayFile(ConfigurationFile(path: "etc/gateway.yaml", text: text))
    }

    @Test("reads the gateway configuration of the documentation")
    func gateway() throws {
        let file = try read(Self.gateway)
        #expect(file.ledger.urls == ["https://ledger.example.org"])
        #expect(file.ledger.isDevelopment == false)
        #expect(file.keyFile == "etc/node.key")
        #expect(file.http.map(\.text) == ["0.0.0.0:80", "[::]:80"])
        #expect(file.https.isEmpty)
        #expect(file.admin == "etc/admin.sock")
        #expect(file.loops == nil)
        #expect(file.limits.headerSize == 16_384)
        #expect(file.limits.headerSeconds == 10)
        #expect(file.limits.idleSeconds == 300)
    }

    @Test(
        "names the line and the key of every mistake",
        arguments: [
            ("loops: auto", "loop: auto", 10, "`loop` is not a known key"),
            ("header_size: 16KiB", "header_sise: 16KiB", 12, "`limits.header_sise` is not a known key"),
            ("header_size: 16KiB", "header_size: 16", 12, "`limits.header_size` must be a size with its unit"),
            ("header_size: 16KiB", "header_size: 16 parsecs", 12, "`limits.header_size` must be a size with its unit"),
            ("header_size: 16KiB", "header_size: 1B", 12, "must be from 1KiB to 65535B"),
            ("header_time: 10s", "header_time: 10", 13, "`limits.header_time` must be a time with its unit"),
            ("header_time: 10s", "header_time: 10h", 13, "must be from 1s to 5m"),
            ("loops: auto", "loops: many", 10, "`loops` must be a number"),
            ("loops: auto", "loops: 0", 10, "`loops` must be a number from 1 to 256"),
            ("  id: \"\(pin)\"", "  id: \"xyz\"", 3, "`node.id` must be an id of 64 hex digits"),
            ("  key: node.key", "  keys: node.key", 4, "`node.keys` is not a known key"),
            ("  key: node.key", "", 2, "`node.key` is missing"),
            ("\"0.0.0.0:80\"", "\"gw.example.org:80\"", 6, "must begin with an IP address"),
            ("\"0.0.0.0:80\"", "\"0.0.0.0\"", 6, "must be an address and a port"),
            ("\"0.0.0.0:80\"", "\"0.0.0.0:65536\"", 6, "must be an address and a port"),
            ("\"[::]:80\"", "\"0.0.0.0:80\"", 6, "stands twice"),
            ("unix:admin.sock", "127.0.0.1:9", 9, "must be a socket path"),
            ("https://ledger.example.org", "ledger.example.org", 1, "must be a URL"),
            ("loops: auto", "loops: auto\nloops: 2", 0, "twice"),
            ("loops: auto", "loops: [", 0, "not YAML"),
            ("loops: auto", "\tloops: 2", 0, "not YAML"),
        ]
    )
    func mistakes(good: String, bad: String, line: Int, message: String) throws {
        let text = Self.gateway.replacing(good, with: bad, maxReplacements: 1)
        #expect(text != Self.gateway)
        let failure = #expect(throws: CommandFailure.self) { try read(text) }
        #expect(failure?.status == .configuration)
        let expected = line == 0 ? "etc/gateway.yaml:" : "etc/gateway.yaml:\(line): "
        #expect(failure?.message.hasPrefix(expected) == true, "\(failure?.message ?? "")")
        #expect(failure?.message.contains(message) == true, "\(failure?.message ?? "")")
    }

    @Test(
        "an empty file, or one that is a list, is a sentence too",
        arguments: ["", "# nothing\n", "- a\n- b\n", "word\n"]
    )
    func shapes(text: String) {
        let failure = #expect(throws: CommandFailure.self) { try read(text) }
        #expect(failure?.message.hasPrefix("etc/gateway.yaml") == true, "\(failure?.message ?? "")")
    }

    @Test("reads the agent configuration of the documentation")
    func agent() throws {
        let text = """
            ledger: { urls: ["http://127.0.0.1:8080"], id: "\(Self.pin)", dev: true }
            key: /etc/agent.key
            contracts: { "\(Self.pin)": { web: "127.0.0.1:8080", six: "[::1]:53", redis: "unix:/run/redis.sock" } }
            drain: 5m
            """
        let file = try AgentFile(ConfigurationFile(path: "agent.yaml", text: text))
        let id = try #require(Identifier(hex: Self.pin))
        #expect(
            file.contracts[id] == [
                "web": try #require(ForwardTarget("127.0.0.1:8080")), "six": try #require(ForwardTarget("[::1]:53")),
                "redis": try #require(ForwardTarget("unix:/run/redis.sock")),
            ]
        )
        #expect(file.slots == 2)
        #expect(file.drain == .seconds(300))
        #expect(file.keyFile == "/etc/agent.key")
    }

    @Test(
        "what is said of a workload's certificate is checked, and the complaint names the key",
        arguments: [
            ("{ to: \"10.0.0.1:80\", pin: \"sha256:00\" }", "`contracts.*.web` is about a target over TLS"),
            (
                "{ to: \"tls://10.0.0.1:80\", pin: \"sha256:00\" }",
                "`contracts.*.web.pin` must be sha256: and 64 hex digits"
            ),
            ("{ to: \"tls://10.0.0.1:80\", name: \"a b\" }", "`contracts.*.web.name` must be a host name"),
            (
                "{ to: \"tls://10.0.0.1:80\", ca: x.pem, pin: \"sha256:00\" }",
                "`contracts.*.web.ca` and a pin say two things"
            ),
            (
                "{ to: \"tls://10.0.0.1:80\", ca: /nonexistent/ca.pem }",
                "the CA file /nonexistent/ca.pem does not exist"
            ),
            ("{ to: \"tls://10.0.0.1:80\", insecure: true }", "`contracts.*.web.insecure` is not a known key here"),
        ]
    )
    func workloadTrust(target: String, complaint: String) {
        let text = """
            ledger: { urls: ["http://127.0.0.1:8080"], id: "\(Self.pin)", dev: true }
            key: /etc/agent.key
            contracts: { "\(Self.pin)": { web: \(target) } }
            """
        let failure = #expect(throws: CommandFailure.self) {
            try AgentFile(ConfigurationFile(path: "agent.yaml", text: text))
        }
        let wanted = complaint.replacing("*", with: Self.pin)
        #expect(failure?.message.contains(wanted) == true, "\(failure?.message ?? "")")
    }

    @Test("an offer leaves nothing half said")
    func offer() throws {
        let whole = try OfferFile(ConfigurationFile(path: "offer.yaml", text: "kinds: [tls, http]\nbps: 100Mbit\n"))
        #expect(whole.offer.kinds == [.http, .tls])
        #expect(whole.offer.tcp == nil)
        #expect(whole.offer.bps == 100_000_000)
        let failure = #expect(throws: CommandFailure.self) {
            try OfferFile(ConfigurationFile(path: "offer.yaml", text: "kinds: [udp]\n"))
        }
        #expect(failure?.message.contains("udp: [20000-20999]") == true)
    }
}

@Suite("Amounts and times")
struct QuantitiesTests {
    @Test(
        "reads times with their unit",
        arguments: [
            ("500ms", Duration.milliseconds(500)), ("30s", .seconds(30)), ("15m", .seconds(900)),
            ("2h", .seconds(7200)),
            ("90d", .seconds(7_776_000)), ("0s", .zero),
        ]
    )
    func durations(text: String, value: Duration) {
        #expect(Quantities.duration(text) == value)
    }

    @Test(
        "takes nothing else for a time",
        arguments: [
            "", "s", "30", "-1s", "1.5h", "30 parsecs", "1e3s", "99999999999999999999s", "9223372036854775807d",
        ]
    )
    func noDurations(text: String) {
        #expect(Quantities.duration(text) == nil)
    }

    @Test("reads sizes and rates with their unit")
    func sizes() {
        #expect(Quantities.byteCount("16KiB") == 16_384)
        #expect(Quantities.byteCount("10GB") == 10_000_000_000)
        #expect(Quantities.byteCount("16kib") == nil)
        #expect(Quantities.bitsPerSecond("1Gbit") == 1_000_000_000)
        #expect(Quantities.bitsPerSecond("1GB") == nil)
    }

    @Test(
        "knows the calendar",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ]
    )
    func calendar(seconds: Int64, text: String) throws {
        #expect(CalendarTime.text(seconds) == text)
        let value = try ConfigurationFile(path: "x", text: "at: \(text)").root.members(["at"])["at"]?.time()
        #expect(value == seconds)
    }

    @Test(
        "refuses days that the calendar does not have",
        arguments: [
            "2025-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2025-04-31T00:00:00Z", "2025-13-01T00:00:00Z",
            "2025-01-01T24:00:00Z", "2025-01-01", "2025-01-01T00:00:00+01:00", "1969-12-31T23:59:59Z", "-5", "tomorrow",
        ]
    )
    func noTimes(text: String) throws {
        let value = try #require(try ConfigurationFile(path: "x", text: "at: '\(text)'").root.members(["at"])["at"])
        #expect(throws: CommandFailure.self) { try value.time() }
    }
}
