import Contracts
import Testing

@testable import Gateway

@Suite("ProxyHeaderReader")
struct ProxyHeaderReaderTests {
    private static let four = (IPAddress.v4(0x7F00_0001), UInt16(1234))
    private static let six = (IPAddress.v6(0x2001_0DB8 << 32, 1), UInt16(65_535))

    @Test("takes exactly the header that a gateway writes, in pieces of any size", arguments: [1, 2], [1, 7, 500])
    func exact(version: Int, piece: Int) {
        for (source, destination) in [(Self.four, Self.four), (Self.six, Self.six), (Self.four, Self.six)] {
            let header = ProxyHeader.bytes(version: version, source: source, destination: destination)
            let stream = header + Array("PROXY and more".utf8)
            var reader = ProxyHeaderReader()
            var taken = 0
            var progress = ProxyHeaderReader.Progress.incomplete
            while progress == .incomplete, taken < stream.count {
                let part = Array(stream[taken..<min(stream.count, taken + piece)])
                let (count, next) = reader.take(part.span)
                taken += count
                progress = next
            }
            #expect(progress == .complete)
            #expect(taken == header.count && reader.bytes == header)
        }
    }

    @Test(
        "refuses what begins otherwise, and what is too long",
        arguments: ["GET / HTTP/1.1\r\n", "PROXX", "PROXY \(String(repeating: "x", count: 200))\r\n", "\r\n\r\n\r\n"]
    )
    func invalid(_ text: String) {
        var reader = ProxyHeaderReader()
        #expect(reader.take(Array(text.utf8).span).progress == .invalid)
    }

    @Test("refuses a binary header of endless addresses")
    func long() {
        var reader = ProxyHeaderReader()
        #expect(reader.take((ProxyHeader.signature + [0x21, 0x11, 0xFF, 0xFF]).span).progress == .invalid)
    }
}
