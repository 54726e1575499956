import TestSupport
import Testing

@testable import Gateway

@Suite("HostIndex")
struct HostIndexTests {
    private static func value(_ index: HostIndex<Int>, _ host: String) -> Int? {
        let bytes = Array("x\(host)y".utf8)
        return index.lookUp(bytes.span, 1..<(bytes.count - 1))
    }

    @Test(
        "answers as a dictionary does, through additions, changes and removals; seed is printed",
        arguments: [1, 2, 3]
    )
    func walk(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var index = HostIndex<Int>(seed: seed)
        var model: [String: Int] = [:]
        // Lengths around the ends of words and of what an entry holds.
        let names = (0..<3000).map { number in
            String(repeating: "a", count: number % 70) + "\(number).example.org"
        }
        for round in 0..<20 {
            var changes: [String: Int?] = [:]
            for _ in 0..<400 {
                let name = names[Int.random(in: 0..<names.count, using: &random)]
                changes[name] = Bool.random(using: &random) ? round : .some(nil)
            }
            let before = index
            let old = model
            index.set(changes)
            for (name, value) in changes { model[name] = value }
            let isRight = names.allSatisfy { Self.value(index, $0) == model[$0] }
            #expect(isRight, "seed \(seed), round \(round)")
            let isKept = names.allSatisfy { Self.value(before, $0) == old[$0] }
            #expect(isKept, "seed \(seed), round \(round): the index before changed too")
        }
    }

    @Test("takes capital letters for small ones, and no other byte for one")
    func letters() {
        var index = HostIndex<Int>(seed: 7)
        let host = "az09-_@[`{.example.org"
        index.set([host: 1])
        #expect(Self.value(index, host.uppercased()) == 1)
        let bytes = Array(host.utf8)
        for place in bytes.indices {
            for byte in 0...255 as ClosedRange<UInt8> {
                var other = bytes
                other[place] = byte
                let isLetter = bytes[place] >= 0x61 && bytes[place] <= 0x7A
                let isSame = byte == bytes[place] || (isLetter && byte == bytes[place] - 0x20)
                #expect(
                    (index.lookUp(other.span, 0..<other.count) == 1) == isSame,
                    "byte \(byte) at \(place)"
                )
            }
        }
    }

    @Test("tells names apart that one is the beginning of the other, also by zeros")
    func lengths() {
        var index = HostIndex<Int>(seed: 7)
        let name = String(repeating: "b", count: 56)
        index.set([name: 1, String(name.prefix(48)): 2, String(name.prefix(8)): 3])
        #expect(Self.value(index, name) == 1)
        #expect(Self.value(index, String(name.prefix(48))) == 2)
        #expect(Self.value(index, String(name.prefix(8))) == 3)
        #expect(Self.value(index, String(name.prefix(47))) == nil)
        #expect(Self.value(index, "\(name.prefix(8))\0") == nil)
        #expect(Self.value(index, "\(name.prefix(48))\0") == nil)
        #expect(Self.value(index, String(repeating: "b", count: 256)) == nil)
    }

    @Test("a wildcard serves one label, and only where no host of its own does")
    func wildcards() {
        var index = HostIndex<Int>(seed: 7)
        index.set(["*.example.org": 1, "own.example.org": 2])
        #expect(Self.value(index, "other.example.org") == 1)
        #expect(Self.value(index, "own.example.org") == 2)
        #expect(Self.value(index, "a.b.example.org") == nil)
        #expect(Self.value(index, ".example.org") == nil)
        #expect(Self.value(index, "example.org") == nil)
        index.set(["*.example.org": nil as Int?])
        #expect(Self.value(index, "other.example.org") == nil)
        #expect(Self.value(index, "own.example.org") == 2)
    }
}
