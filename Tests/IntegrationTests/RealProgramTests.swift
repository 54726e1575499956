import Foundation
import TestSupport
import Testing

/// Each claim is tried straight at the workload first, then through gateway and agent.
@Suite(
    "Real programs through the tunnel give the same results as straight",
    .serialized,
    .enabled(if: More.programs, "`scripts/test-more.sh programs` runs it")
)
struct RealProgramTests {
    @Test("redis: 50,000 commands in a pipe leave the same data, and the benchmark meets no error")
    func redis() async throws {
        guard Programs.areThere("redis-server", "redis-cli", "redis-benchmark") else { return }
        let scene = try await ProgramScene(["tcp"]) { deployment, port in
            let line = "exec redis-server --port \(port) --bind 127.0.0.1 --save '' --enable-debug-command local"
            let server = try deployment.program("redis", line)
            try await eventually(within: 20, "redis answers") {
                (try? await deployment.shell("redis-cli -p \(port) ping")) == "PONG\n"
            }
            return ("127.0.0.1:\(port)", server)
        }
        try scene.deployment.write("commands", Self.commands(50_000))
        var digests: Set<String> = []
        for way in scene.ways {
            let redis = "redis-cli -h \(way.host) -p \(way.port)"
            try await scene.shell("\(redis) flushall")
            let answer = try await scene.shell("\(redis) --pipe < commands")
            #expect(answer.contains("errors: 0, replies: 50000"), "\(way.name): \(answer)")
            digests.insert(try await scene.shell("redis-cli -p \(scene.origin) debug digest"))
            let bench = try await scene.shell(
                "redis-benchmark -h \(way.host) -p \(way.port) -n 20000 -c 50 -t ping,set,get,lpush,mset,lrange_100 --csv"
            )
            print("redis-benchmark \(way.name):\n\(bench)")
            let rows = bench.split(separator: "\n").dropFirst()
            #expect(rows.count >= 6, "\(way.name): \(bench)")
            #expect(rows.allSatisfy { (Double($0.split(separator: "\"")[2]) ?? 0) > 0 })
        }
        #expect(digests.count == 1, "the data differ: \(digests)")
    }

    /// SET, INCR, LPUSH and HSET on a few thousand keys, with values of any byte.
    private static func commands(_ count: Int) -> String {
        (0..<count).map { number in
            let key = "k\(number % 5_003)"
            return switch number % 4 {
            case 0: "SET s\(key) \"\(number) \\x00\\xff\"\r\n"
            case 1: "INCR n\(key)\r\n"
            case 2: "LPUSH l\(key) v\(number)\r\n"
            default: "HSET h\(key) f\(number % 7) \(String(repeating: "x", count: number % 300))\r\n"
            }
        }.joined()
    }

    @Test("postgres: pgbench fails no transaction and its books balance, and a dump is the same byte for byte")
    func postgres() async throws {
        guard Programs.areThere("initdb", "postgres", "psql", "pgbench", "pg_dump", "setpriv") else { return }
        // Postgres refuses to run as root.
        let user = geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups" : ""
        let scene = try await ProgramScene(["tcp"]) { deployment, port in
            let folder = deployment.folder.appendingPathComponent("postgres")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            if geteuid() == 0 { try await deployment.shell("chown 65534:65534 postgres") }
            try await deployment.shell("\(user) initdb -D postgres/data -U web -A trust --no-sync --locale=C -E UTF8")
            let place = "-p \(port) -h 127.0.0.1 -k \(folder.path)"
            let server = try deployment.program("postgres", "exec \(user) postgres -D postgres/data -F \(place)")
            try await eventually(within: 30, "postgres answers") {
                (try? await deployment.shell("pg_isready -h 127.0.0.1 -p \(port)")) != nil
            }
            // Agents forward to Unix sockets too.
            return ("unix:\(folder.path)/.s.PGSQL.\(port)", server)
        }
        var dumps: [String] = []
        for way in scene.ways.reversed() {
            let place = "-h \(way.host) -p \(way.port) -U web"
            let made = try await scene.shell("pgbench \(place) -i -s 1 -q postgres 2>&1")
            #expect(made.contains("done in"), "\(way.name): \(made)")
            let report = try await scene.shell("pgbench \(place) -c 8 -j 2 -t 100 postgres 2>&1")
            print("pgbench \(way.name):\n\(report)")
            #expect(report.contains("processed: 800/800"), "\(way.name): \(report)")
            #expect(report.contains("failed transactions: 0 "), "\(way.name): \(report)")
            let prepared = try await scene.shell("pgbench \(place) -M prepared -S -C -c 4 -t 25 postgres 2>&1")
            #expect(prepared.contains("processed: 100/100"), "\(way.name): \(prepared)")
            let sums = try await scene.shell(
                "psql \(place) -At postgres -c 'select (select sum(abalance) from pgbench_accounts),"
                    + "(select sum(bbalance) from pgbench_branches),(select sum(delta) from pgbench_history)'"
            )
            #expect(Set(sums.dropLast().split(separator: "|")).count == 1, "\(way.name): \(sums)")
        }
        for way in scene.ways {
            dumps.append(
                try await scene.shell(
                    "pg_dump -h \(way.host) -p \(way.port) -U web postgres | grep -v restrict | sha256sum"
                )
            )
        }
        #expect(dumps[0] == dumps[1] && !dumps[0].isEmpty)
    }

