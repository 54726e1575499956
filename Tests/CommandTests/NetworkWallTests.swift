import Contracts
import Gateway
import Testing

@testable import gw_node

@Suite("Network wall")
struct NetworkWallTests {
    private static let head =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

    private func table(_ lines: [String]) -> [UInt8] { Array((Self.head + lines.joined(separator: "\n") + "\n").utf8) }

    @Test("reads listeners and unconnected UDP sockets of both families out of the kernel's tables")
    func tables() throws {
        let four = table([
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0",
            "   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0 100 0 0 10 0",
            "   2: 0200000A:C000 0100000A:01BB 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 100 0 0 10 0",
        ])
        let sockets = try #require(SocketTable.open(four, proto: "tcp"))
        #expect(sockets.map(\.text) == ["tcp 127.0.0.1:8080", "tcp 0.0.0.0:80"])
        #expect(sockets.map(\.isLoopback) == [true, false])
        #expect(sockets.map(\.inode) == ["101", "102"])
        let six = table([
            "   0: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 7 2 0 0",
            "   1: 0000000000000000FFFF00000100007F:0036 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 8 2 0 0",
            "   2: 00000002000000000000000001000000:0037 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 9 2 0 0",
            "   3: 00000002000000000000000001000000:0038 00000002000000000000000002000000:0035 01 0:0 00:0 0 0 0 9 2 0 0",
        ])
        let datagrams = try #require(SocketTable.open(six, proto: "udp"))
        #expect(datagrams.map(\.isLoopback) == [true, true, false])
        #expect(datagrams.last?.text == "udp [200::1]:55" || datagrams.last?.text == "udp [0:2::1]:55", "\(datagrams)")
        #expect(SocketTable.open(table(["   0: nonsense 0A"]), proto: "tcp") == nil)
        #expect(SocketTable.open(table(["0: 0100:1F90 0:0 0A 0:0 0:0 0 0 0 1 1"]), proto: "tcp") == nil)
    }

    private func judge(
        sockets: [OpenSocket] = [],
        addresses: [String] = ["10.0.0.2"],
        isUp: Bool = true,
        forwarding: [String] = [],
        loopbackRoutes: [String] = [],
        localNetworks: [String] = []
    ) -> String? {
        let interfaces = addresses.enumerated().map {
            HostInterface(name: "eth\($0.offset)", address: IPAddress($0.element)!, isUp: isUp)
        }
        let view = WallView(
            sockets: sockets,
            interfaces: interfaces,
            forwarding: forwarding,
            loopbackRoutes: loopbackRoutes,
            localNetworks: localNetworks
        )
        do throws(CommandFailure) {
            _ = try NetworkWall(view) { $0 == "7" ? "nginx (process 42)" : nil }
            return nil
        } catch {
            return "\(error.code) \(error.message)"
        }
    }

    @Test("passes loopback listeners and private addresses, and names the first hole in a sentence")
    func judgement() {
        func socket(_ proto: String, _ address: String, inode: String = "1") -> OpenSocket {
            OpenSocket(proto: proto, address: IPAddress(address)!, port: 80, inode: inode)
        }
        #expect(judge() == nil)
        #expect(judge(sockets: [socket("tcp", "127.0.0.1"), socket("udp", "::1"), socket("tcp", "127.9.9.9")]) == nil)
        for address in ["192.168.1.5", "172.20.0.1", "100.64.0.9", "169.254.3.3", "fe80::1", "fd00::1"] {
            #expect(judge(addresses: [address]) == nil, "\(address)")
        }
        #expect(judge(addresses: ["203.0.113.9"], isUp: false) == nil)
        let listener = judge(sockets: [socket("tcp", "0.0.0.0", inode: "7")])
        #expect(
            listener?.hasPrefix(
                "wall.listener the network wall has a hole: tcp 0.0.0.0:80 of nginx (process 42) listens where others can reach it; bind it"
            ) == true,
            "\(listener ?? "")"
        )
        #expect(judge(sockets: [socket("udp", "10.0.0.2")])?.contains("udp 10.0.0.2:80 takes datagrams where") == true)
        for address in ["203.0.113.9", "2001:db8::1", "200::1", "5ff::1"] {
            #expect(
                judge(addresses: [address])?.hasPrefix(
                    "wall.address the network wall has a hole: the interface eth0 has \(address)"
                )
                    == true
            )
        }
        #expect(judge(forwarding: ["net.ipv4.ip_forward"]) == nil, "one interface has nowhere to forward to")
        #expect(
            judge(addresses: ["10.0.0.1", "10.0.1.1"], forwarding: ["net.ipv4.ip_forward"])?.hasPrefix(
                "wall.forwarding"
            ) == true
        )
        #expect(judge(loopbackRoutes: ["net.ipv4.conf.all.route_localnet"])?.hasPrefix("wall.route") == true)
        #expect(judge(localNetworks: ["0200…/64"])?.hasPrefix("wall.route") == true)
    }

    @Test("finds networks that are local as a whole, and passes single addresses and other routes")
    func localNetworks() {
        let zero = String(repeating: "0", count: 32)
        func line(_ network: String, _ length: String, _ flags: String) -> String {
            "\(network) \(length) \(zero) 00 \(zero) 00000400 00000001 00000000 \(flags)       lo"
        }
        let network = "02000001" + String(repeating: "0", count: 24)
        #expect(WallView.localNetworks(line(network, "40", "80200001")) == ["\(network)/64"])
        #expect(WallView.localNetworks(line(network, "80", "80200001")) == [])
        #expect(WallView.localNetworks(line(network, "40", "00000001")) == [])
        #expect(WallView.localNetworks(line(zero, "00", "00200200")) == [])
    }
}
