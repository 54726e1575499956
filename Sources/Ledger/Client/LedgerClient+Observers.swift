internal import Contracts

/// What peers, witnesses and auditors are asked and told.
extension LogTransport {
    /// GET /<hex H(origin)>/checkpoint of C2SP tlog-witness: the checkpoint that a witness or peer stands by.
    func observedCheckpoint(from source: LedgerClient.Source, origin: String) async throws(LedgerClientError) -> [UInt8]
    {
        let path = "/\(Digest.sha256(Array(origin.utf8)).hex)/checkpoint"
        return try await resource(path, from: source, limit: limits.checkpointBytes)
    }

    /// GET /keyset/<n>: leaf n of the key chain, not verified; from a data source when the given one is an observer.
    func keyset(_ number: UInt64, from source: LedgerClient.Source) async throws(LedgerClientError) -> [UInt8] {
        let source = source.role.isObserver ? sources[0] : source
        return try await resource("/keyset/\(number)", from: source, limit: ParsedEntry.sizeLimit)
    }
}

extension LedgerClient {
    /// POST /evidence; true if the source found it proven, false if not.
    func post(evidence: [UInt8], to source: Source) async throws(LedgerClientError) -> Bool {
        var request = request(source, "/evidence", limits.answerBytes)
        request.method = .post
        request.headers.append(("Content-Type", "application/json"))
        request.body = evidence
        let response = try await send(request)
        switch response.status {
        case 200: return true
        case 422: return false
        default: throw unexpected(response, request)
        }
    }
}
