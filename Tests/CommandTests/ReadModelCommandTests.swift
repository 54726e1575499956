import Contracts
import Foundation
import FoundationNetworking
import TestSupport
import Testing

@Suite("Read model /v1")
struct ReadModelCommandTests {
    private let folder: TemporaryFolder
    private let ledger: TrialLedger

    init() async throws {
        folder = try TemporaryFolder()
        ledger = try await TrialLedger(in: folder)
    }

    private func get(_ path: String) async throws -> (status: Int, body: JSONValue, fields: [AnyHashable: Any]) {
        let url = try #require(URL(string: ledger.url + path))
        let (data, response) = try await URLSession(configuration: .ephemeral).data(from: url)
        let http = try #require(response as? HTTPURLResponse)
        return (http.statusCode, try JSONValue(document: [UInt8](data)), http.allHeaderFields)
    }

    @Test("lists names page by page, by owner, and only what is published")
    func names() async throws {
        try await ledger.join("alice")
        try await ledger.join("bob")
        for (person, name) in [("alice", "one"), ("bob", "two"), ("alice", "three")] {
            let made = try await ledger.run(person, "name", "reserve", name)
            #expect(made.status == 0, "\(made)")
        }
        try await eventually("all names are listed") {
            try await self.get("/v1/names").body["items"]?.asArray?.count == 3
        }
        var (path, found, owners): (String?, [String], Set<String>) = ("/v1/names?limit=1", [], [])
        while let next = path {
            let page = try await get(next)
            #expect(page.status == 200 && page.fields["Cache-Control"] as? String == "max-age=1")
            let items = try #require(page.body["items"]?.asArray)
            #expect(items.count == 1)
            found += items.compactMap { $0["name"]?.asString }
            owners.formUnion(items.compactMap { $0["owner"]?.asString })
            let link = page.fields["Link"] as? String
            #expect(link == nil || link?.hasSuffix("; rel=\"next\"") == true)
            path = link.map { String($0.dropFirst().prefix { $0 != ">" }) }
            try #require(found.count <= 3)
        }
        #expect(found.sorted() == ["one", "three", "two"] && owners.count == 2)
        let counts = try await owners.sorted().asyncMap { owner in
            try await self.get("/v1/names?owner=\(owner)").body["items"]?.asArray?.count ?? 0
        }
        #expect(counts.sorted() == [1, 2])
        for list in ["contracts", "nodes"] {
            let page = try await get("/v1/\(list)")
            #expect(page.status == 200 && page.body["items"]?.asArray?.isEmpty == true)
        }
        for query in ["limit=0", "limit=201", "limit=x", "cursor=1", "unknown=1", "limit=1&limit=2", "node=x"] {
            #expect(try await get("/v1/names?\(query)").status == 404, "\(query)")
        }
        #expect(try await get("/v1/twins").status == 404)
    }
}

extension Array where Element: Sendable {
    fileprivate func asyncMap<Value>(_ body: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await body(element)) }
        return values
    }
}
