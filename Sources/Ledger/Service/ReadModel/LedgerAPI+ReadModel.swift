internal import Contracts
internal import HTTPTypes
internal import Hummingbird

extension LedgerAPI {
    /// How often, and how long each time, a list waits until what is committed is published too.
    private static let patience = (tries: 20, pause: Duration.milliseconds(5))

    private static let link = HTTPField.Name("Link") ?? .location

    /// GET /v1/contracts, /v1/nodes, /v1/names.
    func list(_ kind: ReadModel.Kind, _ request: Request) async throws -> Answer {
        guard let query = ReadModelQuery(kind, request.uri.query ?? "") else {
            let members = ReadModelQuery(kind, "")?.members ?? ""
            throw Problem(
                .notFound("the query of this list has \(members), each once, and a limit of 1 to 200")
            )
        }
        try await refresh()
        let page = readModel.page(query)
        var headers: HTTPFields = [
            .contentType: LedgerResource.list(kind).mediaType, .cacheControl: "max-age=1",
        ]
        if let next = page.next { headers[Self.link] = "<\(query.path(after: next))>; rel=\"next\"" }
        let document: JSONValue = ["items": .array(page.items), "size": .integer(Int64(page.size))]
        return Answer(.ok, headers: headers, body: document.canonical)
    }

    /// Takes the committed state as soon as a published checkpoint covers it; under load an older one does.
    private func refresh() async throws {
        for _ in 0..<Self.patience.tries {
            let state = sequencer.state
            if state.size <= board.newest?.size ?? 0 { return readModel.take(state) }
            if !readModel.isEmpty { return }
            try await Task.sleep(for: Self.patience.pause)
        }
        throw Problem(.unavailable("no state is published yet", retryAfter: 1))
    }
}
