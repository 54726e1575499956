internal import Foundation

extension LedgerDirectory {
    static func holdsLedger(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: "\(path)/\(database)")
    }

    /// Takes the lock of the writer, which a held-back server has for moments only.
    ///
    /// - Returns: nil if somebody else keeps it.
    static func takeWriterLock(_ path: String) async throws -> DirectoryLock? {
        let deadline = ContinuousClock.now + .seconds(3)
        while true {
            if let lock = try DirectoryLock(path: "\(path)/\(writerLock)") { return lock }
            guard ContinuousClock.now < deadline else { return nil }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
