internal import Contracts
internal import NIOConcurrencyHelpers

/// etcd 3 through its HTTP/JSON gateway (`/v3/...`), over libcurl on a thread of its own.
///
/// Every answer is bounded in size and time. A request goes to the endpoint that answered last, and to the others in
/// turn when that one is gone, too slow or without a leader; so it may take effect although an error is thrown, and
/// take effect twice. Callers send only what may be repeated: reads, writes of the same value, compare-and-swap.
final class EtcdClient: Sendable {
    /// What must hold for a transaction's first branch.
    enum Condition: Sendable {
        case isAbsent(String)
        case has(String, value: [UInt8])
    }

    enum Operation: Sendable {
        case get(String)
        /// Rows from `first` up to before `end`, at most `limit` of them.
        case list(first: String, end: String, limit: Int)
        case put(String, [UInt8], lease: Int64? = nil)
        case delete(first: String, end: String)
    }

    struct Row: Sendable, Hashable {
        var key: String
        var value: [UInt8]
    }

    struct Result: Sendable {
        /// Whether the conditions held.
        var succeeded: Bool
        /// For each operation of the branch that was taken the rows it read; none for a write.
        var rows: [[Row]]
        var revision: Int64
    }

    /// Certificate files for TLS to etcd.
    struct Identity: Sendable, Hashable {
        var authority: String?
        var certificate: String?
        var key: String?
    }

    /// Longest answer, in bytes: two batches in base64 and their heads.
    private static let answerBytes = 6 * 1024 * 1024
    /// A healthy etcd answers in milliseconds; an election takes one or two seconds.
    private static let deadline: Duration = .seconds(2)
    private static let connect: Duration = .seconds(1)

    let endpoints: [String]
    private let identity: Identity
    private let loop: CurlLoop
    private let preferred = NIOLockedValueBox(0)
    /// The largest revision that a transaction was answered with. A transaction that begins later never sees a smaller one,
    /// unless etcd was put back from an older copy.
    private let newestRevision = NIOLockedValueBox<Int64>(0)

    /// - Throws: `ClusterError.endpoint` for a URL that is none.
    init(endpoints: [String], identity: Identity = Identity()) throws(ClusterError) {
        let bases = try Self.check(endpoints)
        guard let loop = CurlLoop() else { throw .endpoint(endpoints.joined(separator: ",")) }
        self.endpoints = bases
        self.identity = identity
        self.loop = loop
    }

    /// The addresses without trailing slashes.
    @discardableResult
    static func check(_ endpoints: [String]) throws(ClusterError) -> [String] {
        guard !endpoints.isEmpty else { throw .endpoint("") }
        var bases: [String] = []
        for text in endpoints {
            do throws(LedgerClientError) {
                bases.append(try LedgerClient.baseURL(text))
            } catch {
                throw .endpoint(text)
            }
        }
        return bases
    }

    deinit {
        loop.shutdown()
    }

    func shutdown() {
        loop.shutdown()
    }

    // MARK: Requests

    /// One transaction: all operations of one branch, at one revision. Reads are linearizable.
    func transact(
        if conditions: [Condition] = [],
        then: [Operation],
        else otherwise: [Operation] = []
    ) async throws(ClusterError) -> Result {
        var body: JSONObject = ["success": .array(then.map(\.json))]
        if !conditions.isEmpty { body["compare"] = .array(conditions.map(\.json)) }
        if !otherwise.isEmpty { body["failure"] = .array(otherwise.map(\.json)) }
        let known = newestRevision.withLockedValue { $0 }
        let answer = try await post("kv/txn", .object(body))
        let revision = try Self.revision(answer)
        guard revision >= known else { throw .setBack(from: known, to: revision) }
        newestRevision.withLockedValue { $0 = max($0, revision) }
        let succeeded = answer["succeeded"]?.asBoolean ?? false
        let operations = succeeded ? then : otherwise
        let responses = answer["responses"]?.asArray ?? []
        guard responses.count == operations.count else { throw Self.malformed("kv/txn") }
        var rows: [[Row]] = []
        for (operation, response) in zip(operations, responses) {
            rows.append(operation.isRead ? try Self.rows(response) : [])
        }
        return Result(succeeded: succeeded, rows: rows, revision: revision)
    }

    /// A lease that ends after so many seconds without `keepAlive`.
    func grantLease(seconds: Int64) async throws(ClusterError) -> Int64 {
        let answer = try await post("lease/grant", ["TTL": .string(String(seconds))])
        guard let id = answer["ID"]?.asString.flatMap({ Int64($0) }) else { throw Self.malformed("lease/grant") }
        return id
    }

    /// - Returns: false if the lease has ended.
    func keepAlive(lease: Int64) async throws(ClusterError) -> Bool {
        let answer = try await post("lease/keepalive", ["ID": .string(String(lease))])
        return (answer["result"]?["TTL"]?.asString.flatMap { Int64($0) } ?? 0) > 0
    }

