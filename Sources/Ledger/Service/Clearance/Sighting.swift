public import Contracts

/// Somebody who may have seen trees of this ledger that its own database lacks.
public struct Onlooker: Sendable, Hashable, CustomStringConvertible {
    /// A witness's key; nil for a mirror or any other copy.
    public var key: VerifierKey?
    /// Base URL: of a witness its submission prefix, of a copy the prefix of the log.
    public var url: String

    /// A witness.
    public init(witness key: VerifierKey, url: String) {
        self.key = key
        self.url = url
    }

    /// A mirror, or any other server of the log's files.
    public init(copy url: String) {
        self.url = url
    }

    public var description: String { key.map { "witness \($0.name) (\(url))" } ?? "mirror \(url)" }
}

/// What an onlooker showed, verified as far as this ledger can.
enum Sighting: Sendable, Hashable {
    /// It has never seen this log.
    case nothing
    /// A tree that this ledger signed.
    case signed(SignedTree)
    /// A tree that a known witness cosigned, under keys of the ledger that this database does not know.
    case foreign(SignedTree)
    /// No usable answer, and why.
    case unusable(String)
}

/// Asks onlookers for their newest checkpoint of this log. Every answer is bounded in size and in time.
struct SightingReader: Sendable {
    /// Time for one answer.
    static let deadline: Duration = .seconds(10)

    let origin: String
    /// The ledger's keys that this database knows.
    let ledgerKeys: [VerifierKey]

    /// Asks all at once.
    func ask(_ onlookers: [Onlooker]) async -> [Onlooker: Sighting] {
        await withTaskGroup(of: (Onlooker, Sighting).self) { group in
            for onlooker in onlookers { group.addTask { (onlooker, await self.ask(onlooker)) } }
            var sightings: [Onlooker: Sighting] = [:]
            for await (onlooker, sighting) in group { sightings[onlooker] = sighting }
            return sightings
        }
    }

    private func ask(_ onlooker: Onlooker) async -> Sighting {
        let path = onlooker.key == nil ? "/checkpoint" : "/\(Digest.sha256(Array(origin.utf8)).hex)/checkpoint"
        do throws(LedgerClientError) {
            let client = try LedgerClient(urls: [onlooker.url])
            defer { client.shutdown() }
            let bytes = try await client.resource(
                path,
                from: client.sources[0],
                limit: SignedNote.longest,
                deadline: Self.deadline,
                isBypassingCaches: true
            )
            return judge(bytes, of: onlooker)
        } catch {
            return error.code == .notFound && onlooker.key != nil ? .nothing : .unusable(error.message)
        }
    }

    /// Judges the note that an onlooker showed.
    func judge(_ bytes: [UInt8], of onlooker: Onlooker) -> Sighting {
        guard let checkpoint = try? Checkpoint(parsing: bytes) else { return .unusable("it shows no checkpoint") }
        guard checkpoint.origin.utf8.elementsEqual(origin.utf8) else {
            return .unusable("it shows a checkpoint of another log")
        }
        let tree = SignedTree(size: checkpoint.size, root: checkpoint.root)
        let keys = ledgerKeys + [onlooker.key].compactMap(\.self)
        guard let lines = try? checkpoint.note.verified(by: keys) else {
            return .unusable("it shows a checkpoint with a false signature")
        }
        if let key = onlooker.key, !lines.contains(where: { $0.key == key }) {
            return .unusable("it shows a checkpoint that it has not cosigned")
        }
        if lines.contains(where: { $0.time == nil }) { return .signed(tree) }
        return onlooker.key == nil
            ? .unusable("it shows a checkpoint that no known key of this ledger signed") : .foreign(tree)
    }
}
