internal import Contracts
internal import Foundation

/// `cluster.json` in a ledger's directory: that the ledger is a member of a cluster, and how etcd is reached.
public struct ClusterFile: Sendable {
    static let name = "cluster.json"
    private static let longest = 64 * 1024

    /// Addresses of etcd, any of which may be down.
    public var endpoints: [String]
    /// Name of the cluster in etcd.
    public var cluster: String
    /// PEM files for TLS to etcd, as absolute paths.
    public var authority: String?
    public var certificate: String?
    public var certificateKey: String?
    let member: MemberID

    /// What a new member is told.
    ///
    /// - Throws: `ClusterError.name` or `.endpoint`.
    public init(
        endpoints: [String],
        cluster: String,
        authority: String? = nil,
        certificate: String? = nil,
        certificateKey: String? = nil
    ) throws(ClusterError) {
        guard ClusterKeys.isName(cluster) else { throw .name(cluster) }
        self.endpoints = endpoints
        self.cluster = cluster
        self.authority = authority.map(Self.absolute)
        self.certificate = certificate.map(Self.absolute)
        self.certificateKey = certificateKey.map(Self.absolute)
        member = MemberID()
        try EtcdClient.check(endpoints)
    }

    private static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).path }

    func client() throws(ClusterError) -> EtcdClient {
        try EtcdClient(
            endpoints: endpoints,
            identity: EtcdClient.Identity(authority: authority, certificate: certificate, key: certificateKey)
        )
    }

    // MARK: The file

    /// Reads the file of a directory; nil for a ledger that is in no cluster.
    static func read(in directory: String) throws(ClusterError) -> ClusterFile? {
        let path = "\(directory)/\(name)"
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        guard let bytes = try? Data(contentsOf: URL(fileURLWithPath: path)), bytes.count <= longest,
            let document = try? JSONValue(document: [UInt8](bytes)), let file = ClusterFile(document)
        else {
            throw .configuration(path: path, reason: "it is not the file that `ledger init` or `ledger join` wrote")
        }
        return file
    }

    private init?(_ document: JSONValue) {
        guard let endpoints = document["endpoints"]?.asArray?.compactMap(\.asString), !endpoints.isEmpty,
            let cluster = document["cluster"]?.asString, ClusterKeys.isName(cluster),
            let member = document["member"]?.asString.flatMap(Hex.decode).flatMap({ MemberID($0) })
        else { return nil }
        self.endpoints = endpoints
        self.cluster = cluster
        self.member = member
        authority = document["ca"]?.asString
        certificate = document["cert"]?.asString
        certificateKey = document["key"]?.asString
    }

    /// One JSON document, in the members of the file.
    var bytes: [UInt8] {
        var members: JSONObject = [
            "cluster": .string(cluster), "endpoints": .array(endpoints.map { .string($0) }),
            "member": .string("\(member)"),
        ]
        if let authority { members["ca"] = .string(authority) }
        if let certificate { members["cert"] = .string(certificate) }
        if let certificateKey { members["key"] = .string(certificateKey) }
        return JSONValue.object(members).canonical + [0x0A]
    }
}
