import Contracts
import Foundation
import Gateway

/// What the kernel says about the network namespace of this process, as far as a wall is about it.
struct WallView {
    var sockets: [OpenSocket]
    var interfaces: [HostInterface]
    /// Names of the settings that make this namespace forward packets.
    var forwarding: [String] = []
    /// Names of the settings that let packets from outside reach the loopback addresses.
    var loopbackRoutes: [String] = []
    /// Networks of which every address is local, beside the interfaces' own.
    var localNetworks: [String] = []

    /// Bytes of a kernel table that are read at most; one that is longer proves nothing.
    private static let limit = 16 << 20

    /// Looks now.
    static func now() throws(CommandFailure) -> WallView {
        var sockets: [OpenSocket] = []
        for (proto, file) in [("tcp", "tcp"), ("tcp", "tcp6"), ("udp", "udp"), ("udp", "udp6")] {
            // A kernel without IPv6 has no such table.
            guard let table = try read("/proc/self/net/\(file)", isOptional: file.hasSuffix("6")) else { continue }
            guard let open = SocketTable.open(table, proto: proto) else {
                throw unreadable("/proc/self/net/\(file) is not of the known form")
            }
            sockets += open
        }
        guard let interfaces = HostInterfaces.list() else { throw unreadable("the interfaces cannot be listed") }
        var view = WallView(sockets: sockets, interfaces: interfaces)
        for (name, path) in [
            ("net.ipv4.ip_forward", "ipv4/ip_forward"), ("net.ipv6.conf.all.forwarding", "ipv6/conf/all/forwarding"),
        ] {
            if try isOn(path) { view.forwarding.append(name) }
        }
        for name in Set(interfaces.map(\.name) + ["all"]).sorted(by: precedes) {
            if try isOn("ipv4/conf/\(name)/route_localnet") {
                view.loopbackRoutes.append("net.ipv4.conf.\(name).route_localnet")
            }
        }
        let routes = try read("/proc/self/net/ipv6_route", isOptional: true) ?? []
        view.localNetworks = localNetworks(String(decoding: routes, as: UTF8.self))
        return view
    }

    /// Local routes of IPv6 that are wider than one address (`ip -6 route add local`).
    static func localNetworks(_ table: String) -> [String] {
        let isLocal: UInt32 = 0x8000_0000
        return table.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 10, let length = Int(fields[1], radix: 16), length < 128,
                let flags = UInt32(fields[8], radix: 16), flags & isLocal != 0
            else { return nil }
            return "\(fields[0])/\(length)"
        }
    }

    private static func isOn(_ setting: String) throws(CommandFailure) -> Bool {
        guard let text = try read("/proc/sys/net/\(setting)", isOptional: true) else { return false }
        return text.first != UInt8(ascii: "0")
    }

    private static func read(_ path: String, isOptional: Bool) throws(CommandFailure) -> [UInt8]? {
        do {
            return try Posix.read(path, limit: limit)
        } catch {
            if isOptional, error.number == ENOENT { return nil }
            throw unreadable("\(path): \(error.reason)")
        }
    }

    private static func unreadable(_ reason: String) -> CommandFailure {
        CommandFailure(
            .refused,
            code: "wall.unreadable",
            "the wall cannot be proven, because \(reason); run the agent where it may read /proc, or without --wall"
        )
    }
}

/// The proof that nobody outside reaches a workload but over the gateways: its network namespace has no listener that others can reach,
/// no address that the open network routes to, and forwards nothing. Only an initializer that looked makes one.
struct NetworkWall: Equatable {
    /// Sockets that only the namespace itself can reach.
    let loopbackSockets: Int
    /// Interfaces with their addresses, loopback left out.
    let interfaces: [String]

    /// Seconds between two proofs while the agent runs.
    static let recheckSeconds = 5

    /// Looks at this process' namespace.
    static func prove() throws(CommandFailure) -> NetworkWall {
        let view = try WallView.now()
        return try NetworkWall(view) { SocketOwner.name(of: $0) }
    }

