import ArgumentParser
import Ledger

/// How the etcd of a cluster is reached.
struct EtcdOptions: ParsableArguments {
    @Option(
        name: .customLong("etcd"),
        help: ArgumentHelp("Addresses of etcd 3.4 or later, with commas between them.", valueName: "urls")
    )
    var endpoints: String?
    @Option(help: ArgumentHelp("Name of the cluster in etcd, a-z, 0-9 and -.", valueName: "name"))
    var cluster: String?
    @Option(
        name: .customLong("etcd-ca"),
        help: ArgumentHelp("PEM file with the authorities that etcd's certificates come from.", valueName: "file")
    )
    var authority: String?
    @Option(
        name: .customLong("etcd-cert"),
        help: ArgumentHelp("PEM file with the certificate shown to etcd.", valueName: "file")
    )
    var certificate: String?
    @Option(
        name: .customLong("etcd-key"),
        help: ArgumentHelp("PEM file with the key of --etcd-cert.", valueName: "file")
    )
    var key: String?

    /// Nil if no flag is given.
    func file() throws -> ClusterFile? {
        guard let endpoints, let cluster else {
            guard [endpoints, cluster, authority, certificate, key].allSatisfy({ $0 == nil }) else {
                throw CommandFailure(
                    .usage,
                    "a cluster needs both --etcd URLS and --cluster NAME; without them the ledger is this server's own"
                )
            }
            return nil
        }
        guard (certificate == nil) == (key == nil) else {
            throw CommandFailure(.usage, "--etcd-cert and --etcd-key belong together; give both or none")
        }
        return try ClusterFile(
            endpoints: endpoints.split(separator: ",").map(String.init),
            cluster: cluster,
            authority: try readable(authority),
            certificate: try readable(certificate),
            certificateKey: try readable(key)
        )
    }

    /// Looks into the file now, so that a wrong path is no riddle of TLS later.
    private func readable(_ path: String?) throws -> String? {
        guard let path else { return nil }
        _ = try Files.read(path, limit: 1 << 20, as: "the PEM file")
        return path
    }
}

/// Flags of `ledger serve` for the member of a cluster.
struct ClusterServeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Member of a cluster: base URL at which the others read its tiles; standard: the address of --listen.",
            valueName: "url"
        )
    )
    var advertise: String?
    @Option(
        help: ArgumentHelp(
            "Member of a cluster: seconds of silence after which it no longer holds back what leaves etcd.",
            valueName: "seconds"
        )
    )
    var absence: Int64 = ClusterOptions().absence

    func options() throws -> ClusterOptions {
        guard (2...2_592_000).contains(absence) else {
            throw CommandFailure(.usage, "--absence \(absence) is not a number of seconds from 2 to 2592000")
        }
        return ClusterOptions(url: advertise, absence: absence)
    }
}

extension ClusterError: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        switch self {
        case .unavailable: CommandFailure(.unreachable, "\(self); check --etcd and the network")
        case .refused: CommandFailure(.unreachable, "\(self)")
        case .foreign, .exists, .missing, .behind, .setBack: CommandFailure(.refused, "\(self)")
        case .collected, .halfMade, .unfounded: CommandFailure(.tryAgain, "\(self)")
        case .name, .endpoint, .member: CommandFailure(.usage, "\(self)")
        case .configuration: CommandFailure(.configuration, "\(self)")
        }
    }
}
