import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("audit replay of a signed pack that was tampered with")
struct PackTamperCommandTests {
    private let folder: TemporaryFolder
    private let pack: URL
    private let pins: [String]
    private let paths: [String]

    init() throws {
        folder = try TemporaryFolder()
        pack = folder.url.appendingPathComponent("pack")
        try FileManager.default.copyItem(at: VectorFiles.fixture("packs/rotation"), to: pack)
        let index = try JSONValue(document: [UInt8](Data(contentsOf: VectorFiles.fixture("packs/index.json"))))
        let element = try #require(index.asArray?.first { $0["pack"]?.asString == "rotation" })
        pins = [
            "--ledger-id", element["ledger"]?.asString ?? "", "--manifest-key", element["manifest_key"]?.asString ?? "",
        ]
        paths = try LogFolder(path: pack.path).pack.paths()
    }

    private func replay() async throws -> GWNode.Result {
        try await GWNode.run(["audit", "replay", pack.path, "--each", "--json"] + pins, in: folder)
    }

    private func read(_ path: String) throws -> Data { try Data(contentsOf: pack.appendingPathComponent(path)) }

    private func write(_ data: Data, _ path: String) throws { try data.write(to: pack.appendingPathComponent(path)) }

    /// The answer is 1 with a code and a sentence, whatever was done to the pack.
    private func expectRefused(_ what: String) async throws {
        let result = try await replay()
        #expect(result.status == 1, "\(what): \(result)")
        #expect(result.json?["error"] as? String != nil && result.errors.contains("do not trust"), "\(what): \(result)")
    }

    @Test("one bit of any file: MANIFEST, checkpoint, policy, tiles, outcomes, state, expectations, tampered, attacks")
    func bits() async throws {
        #expect(try await replay().status == 0)
        #expect(paths.count > 40)
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = seed
        for path in paths {
            let bytes = try read(path)
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var flipped = bytes
            flipped[Int((random >> 16) % UInt64(bytes.count))] ^= 1 << UInt8((random >> 8) % 8)
            try write(flipped, path)
            try await expectRefused("seed \(seed), a bit of \(path)")
            try write(bytes, path)
        }
        #expect(try await replay().status == 0)
    }

    @Test("files that are gone, added, exchanged, emptied, prolonged, or links and folders in their place")
    func files() async throws {
        let manager = FileManager.default
        for (number, path) in paths.enumerated() {
            let place = pack.appendingPathComponent(path)
            let bytes = try read(path)
            switch number % 5 {
            case 0: try manager.removeItem(at: place)
            case 1: try write(try read(paths[(number + 1) % paths.count]) + (number % 2 == 0 ? [] : [0]), path)
            case 2: try write(bytes + [0x0A], path)
            case 3: try write(Data(), path)
            default:
                try manager.removeItem(at: place)
                try manager.createDirectory(at: place, withIntermediateDirectories: false)
            }
            try await expectRefused("\(path), change \(number % 5)")
            try? manager.removeItem(at: place)
            try write(bytes, path)
        }
        for added in ["tile/0/001", "attack/one-more", ".hidden", "tile/entries/000.p/1"] {
            try write(Data([1]), added)
            try await expectRefused("\(added) added")
            try manager.removeItem(at: pack.appendingPathComponent(added))
        }
        #expect(try await replay().status == 0)
    }
}
