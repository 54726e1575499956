/// Where a cluster's values are in etcd: everything below `webgw/<cluster>/`.
struct ClusterKeys: Sendable {
    /// 1 to 48 bytes `[a-z0-9-]`, so that no name is a prefix of another one's keys.
    static func isName(_ text: String) -> Bool {
        (1...48).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
            }
    }

    let prefix: String

    init(cluster: String) {
        prefix = "webgw/\(cluster)/"
    }

    var genesis: String { prefix + "genesis" }
    var head: String { prefix + "head" }
    var guarded: String { prefix + "guard" }
    /// One row for each member that is up, bound to its lease.
    var members: String { prefix + "member/" }

    func member(_ id: MemberID) -> String { members + "\(id)" }

    /// The batch that begins at entry `base`; the keys sort as the numbers do.
    func batch(_ base: UInt64) -> String {
        let digits = String(base)
        return prefix + "batch/" + String(repeating: "0", count: 20 - digits.utf8.count) + digits
    }

    /// Above every batch.
    var batchesEnd: String { prefix + "batch0" }
    /// Above every member.
    var membersEnd: String { prefix + "member0" }
}
