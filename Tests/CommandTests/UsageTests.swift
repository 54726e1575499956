import TestSupport
import Testing

@Suite("What every command has in common")
struct UsageTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    static let commands: [String] = [
        "", "keys", "keys new", "keys show", "twin", "twin create", "twin show", "setup", "farm", "farm create", "node",
        "node register", "name", "name reserve", "name release", "contract", "contract create", "contract show",
        "contract list", "contract update", "contract cancel", "run", "status", "usage", "tunnel", "expose", "audit",
        "audit replay", "audit routes", "ledger", "ledger init", "ledger join", "ledger serve",
    ]

    @Test("explains itself with an example", arguments: commands)
    func help(command: String) async throws {
        let result = try await GWNode.run(command.split(separator: " ").map(String.init) + ["--help"], in: folder)
        #expect(result.status == 0, "\(result)")
        #expect(result.output.contains("Example"), "\(result)")
        #expect(
            result.output.contains(
                (["gw-node"] + command.split(separator: " ").map(String.init)).joined(separator: " ")
            ),
            "\(result)"
        )
        #expect(result.errors.isEmpty)
    }

    @Test("prints its version")
    func version() async throws {
        let result = try await GWNode.run(["--version"], in: folder)
        #expect(result.status == 0)
        #expect(result.output.hasPrefix("gw-node 0."))
    }

    private static let pin = String(repeating: "ab", count: 32)

    /// Commands that cannot work, the exit code, and what the message has to name.
    static let mistakes: [(arguments: [String], status: Int32, names: String)] = [
        (["nonsense"], 2, "nonsense"),
        (["keys", "new"], 2, "<file>"),
        (["keys", "new", "a.key", "--colour"], 2, "--colour"),
        (["keys", "show", "a.key", "--log-level", "loud"], 2, "loud"),
        (["twin", "create"], 2, "--ledger"),
        (["twin", "create", "--ledger", "https://l.example.org"], 2, "--ledger-id"),
        (["twin", "create", "--ledger", "ftp://l.example.org", "--ledger-id", pin], 2, "ftp://l.example.org"),
        (["twin", "create", "--ledger", "l.example.org", "--ledger-id", pin], 2, "l.example.org"),
        (["twin", "create", "--ledger", "https://l.example.org", "--ledger-id", "abc"], 2, "64 hex digits"),
        (["twin", "create", "--ledger", "https://l.example.org", "--ledger-id", pin, "--key", "no.key"], 78, "no.key"),
        (["twin", "create", "--profile", "never-written"], 78, "never-written"),
        (["twin", "create", "--profile", "../etc"], 2, "../etc"),
        (["farm", "create", "--name", "No"], 2, "--name"),
        (["name", "reserve", "-x"], 2, "<name>"),
        (["name", "reserve", "a--b c"], 2, "a--b c"),
        (["ledger", "init", "l", "--origin", "l.example", "--dev", "--etcd", "http://127.0.0.1:1"], 2, "--cluster"),
        (
            ["ledger", "init", "l", "--origin", "l.example", "--dev", "--etcd", "etcd:2379", "--cluster", "main"], 2,
            "etcd:2379"
        ),
        (
            [
                "ledger", "init", "l", "--origin", "l.example", "--dev", "--etcd", "http://127.0.0.1:1", "--cluster",
                "A",
            ],
            2, "\"A\""
        ),
        (
            [
                "ledger", "init", "l", "--origin", "l.example", "--dev", "--etcd", "http://127.0.0.1:1", "--cluster",
                "main",
            ], 69, "--etcd"
        ),
        (["ledger", "join", "l", "--ledger-id", pin, "--key", "no.key"], 2, "--etcd"),
        (
            [
                "ledger", "join", "l", "--ledger-id", pin, "--key", "no.key", "--etcd", "http://127.0.0.1:1",
                "--cluster", "main",
            ], 78, "no.key"
        ),
        (["contract", "create", "no.yaml"], 78, "no.yaml"),
        (["contract", "cancel", "abc"], 2, "64 hex digits"),
        (["node", "register", "--farm", "f", "--node-key", "k", "--name", "gw1", "--endpoint", "x=1"], 2, "x=1"),
        (
            ["node", "register", "--farm", "f", "--node-key", "k", "--name", "gw1", "--endpoint", "http=a.b:1"], 2,
            "tunnel"
        ),
        (["run"], 2, "--config"),
        (["run", "--config", "no.yaml"], 78, "no.yaml"),
        (["status"], 2, "--config"),
        (["tunnel", "--contract", "abc", "--forward", "web=127.0.0.1:1"], 2, "64 hex digits"),
        (["tunnel", "--contract", pin], 2, "--forward"),
        (["tunnel", "--contract", pin, "--forward", "web"], 2, "web"),
        (["expose", "8080", "--name", "hello"], 2, "8080"),
    ]

    @Test("a mistake is answered by one sentence that names it, and by its exit code", arguments: mistakes)
    func mistake(_ mistake: (arguments: [String], status: Int32, names: String)) async throws {
        let result = try await GWNode.run(mistake.arguments, in: folder)
        #expect(result.status == mistake.status, "\(result)")
        #expect(result.errors.contains(mistake.names), "\(result)")
        #expect(result.output.isEmpty, "\(result)")
        Self.expectNoDump(result)
        #expect(folder.names.allSatisfy { $0.hasSuffix(".stdout") || $0.hasSuffix(".stderr") }, "\(folder.names)")
    }

    @Test(
        "says so in JSON too when it was asked to",
        arguments: [
            (["twin", "create", "--json"], "usage"),
            (["run", "--config", "no.yaml", "--json"], "file.missing"),
            (["nonsense", "--json"], "usage"),
        ]
    )
    func json(arguments: [String], code: String) async throws {
        let result = try await GWNode.run(arguments, in: folder)
        #expect(result.json?["code"] as? String == code, "\(result)")
        #expect((result.json?["message"] as? String)?.isEmpty == false)
    }

    @Test("a ledger that is not there is exit 69, and nothing is left behind but its state folder")
    func unreachable() async throws {
        _ = try await GWNode.run(["keys", "new", "a.key"], in: folder)
        let result = try await GWNode.run(
            [
                "twin", "create", "--ledger", "http://127.0.0.1:9", "--ledger-id", Self.pin, "--key", "a.key",
                "--state",
                "state",
            ],
            in: folder
        )
        #expect(result.status == 69, "\(result)")
        #expect(result.errors.contains("http://127.0.0.1:9"), "\(result)")
        Self.expectNoDump(result)
    }

    /// Marks of a Swift value printed instead of a sentence.
    static func expectNoDump(_ result: GWNode.Result) {
        for mark in ["Optional(", "Error Domain", "Fatal error", "__C.", "gw_node.", "(code:", "Ledger."] {
            #expect(!result.errors.contains(mark), "\(result)")
        }
    }
}
