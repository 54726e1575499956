import Contracts
import Foundation
import Ledger

/// Auditors of a deployment's ledger: twins with a note key each, named by a policy.set that the root key signs.
struct Auditors {
    struct Member {
        /// Name of the twin: its key is `<name>.key`, its note key `<name>-note.key`.
        var name: String
        var auditor: Auditor
        var noteKey: SigningKey
    }

    let deployment: Deployment
    private(set) var members: [Member] = []
    private var version: Int64 = 1
    private var sequence: Int64 = 0

    /// Makes the twins and puts the policy in force.
    init(_ deployment: Deployment, names: [String], quorum: Int64) async throws {
        self.deployment = deployment
        for name in names {
            try await deployment.run(["keys", "new", "\(name).key"])
            let twin = try await deployment.act(name, ["twin", "create"]).json()["id"] as? String ?? ""
            try await deployment.run(["keys", "new", "\(name)-note.key"])
            let noteKey = try key("\(name)-note.key")
            let verifierKey = VerifierKey(name: "\(name).example", type: VerifierKey.noteType, key: noteKey.publicKey)
            members.append(
                Member(name: name, auditor: Auditor(twin: Identifier(hex: twin)!, key: verifierKey), noteKey: noteKey)
            )
        }
        try await setPolicy(members.map(\.auditor), quorum: quorum)
    }

    /// Submits a policy.set with these auditors; the witnesses of a ledger that has any stay.
    mutating func setPolicy(_ auditors: [Auditor], quorum: Int64) async throws {
        guard deployment.isDev else {
            let named = auditors.flatMap { ["--auditor", "\($0.twin.hex)=\($0.key)"] }
            try await deployment.run(
                ["ledger", "rotate", "policy", "ledger", "--root-key", "ledger/root.key"] + named
                    + ["--auditor-quorum", "\(quorum)"] + deployment.ledgerFlags(state: "state-operator")
            )
            return
        }
        version += 1
        sequence += 1
        let root = try key("ledger/root.key")
        let ledger = Identifier(hex: deployment.ledgerID)!
        let body = PolicySetBody(
            auditorQuorum: quorum,
            auditors: auditors.sorted { $0.twin < $1.twin },
            billing: [],
            policy: .none,
            version: version
        )
        let envelope = EntryDraft(
            .policySet(body),
            ledger: ledger,
            account: ledger,
            signer: root.keyID,
            seq: sequence,
            expires: Int64(Date().timeIntervalSince1970) + 3_600
        ).signed(by: [root])
        let client = try LedgerClient(urls: [deployment.ledgerURL])
        defer { client.shutdown() }
        let answer = try await client.submit(envelope)
        guard case .included = answer else { throw NeverHappened(description: "policy.set: \(answer)") }
    }

    func key(_ name: String) throws -> SigningKey { try deployment.key(name) }

    /// `audit attest` by one of them; `more` are further arguments.
    @discardableResult
    func attest(_ name: String, _ more: [String] = [], status: Int32 = 0) async throws -> Finished {
        try await deployment.act(
            name,
            ["audit", "attest", "--note-key", "\(name)-note.key", "--output", "\(name).note"] + more,
            status: status
        )
    }

    /// GET of a path of the ledger: status and body.
    func get(_ path: String) async throws -> (status: Int, body: Data) {
        try await exchange("GET \(path) HTTP/1.1\r\n", Data())
    }

    /// POST to the ledger: status and code of the answer.
    func post(_ path: String, _ body: Data) async throws -> (status: Int, code: String) {
        let answer = try await exchange("POST \(path) HTTP/1.1\r\nContent-Length: \(body.count)\r\n", body)
        let members = try JSONSerialization.jsonObject(with: answer.body) as? [String: Any]
        return (answer.status, members?["code"] as? String ?? "")
    }

    private func exchange(_ head: String, _ body: Data) async throws -> (status: Int, body: Data) {
        let visitor = try await Visitor(deployment.address, deployment.ledgerPort)
        try await visitor.send("\(head)Host: ledger\r\nConnection: close\r\n\r\n")
        try await visitor.send([UInt8](body))
        let answer = Data(try await visitor.readToEnd())
        await visitor.close()
        guard let end = answer.firstRange(of: Data("\r\n\r\n".utf8)) else {
            throw NeverHappened(description: "no answer to \(head)")
        }
        let words = String(decoding: answer.prefix(64), as: UTF8.self).split(separator: " ")
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0, Data(answer[end.upperBound...]))
    }

    /// Waits until the ledger offers a snapshot, and returns its size.
    func offeredSize() async throws -> UInt64 {
        try await awaited("the ledger takes a snapshot", within: 30) {
            let text = String(decoding: try await get("/snapshot/sizes").body, as: UTF8.self)
            return text.split(separator: " ").first.flatMap { UInt64($0) }
        }
    }
}