    /// Lets etcd forget what was before the revision.
    func compact(revision: Int64) async throws(ClusterError) {
        _ = try await post("kv/compaction", ["revision": .string(String(revision))])
    }

    private func post(_ path: String, _ body: JSONValue) async throws(ClusterError) -> JSONValue {
        let bytes = body.canonical
        let first = preferred.withLockedValue { $0 }
        var reasons: [String] = []
        for step in endpoints.indices {
            let index = (first + step) % endpoints.count
            let response: HTTPResponse
            do throws(LedgerClientError) {
                response = try await loop.perform(request(endpoints[index], path, bytes))
            } catch {
                if error.code == .cancelled || error.code == .closed { throw .unavailable(error.message) }
                reasons.append(error.message)
                continue
            }
            guard response.status == 200 else {
                let failure = Self.failure(response, endpoints[index])
                guard case .unavailable(let reason) = failure else { throw failure }
                reasons.append(reason)
                continue
            }
            guard let answer = try? JSONValue(document: response.body) else { throw Self.malformed(path) }
            preferred.withLockedValue { $0 = index }
            return answer
        }
        throw .unavailable(reasons.joined(separator: "; "))
    }

    private func request(_ endpoint: String, _ path: String, _ body: [UInt8]) -> HTTPRequest {
        HTTPRequest(
            method: .post,
            source: endpoint,
            path: "/v3/\(path)",
            headers: [("Content-Type", "application/json")],
            body: body,
            bodyLimit: Self.answerBytes,
            headerLimit: 32 * 1024,
            connect: Self.connect,
            deadline: Self.deadline,
            slowBytesPerSecond: 1,
            slowTime: Self.deadline,
            userAgent: "gw-node (WebGW ledger)",
            authority: identity.authority,
            certificate: identity.certificate,
            certificateKey: identity.key
        )
    }

    // MARK: Answers

    /// gRPC codes after which the request was not carried out and will not be: etcd said no.
    private static let refusals: Set<Int64> = [3, 5, 7, 8, 9, 11, 12, 16]

    private static func failure(_ response: HTTPResponse, _ endpoint: String) -> ClusterError {
        let document = try? JSONValue(document: response.body)
        let text = document?["error"]?.asString ?? document?["message"]?.asString ?? "HTTP status \(response.status)"
        let reason = "\(endpoint): \(text.prefix(200))"
        if let code = document?["code"]?.asInteger, refusals.contains(code) { return .refused(reason) }
        return .unavailable(reason)
    }

    private static func malformed(_ path: String) -> ClusterError {
        .refused("/v3/\(path) answered something that is not etcd's; give addresses of etcd 3.4 or later")
    }

    private static func revision(_ answer: JSONValue) throws(ClusterError) -> Int64 {
        guard let revision = answer["header"]?["revision"]?.asString.flatMap({ Int64($0) }) else {
            throw malformed("kv/txn")
        }
        return revision
    }

    private static func rows(_ response: JSONValue) throws(ClusterError) -> [Row] {
        guard let range = response["response_range"] else { throw malformed("kv/txn") }
        var rows: [Row] = []
        for row in range["kvs"]?.asArray ?? [] {
            guard let key = row["key"]?.asString.flatMap(Base64.decode),
                let value = Base64.decode(row["value"]?.asString ?? "")
            else { throw malformed("kv/txn") }
            rows.append(Row(key: String(decoding: key, as: UTF8.self), value: value))
        }
        return rows
    }
}

extension EtcdClient.Condition {
    fileprivate var json: JSONValue {
        switch self {
        case .isAbsent(let key):
            ["create_revision": "0", "key": key.base64, "result": "EQUAL", "target": "CREATE"]
        case .has(let key, let value):
            ["key": key.base64, "result": "EQUAL", "target": "VALUE", "value": .string(Base64.encode(value))]
        }
    }
}

extension EtcdClient.Operation {
    fileprivate var isRead: Bool {
        switch self {
        case .get, .list: true
        case .put, .delete: false
        }
    }

    fileprivate var json: JSONValue {
        switch self {
        case .get(let key):
            return ["requestRange": ["key": key.base64]]
        case .list(let first, let end, let limit):
            return [
                "requestRange": ["key": first.base64, "limit": .string(String(limit)), "range_end": end.base64]
            ]
        case .put(let key, let value, let lease):
            var members: JSONObject = ["key": key.base64, "value": .string(Base64.encode(value))]
            if let lease { members["lease"] = .string(String(lease)) }
            return ["requestPut": .object(members)]
        case .delete(let first, let end):
            return ["requestDeleteRange": ["key": first.base64, "range_end": end.base64]]
        }
    }
}

extension String {
    fileprivate var base64: JSONValue { .string(Base64.encode(Array(utf8))) }
}
