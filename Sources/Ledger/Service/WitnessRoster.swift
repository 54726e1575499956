public import Contracts
internal import Foundation
internal import NIOConcurrencyHelpers

/// Where the witnesses of a ledger are: the file `witnesses` in its directory, one line `<verifier key> <URL>` each.
///
/// Which witnesses count says the policy on the ledger; this says only where to ask. Lines that begin with `#` and
/// empty lines are skipped. The file is read again whenever witnesses are asked, so that it can be changed while the
/// ledger is served. Any thread.
public final class WitnessRoster: Sendable {
    /// A witness and its submission prefix (C2SP tlog-witness).
    public struct Member: Sendable, Hashable {
        public var key: VerifierKey
        public var url: String

        public init(key: VerifierKey, url: String) {
            self.key = key
            self.url = url
        }

        /// The line of the file, without its end.
        public var line: String { "\(key) \(url)" }
    }

    /// Name of the file in the ledger's directory.
    public static let fileName = "witnesses"
    /// Largest file, in bytes: 16 witnesses of two policies with long names and URLs.
    static let longest = 64 * 1024

    private let path: String
    private let members: NIOLockedValueBox<[Member]>

    /// Reads the file; one that is not there is a roster of nobody.
    ///
    /// - Throws: `LedgerDirectoryError.witnesses` for a line that is not in the form.
    public init(directory: String) throws {
        path = "\(directory)/\(Self.fileName)"
        members = NIOLockedValueBox(try Self.read(path))
    }

    /// The members as they were last read.
    public var current: [Member] { members.withLockedValue { $0 } }

    /// Reads the file again; one that is not in the form leaves the members as they were.
    public func reload() throws {
        let fresh = try Self.read(path)
        members.withLockedValue { $0 = fresh }
    }

    /// Whether enough members of the policy's quorum can be asked.
    public func covers(_ policy: WitnessPolicy) -> Bool { reachable(policy) >= Self.needed(policy) }

    /// How many members of the quorum have a URL here.
    func reachable(_ policy: WitnessPolicy) -> Int {
        guard case .of(_, let keys) = policy.quorum else { return 0 }
        let known = Set(current.map(\.key))
        return keys.filter(known.contains).count
    }

    static func needed(_ policy: WitnessPolicy) -> Int {
        guard case .of(let k, _) = policy.quorum else { return 0 }
        return k
    }

    private static func read(_ path: String) throws -> [Member] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard (attributes?[.size] as? NSNumber)?.intValue ?? .max <= longest,
            let text = try? String(contentsOfFile: path, encoding: .utf8)
        else { throw LedgerDirectoryError.witnesses(path, "is not a text of at most \(longest) bytes") }
        var members: [Member] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") { continue }
            let words = line.split(separator: " ")
            guard words.count == 2, let key = VerifierKey(String(words[0]), type: VerifierKey.cosignatureType),
                let url = try? LedgerClient.baseURL(String(words[1]))
            else {
                throw LedgerDirectoryError.witnesses(
                    path,
                    "line \(number + 1) is not `VERIFIER-KEY URL`, as `gw-node keys show FILE --witness NAME` prints the key"
                )
            }
            guard !members.contains(where: { $0.key == key }) else {
                throw LedgerDirectoryError.witnesses(path, "line \(number + 1) names a witness for the second time")
            }
            members.append(Member(key: key, url: url))
        }
        return members
    }
}