    @Test("ssh: 50 MB go there and back unchanged, exit codes arrive, and git pushes and clones over it")
    func ssh() async throws {
        guard Programs.areThere("setpriv", "sshd", "ssh", "ssh-keygen", "git") else { return }
        let scene = try await ProgramScene(["tcp"]) { deployment, port in
            try await deployment.shell(
                "ssh-keygen -q -t ed25519 -N '' -f host && ssh-keygen -q -t ed25519 -N '' -f user"
            )
            if geteuid() == 0 { try await deployment.shell("mkdir -p /run/sshd") }
            let folder = deployment.folder.path
            try deployment.write(
                "sshd_config",
                """
                ListenAddress 127.0.0.1:\(port)
                HostKey \(folder)/host
                AuthorizedKeysFile \(folder)/user.pub
                StrictModes no
                UsePAM no
                PidFile none
                PermitRootLogin yes
                MaxStartups 100
                """
            )
            let server = try deployment.program(
                "sshd",
                "\(Self.closer) $(command -v sshd) -D -e -f \(folder)/sshd_config; true"
            )
            try await eventually(within: 20, "sshd listens") { server.errors.contains("Server listening") }
            return ("127.0.0.1:\(port)", server)
        }
        try await scene.shell("head -c 50000000 /dev/urandom > blob && git init -q -b main work")
        let identity = "-c user.name=t -c user.email=t@test.example"
        try await scene.shell(
            "cd work && for n in $(seq 1 40); do seq $n 3000 > f$n && git add f$n && git \(identity) commit -q -m c$n;"
                + " done && cp ../blob . && git add blob && git \(identity) commit -q -m blob",
            within: 180
        )
        for way in scene.ways {
            let flags =
                "-i user -p \(way.port) -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
            let start = ContinuousClock.now
            try await scene.shell("ssh \(flags) \(way.host) cat < blob > back && cmp blob back", within: 180)
            print("ssh \(way.name): 50 MB there and back in \(ContinuousClock.now - start)")
            try await scene.shell("ssh \(flags) \(way.host) 'exit 7'", status: 7)
            let bare = "\(scene.deployment.folder.path)/\(way.name).git"
            try await scene.shell("git init -q --bare -b main \(way.name).git")
            let remote = "ssh://\(way.host):\(way.port)\(bare)"
            let git = "GIT_SSH_COMMAND='ssh \(flags.replacing("-i user", with: "-i ../user"))' git"
            try await scene.shell("cd work && \(git) push -q \(remote) main", within: 180)
            try await scene.shell("mkdir -p copies && cd copies && \(git) clone -q \(remote) \(way.name)", within: 180)
        }
        let heads = try await scene.shell(
            "for r in work straight.git tunnel.git copies/tunnel; do git -C $r fsck --strict 2>&1 && git -C $r rev-parse main"
                + "; done | grep -v dangling | sort -u"
        )
        #expect(heads.split(separator: "\n").filter { $0.count == 40 }.count == 1, "\(heads)")
    }

    /// In front of programs that close every descriptor they got, by which their end would be noticed: a shell stays between, and takes
    /// them along when it ends.
    private static let closer = "setpriv --pdeathsig KILL"

