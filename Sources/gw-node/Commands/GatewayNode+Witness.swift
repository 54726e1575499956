import Ledger
import Logging

extension GatewayNode {
    /// The witness that the configuration makes of this node; nil for none.
    static func witness(
        _ settings: GatewaySettings,
        _ watcher: Watcher,
        _ logger: Logger
    ) throws -> WitnessService? {
        guard let witness = settings.file.witness, let key = settings.witnessKey else { return nil }
        return try WitnessService(
            identity: WitnessIdentity(name: witness.name, key: key),
            watcher: watcher,
            listen: witness.listen.map { HTTPService.Listen(host: $0.host, port: Int($0.port)) },
            logger: logger
        ) { host, port in
            logger.info("listening for the ledger", metadata: ["address": "\(ListenAddress.text(host, port))"])
        }
    }
}
