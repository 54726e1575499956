import Contracts
import Testing

@testable import gw_node

@Suite("Contract files")
struct ContractFileTests {
    private static let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    private static let other = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

    private static let text = """
        gateways: [north/gw1, south/gw2]
        conn: reverse-tls
        backends: [ { id: b2, key: "\(other)", weight: 50 }, { id: b1, key: "\(key)" } ]
        expose:
          - { id: web, kind: http, tls: none, hosts: [shop.gw.example.org, a.shop.gw.example.org], path: /api }
          - { id: secure, kind: tls, hosts: [shop.gw.example.org], backends: [b1], proxy: 2 }
          - { id: redis, kind: tcp, ports: [6379, 7000-7009], deny: [192.0.2.0/24] }
        names: [shop]
        limits: { conns: 200, bps: 1Gbit }
        valid: 90d
        """

    private func read(_ text: String) throws(CommandFailure) -> ContractFile {
        try ContractFile(ConfigurationFile(path: "contract.yaml", text: text))
    }

    @Test("reads the contract of the documentation, with every set in order")
    func reads() throws {
        let file = try read(Self.text)
        #expect(file.gateways.map(\.text) == ["north/gw1", "south/gw2"])
        #expect(file.backends.map(\.id) == ["b1", "b2"])
        #expect(file.backends.map(\.weight) == [100, 50])
        #expect(file.exposes.map(\.id) == ["redis", "secure", "web"])
        #expect(file.exposes[0].backends == ["b1", "b2"])
        #expect(file.exposes[0].ports == [PortRange(from: 6379, to: 6379), PortRange(from: 7000, to: 7009)])
        #expect(file.exposes[1].backends == ["b1"])
        #expect(file.exposes[1].proxy == 2)
        #expect(file.exposes[2].hosts == ["a.shop.gw.example.org", "shop.gw.example.org"])
        #expect(file.limits.bitsPerSecond == 1_000_000_000)
        #expect(file.valid == 7_776_000)
    }

    @Test(
        "names file, line and rule of every mistake",
        arguments: [
            ("conn: reverse-tls", "conn: carrier-pigeon", 2, "must be one of reverse-tls, reverse-raw, overlay"),
            ("conn: reverse-tls", "conn: reverse-raw", 5, "must be tls with `conn: reverse-raw`"),
            ("conn: reverse-tls", "con: reverse-tls", 2, "is not a known key"),
            ("id: b2", "id: b1", 3, "a second time"),
            ("id: b2", "id: B2", 3, "lower-case"),
            ("weight: 50", "weight: 0", 3, "must be a number from 1 to 1000"),
            (other, key, 3, "the same key"),
            (other, "no.pub", 3, "no.pub does not exist"),
            (other, "0000000000000000000000000000000000000000000000000000000000000000", 3, "no usable public key"),
            ("kind: http, tls: none, ", "kind: http, ", 5, "`expose[0].tls` is missing"),
            ("tls: none", "tls: maybe", 5, "must be one of terminate, none"),
            ("path: /api", "path: api", 5, "must be a path"),
            ("path: /api", "path: /a/../b", 5, "must be a path"),
            ("[shop.gw.example.org, a.shop", "[Shop.gw.example.org, a.shop", 5, "lower-case host name"),
            ("[shop.gw.example.org, a.shop", "[a.shop.gw.example.org, a.shop", 5, "stands twice"),
            ("kind: tls, hosts", "kind: tls, tls: none, hosts", 6, "is only for the kind http"),
            ("backends: [b1], proxy", "backends: [b9], proxy", 6, "names no backend"),
            ("proxy: 2", "proxy: 3", 6, "must be a number from 0 to 2"),
            ("id: secure", "id: web", 6, "a second time"),
            ("[6379, 7000-7009]", "[0]", 7, "must be a port"),
            ("[6379, 7000-7009]", "[7009-7000]", 7, "must be a port"),
            ("[6379, 7000-7009]", "[7000, 6999-7001]", 7, "overlaps"),
            ("[6379, 7000-7009]", "[1000-3000]", 7, "at most 1024 ports"),
            ("192.0.2.0/24", "192.0.2.1/24", 7, "must be a network"),
            ("kind: tcp, ports", "kind: tcp, hosts: [a.b], ports", 7, "is only for the kinds http and tls"),
            ("bps: 1Gbit", "bps: 1 furlong", 9, "must be a rate such as 100Mbit"),
            ("bps: 1Gbit", "bps: 1Gbit, period: 1h", 9, "together, or neither"),
            ("valid: 90d", "valid: 90", 10, "must be a time with its unit"),
            ("valid: 90d", "valid: 90d\nnot_after: 2030-01-01T00:00:00Z", 11, "keep one of them"),
            ("valid: 90d", "not_before: 2030-01-01T00:00:00Z\nnot_after: 2029-01-01T00:00:00Z", 11, "later than"),
            ("valid: 90d", "valid: 90d\ndrain: 2h", 11, "must be from 0s to 1h"),
        ]
    )
    func mistakes(good: String, bad: String, line: Int, message: String) throws {
        let text = Self.text.replacing(good, with: bad, maxReplacements: 1)
        #expect(text != Self.text)
        let failure = #expect(throws: CommandFailure.self) { try read(text) }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.hasPrefix("contract.yaml:\(line): ") == true, "\(failure?.message ?? "")")
        #expect(failure?.message.contains(message) == true, "\(failure?.message ?? "")")
    }

    @Test(
        "two exposures may not claim the same host in the same way",
        arguments: [
            "{ id: two, kind: http, tls: none, hosts: [shop.gw.example.org], path: /api }",
            "{ id: two, kind: tls, hosts: [shop.gw.example.org] }",
            "{ id: two, kind: http, tls: terminate, hosts: [shop.gw.example.org] }",
            "{ id: two, kind: tcp, ports: [7005] }",
        ]
    )
    func claims(expose: String) {
        let text = Self.text.replacing("names: [shop]", with: "  - \(expose)\nnames: [shop]")
        let failure = #expect(throws: CommandFailure.self) { try read(text) }
        #expect(failure?.message.hasPrefix("contract.yaml:8: ") == true, "\(failure?.message ?? "")")
    }
}