    @Test("dnsperf: every query over UDP is answered, none lost, with the answers of the server itself")
    func dns() async throws {
        guard Programs.areThere("setpriv", "dnsmasq", "dnsperf") else { return }
        let scene = try await ProgramScene(["udp"]) { deployment, port in
            let line =
                "\(Self.closer) dnsmasq --conf-file=/dev/null --keep-in-foreground --port=\(port) --listen-address=127.0.0.1 "
                + "--bind-interfaces --no-resolv --no-hosts --user= --address=/test.example/192.0.2.7 --pid-file= --log-facility=-; true"
            let server = try deployment.program("dnsmasq", line)
            try await eventually(within: 20, "dnsmasq is up") { server.errors.contains("started") }
            return ("127.0.0.1:\(port)", server)
        }
        try scene.deployment.write("queries", (0..<5_000).map { "h\($0).test.example A\n" }.joined())
        for way in scene.ways {
            let report = try await scene.shell(
                "dnsperf -s \(way.host) -p \(way.port) -d queries -n 4 -c 8 -q 60 -t 5",
                within: 120
            )
            let lines = report.split(separator: "\n").filter {
                $0.contains("Queries") || $0.contains("Response codes") || $0.contains("Latency")
            }
            print("dnsperf \(way.name):\n\(lines.joined(separator: "\n"))")
            let words = lines.joined(separator: " ").split(separator: " ").joined(separator: " ")
            #expect(words.contains("Queries lost: 0 ("), "\(way.name): \(report)")
            #expect(words.contains("NOERROR 20000 (100.00%)"), "\(way.name): \(report)")
        }
    }

    @Test("iperf3: TCP both ways arrives whole, and UDP at 200 Mbit/s loses no more than straight")
    func iperf() async throws {
        guard Programs.areThere("iperf3") else { return }
        let scene = try await ProgramScene(["tcp", "udp"]) { deployment, port in
            let server = try deployment.program("iperf3", "exec iperf3 -s --forceflush -B 127.0.0.1 -p \(port)")
            try await eventually(within: 20, "iperf3 listens") { server.output.contains("listening") }
            return ("127.0.0.1:\(port)", server)
        }
        var loss: [String: Double] = [:]
        for way in scene.ways {
            let client = "iperf3 -c \(way.host) -p \(way.port) -J"
            for more in ["-n 200M", "-n 200M -R -P 4"] {
                let report = try await measured(scene, "\(client) \(more)")
                let sent = (report["sum_sent"] as? [String: Any])?["bytes"] as? Int ?? 0
                let received = (report["sum_received"] as? [String: Any])?["bytes"] as? Int ?? -1
                let rate = ((report["sum_received"] as? [String: Any])?["bits_per_second"] as? Double ?? 0) / 1e6
                print("iperf3 \(way.name) \(more): \(received) of \(sent) bytes, \(Int(rate)) Mbit/s")
                // The server counts up to the word of the client that it is done, which may overtake what is under way.
                #expect(sent >= 200_000_000 && received > sent - (16 << 20), "\(way.name) \(more)")
            }
            for more in ["-u -b 200M -l 1400 -t 4", "-u -b 200M -l 1400 -t 4 -R"] {
                let report = try await measured(scene, "\(client) \(more)")
                let sum = report["sum"] as? [String: Any] ?? [:]
                let lost = sum["lost_packets"] as? Int ?? -1
                let packets = sum["packets"] as? Int ?? 0
                loss["\(way.name) \(more)"] = Double(lost) / Double(max(1, packets))
                print("iperf3 \(way.name) \(more): \(lost) of \(packets) datagrams lost")
                #expect(lost >= 0 && packets > 1000)
                let straight = loss["straight \(more)"] ?? 0
                #expect(loss["\(way.name) \(more)", default: 1] <= straight + Self.allowedLoss, "\(way.name) \(more)")
            }
        }
    }

    /// A debug build on a busy machine does not carry 18,000 datagrams a second without a queue that runs over.
    private static var allowedLoss: Double {
        #if DEBUG
        0.5
        #else
        0.001
        #endif
    }

    /// The member `end` of the client's report.
    private func measured(_ scene: ProgramScene, _ line: String) async throws -> [String: Any] {
        let text = try await scene.shell(line, within: 120)
        let report = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return report?["end"] as? [String: Any] ?? [:]
    }
}
