internal import Contracts
internal import HTTPTypes
internal import Hummingbird

extension LedgerAPI {
    /// GET of a file of a snapshot.
    func snapshot(_ resource: SnapshotPath) async throws -> Answer {
        let folder = snapshots.folder
        switch resource {
        case .sizes:
            return Answer(
                .ok,
                headers: [.contentType: LedgerResource.snapshot(resource).mediaType, .cacheControl: "max-age=1"],
                body: folder.list.bytes
            )
        case .notes: throw Problem(.notFound("nothing is served at this path"))
        case .manifest(let size), .proof(let size), .chunk(let size, _):
            // What has no manifest yet may still go away; only what stays is shown.
            guard folder.isAttested(size), let bytes = folder.bytes(resource) else {
                throw Problem(.notFound("there is no attested snapshot of size \(size)"))
            }
            return Answer(
                .ok,
                headers: [
                    .contentType: LedgerResource.snapshot(resource).mediaType,
                    .cacheControl: "public, max-age=31536000, immutable",
                ],
                body: bytes
            )
        }
    }

    /// POST of an auditor's state note.
    func attest(_ size: UInt64, _ request: Request, _ context: Context) async throws -> Answer {
        if let wait = limiter.take(RateLimiter.key(context.address), now: .now) {
            throw Problem(ProblemDetails(429, "rate.limited", "this address submits too much", retryAfter: wait))
        }
        switch try await snapshots.take(try await body(of: request), size: size) {
        case .refused(let status, let code, let reason):
            throw Problem(ProblemDetails(status, code, reason))
        case .taken(let notes, let quorum, let isAttested):
            let members: JSONObject = [
                "attested": .boolean(isAttested), "notes": .integer(Int64(notes)), "quorum": .integer(Int64(quorum)),
                "size": .integer(Int64(size)),
            ]
            return Answer(
                .ok,
                headers: [.contentType: "application/json", .cacheControl: "no-store"],
                body: JSONValue.object(members).canonical
            )
        }
    }
}
