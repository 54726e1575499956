import TestSupport
import Testing

@testable import Gateway

@Suite("Server names in a ClientHello")
struct SnifferTests {
    /// A hello with a server name and some other extensions; `padding` bytes make it long.
    static func hello(name: String?, padding: Int = 100, records: Int = 16_384, nameType: UInt8 = 0) -> [UInt8] {
        func vector(_ lengthBytes: Int, _ body: [UInt8]) -> [UInt8] {
            (0..<lengthBytes).map { UInt8(truncatingIfNeeded: body.count >> (8 * (lengthBytes - 1 - $0))) } + body
        }
        var extensions: [UInt8] = [0x00, 0x2B] + vector(2, [2, 3, 4])
        if let name { extensions += [0, 0] + vector(2, vector(2, [nameType] + vector(2, Array(name.utf8)))) }
        extensions += [0x00, 0x15] + vector(2, [UInt8](repeating: 0, count: padding))
        var body: [UInt8] = [3, 3] + [UInt8](repeating: 7, count: 32) + vector(1, [UInt8](repeating: 1, count: 32))
        body += vector(2, [0x13, 1, 0x13, 2]) + vector(1, [0]) + vector(2, extensions)
        let message = [1] + vector(3, body)
        var result: [UInt8] = []
        for start in stride(from: 0, to: message.count, by: records) {
            result += [0x16, 3, 1] + vector(2, Array(message[start..<min(start + records, message.count)]))
        }
        return result
    }

    @Test("finds the name in any size of hello and of its records", arguments: [0, 100, 12_000], [1, 5, 32, 16_384])
    func finds(padding: Int, records: Int) {
        guard padding < 1000 || records > 5 else { return }
        let bytes = Self.hello(name: "Shop.Example.", padding: padding, records: records)
        #expect(ClientHello.parse(bytes.span) == .name(Array("shop.example".utf8)))
        #expect(ClientHello.parse((bytes + [1, 2, 3]).span) == .name(Array("shop.example".utf8)))
    }

    @Test("waits for the rest wherever the hello is cut", arguments: [7, 16_384])
    func cuts(records: Int) {
        let bytes = Self.hello(name: "a.example", records: records)
        for count in 0..<bytes.count {
            #expect(ClientHello.parse(bytes.span.extracting(0..<count)) == .incomplete, "after \(count) bytes")
        }
    }

    @Test("knows a hello without a name")
    func noName() {
        #expect(ClientHello.parse(Self.hello(name: nil).span) == .noName)
    }

    @Test(
        "refuses names that are no hosts",
        arguments: ["", "a b", "a\u{0}b", "a/b", "\u{E9}.example", String(repeating: "a", count: 300)]
    )
    func badNames(_ name: String) {
        #expect(ClientHello.parse(Self.hello(name: name).span) == .malformed)
    }

    @Test("refuses what is not a hello, at its first wrong byte")
    func junk() {
        func parse(_ bytes: [UInt8]) -> ClientHello.Result { ClientHello.parse(bytes.span) }
        #expect(parse(Array("GET / HTTP/1.1\r\n".utf8)) == .malformed)
        #expect(parse([0x16, 3, 1, 0, 0]) == .malformed)
        #expect(parse([0x16, 3, 1, 0xFF, 0xFF]) == .malformed)
        #expect(parse([0x16, 2]) == .malformed)
        #expect(parse([0x80, 0x2E, 1, 0, 2]) == .malformed)
        #expect(parse([0x17, 3, 3, 0, 5]) == .malformed)
        #expect(parse([0x16, 3, 1, 0, 4, 2, 0, 0, 0]) == .malformed)
        #expect(parse([0x16, 3, 1, 0, 4, 1, 0xFF, 0xFF, 0xFF]) == .malformed)
        #expect(parse(Self.hello(name: "a.example", nameType: 1)) == .malformed)
        var long = Self.hello(name: "a.example", padding: 16_000)
        #expect(long.count < ClientHello.limit + 200)
        long = Self.hello(name: "a.example", padding: 17_000)
        #expect(parse(long) == .malformed)
    }

    @Test("never traps on a damaged hello", arguments: [11, 12, 13] as [UInt64])
    func damage(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let whole = Self.hello(name: "a.example", padding: 4)
        for _ in 0..<5000 {
            var bytes = whole
            for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            let result = ClientHello.parse(bytes.span)
            let cut = ClientHello.parse(bytes.span.extracting(0..<random.below(bytes.count)))
            if cut != .incomplete, result != .incomplete { #expect(cut == result) }
        }
    }
}
