internal import Foundation
internal import Glibc

/// Holds a directory for one process, until it is released or the process ends, however it ends.
public final class DirectoryLock: Sendable {
    private let file: FileHandle

    /// Takes the lock at once.
    ///
    /// - Returns: nil if another process, or another lock of this one, holds it.
    init?(path: String) throws {
        if !FileManager.default.fileExists(atPath: path) {
            // Two processes may both get here: creating twice leaves one file, and only one can lock it.
            _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        guard flock(file.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            try file.close()
            return nil
        }
    }

    public func release() {
        try? file.close()
    }
}
