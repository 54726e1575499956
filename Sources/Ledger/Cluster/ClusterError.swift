/// Why a member cannot go on with its cluster now, or ever. Each is a sentence that says what to do.
public enum ClusterError: Error, Sendable, Hashable {
    /// No endpoint of etcd answered, or etcd has no quorum. What was asked for may have taken effect. Passes.
    case unavailable(String)
    /// etcd answered that it will not: its quota is used up, the request is not allowed. Nothing took effect.
    case refused(String)
    /// A value in etcd is none that a member of this ledger wrote.
    case foreign(key: String, reason: String)
    /// The entries that come next were collected, and no other member gave them.
    case collected(base: UInt64, reason: String)
    /// The cluster is not in this etcd.
    case missing(cluster: String)
    case exists(cluster: String)
    /// The directory was made, and etcd did not say whether it took the cluster.
    case halfMade(directory: String, reason: String)
    /// The directory is a member, and etcd did not say whether it took the new cluster.
    case unfounded(directory: String, reason: String)
    /// The directory is a member of another cluster already.
    case member(directory: String, cluster: String)
    /// The directory may not be what a cluster goes on from.
    case behind(directory: String, reason: String)
    /// etcd answered with a revision before one that it had answered with. Final.
    case setBack(from: Int64, to: Int64)
    case name(String)
    case endpoint(String)
    case configuration(path: String, reason: String)

    /// Whether a member must not go on.
    var isFinal: Bool {
        if case .setBack = self { true } else { false }
    }
}

extension ClusterError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unavailable(let reason):
            "etcd does not answer: \(reason)"
        case .refused(let reason):
            "etcd refuses: \(reason)"
        case .foreign(let key, let reason):
            "the value of \(key) in etcd is not to be used: \(reason); nothing of it was taken over, so find out who "
                + "writes to this etcd, and start the member again when the value is right"
        case .collected(let base, let reason):
            "etcd no longer has the entries from \(base) on, and no other member gave them (\(reason)); start another "
                + "member, or rebuild this one with `gw-node ledger recover`"
        case .missing(let cluster):
            "there is no cluster \(cluster) in this etcd; check --etcd and --cluster"
        case .exists(let cluster):
            "the cluster \(cluster) is in this etcd already; join it with `gw-node ledger join`, or choose another name"
        case .halfMade(let directory, let reason):
            "\(directory) was made, but it is not known whether etcd has the new cluster (\(reason)); remove \(directory) "
                + "and run `gw-node ledger init` again with another --cluster name"
        case .unfounded(let directory, let reason):
            "it is not known whether etcd has the new cluster of \(directory) (\(reason)); run the same command again when "
                + "etcd answers"
        case .member(let directory, let cluster):
            "\(directory) is a member of the cluster \(cluster); if the etcd of that cluster is lost or was restored from an "
                + "old copy, stop all its members, take the one with the largest log, and say --instead-of \(cluster)"
        case .behind(let directory, let reason):
            "\(directory) cannot be what a cluster goes on from: \(reason)"
        case .setBack(let from, let to):
            "etcd was at revision \(from) and answers at \(to): it was restored from an old copy; start the members again, "
                + "and if they wait for entries, make a new cluster of the one with the largest log with `gw-node ledger "
                + "cluster`"
        case .name(let text):
            "\"\(text)\" is no name of a cluster: 1 to 48 characters a-z, 0-9 and -"
        case .endpoint(let text):
            "\"\(text)\" is no address of etcd; give --etcd http://HOST:PORT, several with commas"
        case .configuration(let path, let reason):
            "\(path) is not usable: \(reason)"
        }
    }
}