    /// Judges a view; the failure names the first hole.
    ///
    /// - Parameter owner: the process of an inode, in words; nil when it is not known.
    init(_ view: WallView, owner: (String) -> String?) throws(CommandFailure) {
        if let hole = view.sockets.first(where: { !$0.isLoopback }) {
            let process = owner(hole.inode).map { " of \($0)" } ?? ""
            let what = hole.proto == "tcp" ? "listens" : "takes datagrams"
            throw Self.hole(
                "listener",
                "\(hole.text)\(process) \(what) where others can reach it; bind it to 127.0.0.1 or [::1], "
                    + "or run the agent in the workload's own network namespace"
            )
        }
        let outside = view.interfaces.filter { $0.isUp && !Self.isLoopback($0.address) }
        if let open = outside.first(where: { Self.isRouted($0.address) }) {
            throw Self.hole(
                "address",
                "the interface \(open.name) has \(open.address), which the open network routes to; take the address away, "
                    + "or run the agent in a namespace with private addresses only"
            )
        }
        if let network = view.localNetworks.first {
            throw Self.hole("route", "every address of \(network) is local here; delete that route")
        }
        if let setting = view.loopbackRoutes.first {
            throw Self.hole("route", "\(setting) lets others reach the loopback addresses; set it to 0")
        }
        if let setting = view.forwarding.first, Set(outside.map(\.name)).count > 1 {
            throw Self.hole("forwarding", "\(setting) passes packets between its interfaces; set it to 0")
        }
        loopbackSockets = view.sockets.count
        interfaces = outside.map { "\($0.name) \($0.address)" }
    }

    private static func hole(_ code: String, _ what: String) -> CommandFailure {
        CommandFailure(.refused, code: "wall.\(code)", "the network wall has a hole: \(what)")
    }

    private static func isLoopback(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let number): number >> 24 == 127
        case .v6(let high, let low): high == 0 && low == 1
        }
    }

    private static let routed = ["2000::/3", "200::/7", "400::/7"].compactMap { CIDR($0) }
    private static let notRouted = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15",
    ].compactMap { CIDR($0) }

    /// Whether the Internet, or the Planetary network, routes to an address.
    static func isRouted(_ address: IPAddress) -> Bool {
        switch address {
        case .v4: !notRouted.contains { $0.contains(address) }
        case .v6: routed.contains { $0.contains(address) }
        }
    }

    var json: JSONText {
        .object([
            ("event", .string("wall")), ("state", .string("proven")),
            ("loopback_sockets", .integer(Int64(loopbackSockets))),
            ("interfaces", .strings(interfaces)),
        ])
    }

    /// The event of a wall that has a hole.
    static func broken(_ failure: CommandFailure) -> JSONText {
        .object([
            ("event", .string("wall")), ("state", .string("broken")), ("code", .string(failure.code)),
            ("reason", .string(failure.message)),
        ])
    }

    var text: String {
        let ways = interfaces.isEmpty ? "no interface but loopback" : interfaces.joined(separator: ", ")
        return "wall: proven, no listener is reachable from outside (\(loopbackSockets) on loopback; \(ways))"
    }
}

/// Finds the process that holds a socket.
enum SocketOwner {
    /// Its name and number; nil when no process shows the socket to this one.
    static func name(of inode: String) -> String? {
        let files = FileManager.default
        for process in (try? files.contentsOfDirectory(atPath: "/proc")) ?? [] where Int32(process) != nil {
            for entry in (try? files.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? [] {
                let link = try? files.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/\(entry)")
                guard link == "socket:[\(inode)]" else { continue }
                let name = (try? Posix.read("/proc/\(process)/comm", limit: 64)) ?? []
                return "\(String(decoding: name, as: UTF8.self).withoutControls) (process \(process))"
            }
        }
        return nil
    }
}
