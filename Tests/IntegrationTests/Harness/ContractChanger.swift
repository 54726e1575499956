import Contracts
import Foundation
import Ledger

/// A user of its own who changes contracts at one gateway as fast as the ledger takes entries.
final class ContractChanger {
    private let ledger: Identifier
    private let client: LedgerClient
    private let key: SigningKey
    private let gateway: Identifier
    private let port: UInt16
    private var account: Identifier
    private var sequence: Int64 = 0
    private let agent: PublicKey

    /// Creates the user's twin. `port` is a leased port of the gateway that nobody else uses.
    init(_ deployment: Deployment, gateway: Deployment.Gateway, port: UInt16) async throws {
        ledger = Identifier(hex: deployment.ledgerID)!
        client = try LedgerClient(urls: [deployment.ledgerURL])
        key = try TwinMaker.freshKey()
        agent = try TwinMaker.freshKey().publicKey
        self.gateway = Identifier(hex: gateway.node)!
        self.port = port
        account = .zero
        let keys = TwinKeys(owner: [key.publicKey])
        account = try await submit(.twinCreate(TwinCreateBody(keys: keys)))
    }

    /// Creates a contract, updates it again and again, and cancels it; then the next one, until `changes` were accepted.
    func run(changes: Int) async throws {
        var done = 0
        while done < changes {
            let contract = try await submit(.contractCreate(ContractCreateBody(spec: spec(version: 1))))
            done += 1
            for version in 2...Int64(min(50, max(2, changes - done))) where done < changes {
                let body = ContractUpdateBody(contract: contract, spec: spec(version: version))
                _ = try await submit(.contractUpdate(body))
                done += 1
            }
            _ = try await submit(.contractCancel(ContractCancelBody(contract: contract)))
            done += 1
        }
    }

    private func spec(version: Int64) -> ContractSpec {
        let now = Int64(Date().timeIntervalSince1970)
        return ContractSpec(
            backends: [Backend(id: "b", target: .key(agent), weight: version % 1_000 + 1)],
            conn: .reverseTLS,
            expose: [
                Expose(id: "raw", kind: .tcp, backends: ["b"], ports: [PortRange(from: port, to: port)])
            ],
            gateways: [gateway],
            limits: ContractLimits(bps: 1_000_000, conns: 100 + version),
            notBefore: 0,
            notAfter: now / 86_400 * 86_400 + 10 * 86_400,
            version: version
        )
    }

    private func submit(_ body: EntryBody) async throws -> Identifier {
        let draft = EntryDraft(
            body,
            ledger: ledger,
            account: account,
            signer: key.keyID,
            seq: sequence,
            expires: Int64(Date().timeIntervalSince1970) + 3_600
        )
        let envelope = draft.signed(by: [key])
        let answer = try await client.submit(envelope)
        guard case .included = answer else { throw NeverHappened(description: "\(body.type) was refused: \(answer)") }
        sequence += 1
        return envelope.id
    }
}
