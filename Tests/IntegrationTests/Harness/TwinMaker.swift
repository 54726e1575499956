import Contracts
import Foundation
import Ledger

/// Appends entries that need no state: each makes a twin of a key of its own.
struct TwinMaker: Sendable {
    /// An entry that the ledger said is logged.
    struct Acknowledged: Sendable {
        var leaf: [UInt8]
        var receipt: [UInt8]
    }

    let ledger: Identifier
    let client: LedgerClient

    init(_ deployment: Deployment) throws {
        ledger = Identifier(hex: deployment.ledgerID)!
        client = try LedgerClient(urls: [deployment.ledgerURL])
    }

    init(ledger: String, client: LedgerClient) {
        self.ledger = Identifier(hex: ledger)!
        self.client = client
    }

    static func freshKey() throws -> SigningKey {
        var generator = SystemRandomNumberGenerator()
        return try SigningKey(seed: (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    func envelope() throws -> Envelope { try Self.envelope(ledger) }

    /// The creation of a twin that `key` owns.
    func envelope(of key: SigningKey) throws -> Envelope { try Self.envelope(of: key, ledger) }

    /// An entry that makes a twin of a fresh key.
    static func envelope(_ ledger: Identifier) throws -> Envelope { try envelope(of: freshKey(), ledger) }

    private static func envelope(of key: SigningKey, _ ledger: Identifier) throws -> Envelope {
        let keys: JSONObject = [
            "operator": .array([]),
            "owner": .object(["keys": .array([.string(key.publicKey.hex)]), "threshold": .integer(1)]),
        ]
        let expires = Int64(Date().timeIntervalSince1970) + 3_600
        return EntryDraft(
            type: "twin.create",
            ledger: ledger,
            account: nil,
            signer: key.keyID,
            seq: 0,
            expires: expires,
            body: ["keys": .object(keys)]
        ).signed(by: [key])
    }

    /// Submits so many entries, fifty at a time; an error when the ledger does not acknowledge one.
    func append(_ count: Int) async throws {
        for start in stride(from: 0, to: count, by: 50) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in start..<min(start + 50, count) {
                    group.addTask {
                        guard try await self.append() != nil else {
                            throw NeverHappened(description: "an entry was not acknowledged")
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    /// Submits one entry; nil when the ledger did not acknowledge it.
    func append() async throws -> Acknowledged? {
        let envelope = try envelope()
        guard case .included(let receipt)? = try? await client.submit(envelope) else { return nil }
        return Acknowledged(leaf: envelope.leaf, receipt: receipt)
    }
}
