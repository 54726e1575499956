import Contracts
import Foundation
import Logging
import TestSupport

@testable import Ledger

/// A real ledger in this process, and a watcher that follows it.
struct LiveLedger: Sendable {
    let url: String
    let ledgerID: Identifier
    let watcher: Watcher
    let configuration: WatcherConfiguration

    /// Runs a ledger without witnesses, and a watcher in dev mode, while `body` runs.
    static func running<Result: Sendable>(_ body: (LiveLedger) async throws -> Result) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("webgw-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let genesis = LedgerDirectory.Genesis(
            origin: "ledger.example/live",
            name: "live",
            policy: .none,
            time: Timestamp(Date().timeIntervalSince1970)
        )
        let (ledgerID, _) = try LedgerDirectory.initialise(at: "\(folder)/ledger", genesis)
        let ready = AsyncStream.makeStream(of: Int.self)
        let service = try LedgerService(
            directory: "\(folder)/ledger",
            listen: HTTPService.Listen(host: "127.0.0.1", port: 0),
            dev: true,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            onReady: { _, port in ready.continuation.yield(port) }
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            defer { group.cancelAll() }
            var ports = ready.stream.makeAsyncIterator()
            let port = await ports.next() ?? 0
            var configuration = WatcherConfiguration(
                urls: ["http://127.0.0.1:\(port)"],
                ledgerID: ledgerID,
                stateDirectory: "\(folder)/state",
                isDev: true
            )
            configuration.firstPause = .milliseconds(5)
            let watcher = try Watcher(configuration: configuration)
            defer { watcher.shutdown() }
            group.addTask { try await watcher.run() }
            let live = LiveLedger(
                url: configuration.urls[0],
                ledgerID: ledgerID,
                watcher: watcher,
                configuration: configuration
            )
            return try await body(live)
        }
    }

    /// Creates a twin with one owner key.
    func twin(_ key: SigningKey) async throws -> Identifier {
        let body = TwinCreateBody(keys: TwinKeys(owner: [key.publicKey]))
        return try await Submitter(watcher: watcher).submit(.twinCreate(body), account: nil, key: key).id
    }

    /// A node of a farm of one twin, that offers TCP ports.
    func node(twin: Identifier, key: SigningKey) async throws -> Identifier {
        let submitter = Submitter(watcher: watcher)
        let farm = try await submitter.submit(.farmCreate(FarmCreateBody(name: "farm")), account: twin, key: key).id
        let offer = Offer(
            bps: 1_000_000,
            conns: 1000,
            kinds: [.tcp],
            modes: [.reverseTLS],
            price: Price(currency: "EUR", gib: "0", hour: "0"),
            tcp: [PortRange(from: 1, to: 60_000)]
        )
        let details = NodeDetails(
            domains: ["gw.example.org"],
            endpoints: [Endpoint(host: "127.0.0.1", port: 7443, proto: .tunnel)],
            offer: offer,
            region: Region(country: "BE"),
            transportKey: key.publicKey
        )
        let body = NodeRegisterBody(details: details, farm: farm, name: "node", twin: twin)
        return try await submitter.submit(.nodeRegister(body), account: twin, key: key).id
    }

    /// A contract body for one leased TCP port.
    func contract(node: Identifier, port: UInt16, key: SigningKey, version: Int64 = 1) -> ContractSpec {
        let now = watcher.latest?.state.now ?? 0
        return ContractSpec(
            backends: [Backend(id: "b1", target: .key(key.publicKey))],
            conn: .reverseTLS,
            expose: [
                Expose(id: "p", kind: .tcp, backends: ["b1"], ports: [PortRange(from: port, to: port)])
            ],
            gateways: [node],
            limits: ContractLimits(bps: 1000, conns: 10),
            notBefore: now,
            notAfter: now + 86_400,
            version: version
        )
    }
}
