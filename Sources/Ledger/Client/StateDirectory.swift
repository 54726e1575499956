internal import Contracts
internal import Foundation

/// Why the state directory cannot be used.
public struct TrustStoreError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// Another process uses the directory.
        case busy = "trust.busy"
        /// The file exists and is not what this program wrote last. Never taken for an empty start.
        case corrupt = "trust.corrupt"
        /// The file belongs to another ledger than the pinned one.
        case otherLedger = "trust.other_ledger"
        /// An update that contradicts what is stored: a smaller size, or an equal size with another root.
        case conflict = "trust.conflict"
        /// The directory or the file cannot be read or written.
        case io = "trust.io"
    }

    public var code: Code
    /// One sentence: which file, what is wrong, what to do.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(message) [\(code.rawValue)]" }
}

/// The directory with a node's verified state, held by one process at a time.
///
/// The hold is a flock(2) on the file `lock`; the kernel drops it when the process ends, however it ends.
final class StateDirectory: Sendable {
    let path: String
    private let lock: FileHandle

    /// Creates the directory if it is missing (mode 0700) and takes the lock.
    init(path: String) throws(TrustStoreError) {
        let lockPath = path + "/lock"
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw TrustStoreError(.io, "state directory \(path) cannot be created: \(error.localizedDescription)")
        }
        if !FileManager.default.fileExists(atPath: lockPath) {
            _ = FileManager.default.createFile(atPath: lockPath, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        guard let lock = FileHandle(forUpdatingAtPath: lockPath) else {
            throw TrustStoreError(.io, "state directory \(path) is not writable: \(lockPath) cannot be opened")
        }
        guard flock(lock.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = (try? lock.read(upToCount: 20)).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
            let who = holder.map { " (process \($0.trimmingCharacters(in: .whitespacesAndNewlines)))" } ?? ""
            throw TrustStoreError(
                .busy,
                "state directory \(path) is in use by another process\(who); stop it or give another --state"
            )
        }
        self.path = path
        self.lock = lock
        // For the message above only; the lock itself does not depend on it.
        try? lock.truncate(atOffset: 0)
        try? lock.write(contentsOf: Data("\(getpid())\n".utf8))
    }

    /// Gives the directory back to others.
    func release() {
        try? lock.close()
    }

    /// Writes a file of evidence, complete or not at all, and returns its path.
    func write(_ bytes: [UInt8], named name: String) throws(TrustStoreError) -> String {
        let path = "\(path)/\(name)"
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw TrustStoreError(.io, "\(path) cannot be written: \(error.localizedDescription)")
        }
        return path
    }

    /// Name of the file of a fork's evidence.
    static func evidenceName(_ evidence: ForkEvidence) -> String { "fork-\(evidence.digest.hex.prefix(16)).json" }

    /// Files of fork evidence that are kept here, by name.
    func evidence() -> [(name: String, bytes: [UInt8])] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasPrefix("fork-") && $0.hasSuffix(".json") }.sorted().compactMap { name in
            guard let bytes = Self.read("\(path)/\(name)", atMost: ForkEvidence.longest) else { return nil }
            return (name, bytes)
        }
    }

    /// The bytes of a file that is no longer than a limit.
    static func read(_ path: String, atMost limit: Int) -> [UInt8]? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? file.close() }
        guard let data = try? file.read(upToCount: limit + 1), data.count <= limit else { return nil }
        return Array(data)
    }

    /// Makes renames in the directory durable.
    func synchronize() {
        guard let directory = FileHandle(forReadingAtPath: path) else { return }
        _ = fsync(directory.fileDescriptor)
        try? directory.close()
    }
}
