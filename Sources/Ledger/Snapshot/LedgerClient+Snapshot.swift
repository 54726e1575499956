internal import Contracts
internal import Foundation

/// What a ledger said to a state note.
public enum StateNoteAnswer: Sendable, Hashable {
    /// It counts. `isAttested` when the snapshot has its manifest now.
    case taken(notes: Int64, quorum: Int64, isAttested: Bool)
    case refused(code: String, message: String)
}

extension LedgerClient {
    /// The sizes of the snapshots that the first answering source has, newest first, and whether each is attested; none
    /// when it has none. A hint.
    public func snapshotSizes() async throws(LedgerClientError) -> [(size: UInt64, isAttested: Bool)] {
        try await inTurn { source async throws(LedgerClientError) -> [(size: UInt64, isAttested: Bool)] in
            try await self.snapshotSizes(from: source).lines.map { ($0.size, $0.isAttested) }
        }
    }

    /// Hands an auditor's state note to the first source that takes notes. Handing it in again is safe.
    public func submit(stateNote note: [UInt8], size: UInt64) async throws(LedgerClientError) -> StateNoteAnswer {
        try await inTurn { source async throws(LedgerClientError) -> StateNoteAnswer in
            var request = self.request(source, "/\(SnapshotPath.notes(size))", self.limits.answerBytes)
            request.method = .post
            request.headers.append(("Content-Type", "text/plain; charset=utf-8"))
            request.body = note
            let response = try await self.send(request)
            let members = (try? JSONValue(document: response.body))?.asObject
            switch response.status {
            case 200:
                guard let members, let notes = members["notes"]?.asInteger, let quorum = members["quorum"]?.asInteger,
                    let isAttested = members["attested"]?.asBoolean
                else {
                    let what = "POST \(request.url) did not answer what became of the note"
                    throw LedgerClientError(.malformed, source: source.url, message: what)
                }
                return .taken(notes: notes, quorum: quorum, isAttested: isAttested)
            case 400...499 where ![405, 408, 429].contains(response.status):
                guard let members, let code = members["code"]?.asString, let title = members["title"]?.asString else {
                    throw self.unexpected(response, request)
                }
                return .refused(code: code, message: title)
            default:
                throw self.unexpected(response, request)
            }
        }
    }
}

extension LogTransport {
    func snapshotSizes(from source: LedgerClient.Source) async throws(LedgerClientError) -> SnapshotSizes {
        let bytes: [UInt8]
        do throws(LedgerClientError) {
            bytes = try await resource("/\(SnapshotPath.sizes)", from: source, limit: SnapshotSizes.longest)
        } catch {
            guard error.code == .notFound else { throw error }
            return SnapshotSizes([])
        }
        guard let sizes = SnapshotSizes(bytes) else {
            let what = "GET \(source.url)/\(SnapshotPath.sizes) did not answer a list of sizes"
            throw LedgerClientError(.malformed, source: source.url, message: what)
        }
        return sizes
    }

    /// A file of a snapshot, within the limit of its kind, not verified.
    func snapshotFile(
        _ path: SnapshotPath,
        from source: LedgerClient.Source,
        isBypassingCaches: Bool = false
    ) async throws(LedgerClientError) -> [UInt8] {
        let limit =
            switch path {
            case .sizes: SnapshotSizes.longest
            case .manifest, .notes: SignedNote.longest
            case .proof: SnapshotProof.longest
            case .chunk: SnapshotFolder.longestChunk
            }
        return try await resource(
            "/\(path)",
            from: source,
            limit: limit,
            deadline: limits.bundleDeadline,
            acceptsGzip: false,
            isBypassingCaches: isBypassingCaches
        )
    }
}
