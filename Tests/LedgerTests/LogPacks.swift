import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

/// A pack below `fixtures/packs`, with the pins that `index.json` has for it.
struct LogPack: CustomTestStringConvertible {
    let name: String
    let ledgerID: Identifier
    let manifestKey: VerifierKey
    let entries: Int
    let isUnsupported: Bool

    var testDescription: String { name }

    var path: String { VectorFiles.fixture("packs/\(name)").path }

    /// All files by their paths.
    func files() throws -> [String: [UInt8]] {
        let pack = LogFolder(path: path).pack
        return Dictionary(uniqueKeysWithValues: try pack.paths().map { ($0, try pack.requiredFile($0)) })
    }

    /// What `audit replay` is given for this pack.
    func options(each: Bool = true, manifestKey: Bool = true) -> AuditOptions {
        AuditOptions(
            ledgerID: ledgerID,
            manifestKey: manifestKey ? self.manifestKey : nil,
            each: each,
            localNow: 1_800_000_000
        )
    }

    static let all: [LogPack] = {
        do {
            let bytes = [UInt8](try Data(contentsOf: VectorFiles.fixture("packs/index.json")))
            return try JSONValue(document: bytes).asArray?.map { element in
                guard let name = element["pack"]?.asString,
                    let id = element["ledger"]?.asString.flatMap(Digest.init(hex:)),
                    let key = element["manifest_key"]?.asString.flatMap({ VerifierKey($0) }),
                    let entries = element["entries"]?.asInteger
                else { throw CocoaError(.coderInvalidValue) }
                return LogPack(
                    name: name,
                    ledgerID: id,
                    manifestKey: key,
                    entries: Int(entries),
                    isUnsupported: element["unsupported"] == true
                )
            } ?? []
        } catch {
            fatalError("fixtures/packs/index.json: \(error)")
        }
    }()

    static func named(_ name: String) -> LogPack {
        guard let pack = all.first(where: { $0.name == name }) else { fatalError("no pack \(name)") }
        return pack
    }
}

/// A pack in memory, so that a test can change any byte of it.
struct MemoryLog: LogSource {
    var files: [String: [UInt8]]

    var pack: FixturePack {
        let files = files
        return FixturePack(
            read: { path, limit in
                guard let bytes = files[path] else { return nil }
                guard bytes.count <= limit else { throw CocoaError(.fileReadTooLarge) }
                return bytes
            },
            list: { Array(files.keys) }
        )
    }

    func checkpoint() async throws -> [UInt8]? { files["checkpoint"] }

    func tile(_ path: TilePath, limit: Int) async throws -> [UInt8]? { files[path.description] }
}

extension LogPack {
    func replay(_ log: MemoryLog, _ options: AuditOptions) async throws -> AuditReport {
        try await AuditReplay.run(log, pack: log.pack, options: options)
    }
}
