import Glibc

/// The calls of the operating system that need raw pointers; the only file of gw-node where they may appear.
///
/// Every call is synchronous and retries after a signal. Errors are `PosixError`, never a bare -1.
enum Posix {
    /// What a path names, as `stat` sees it.
    struct FileStatus: Equatable {
        var size: Int
        var mode: UInt32
        var owner: UInt32
        var isRegular: Bool
        var isDirectory: Bool
    }

    // MARK: Writing

    /// Writes all bytes to a descriptor before it returns; a closed reader is not an error here.
    ///
    /// `print` holds lines back when stdout is a pipe, so every line that another program waits for goes this way.
    static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) {
        try? writeChecked(descriptor, bytes)
    }

    /// Writes all bytes to a descriptor or says why it could not.
    static func writeChecked(_ descriptor: Int32, _ bytes: [UInt8]) throws(PosixError) {
        var offset = 0
        while offset < bytes.count {
            let written = unsafe bytes.withUnsafeBytes { buffer in
                unsafe write(descriptor, buffer.baseAddress! + offset, buffer.count - offset)
            }
            if written > 0 {
                offset += written
            } else if written < 0, errno != EINTR {
                throw PosixError(call: "write", number: errno)
            }
        }
    }

    /// Creates a file that must not exist yet, with exactly these permission bits.
    static func createExclusively(_ path: String, mode: UInt32) throws(PosixError) -> Int32 {
        try opened(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
    }

    /// Makes what was written to a descriptor survive a power cut.
    static func synchronise(_ descriptor: Int32) throws(PosixError) {
        if fsync(descriptor) != 0 { throw PosixError(call: "fsync", number: errno) }
    }

    /// Makes a new name in a folder survive a power cut; folders that cannot be opened are left alone.
    static func synchroniseFolder(_ path: String) {
        guard let descriptor = try? opened(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) else { return }
        _ = fsync(descriptor)
        close(descriptor)
    }

    static func closeDescriptor(_ descriptor: Int32) {
        close(descriptor)
    }

    // MARK: Reading

    /// Reads a regular file of at most `limit` bytes; a larger one is `EFBIG`, a folder `EISDIR`.
    static func read(_ path: String, limit: Int) throws(PosixError) -> [UInt8] {
        let descriptor = try opened(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        defer { close(descriptor) }
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0 else { throw PosixError(call: "stat", number: errno) }
        if information.st_mode & S_IFMT == S_IFDIR { throw PosixError(call: "read", number: EISDIR) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(descriptor, buffer.baseAddress!, buffer.count)
            }
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw PosixError(call: "read", number: errno)
            }
            bytes.append(contentsOf: chunk[..<count])
            if bytes.count > limit { throw PosixError(call: "read", number: EFBIG) }
        }
    }

    /// What stands at a path, following links; nil when nothing does.
    static func status(_ path: String) throws(PosixError) -> FileStatus? {
        var information = stat()
        guard unsafe stat(path, &information) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw PosixError(call: "stat", number: errno)
        }
        return FileStatus(
            size: Int(information.st_size),
            mode: information.st_mode & 0o7777,
            owner: information.st_uid,
            isRegular: information.st_mode & S_IFMT == S_IFREG,
            isDirectory: information.st_mode & S_IFMT == S_IFDIR
        )
    }

    // MARK: Names in folders

    static func rename(_ old: String, to new: String) throws(PosixError) {
        if unsafe Glibc.rename(old, new) != 0 { throw PosixError(call: "rename", number: errno) }
    }

    /// Gives a file a second name; `isExisting` when the name is taken.
    static func link(_ file: String, as name: String) throws(PosixError) {
        if unsafe Glibc.link(file, name) != 0 { throw PosixError(call: "link", number: errno) }
    }

    static func remove(_ path: String) {
        _ = unsafe unlink(path)
    }

    /// Creates a folder and those above it; one that exists already is left as it is.
    static func createFolder(_ path: String, mode: UInt32) throws(PosixError) {
        var prefix = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            prefix += prefix.isEmpty && !part.isEmpty ? String(part) : "/\(part)"
            if part.isEmpty { continue }
            if unsafe mkdir(prefix, mode_t(mode)) != 0, errno != EEXIST {
                let number = errno
                if (try? status(prefix))?.isDirectory == true { continue }
                throw PosixError(call: "mkdir", number: number)
            }
        }
    }

    // MARK: The process and its clock

    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// A path that stays right when the working directory changes.
    static func absolute(_ path: String) throws(PosixError) -> String {
        if path.hasPrefix("/") { return path }
        guard let folder = unsafe getcwd(nil, 0) else { throw PosixError(call: "getcwd", number: errno) }
        defer { unsafe free(folder) }
        return unsafe "\(String(cString: folder))/\(path)"
    }

    static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Seconds since 1970 by the clock of this machine.
    static func now() -> Int64 {
        var value = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &value)
        return Int64(value.tv_sec)
    }

    /// Lets a write to a closed pipe or socket fail with EPIPE instead of ending the process.
    static func ignoreBrokenPipes() {
        _ = signal(SIGPIPE, SIG_IGN)
    }

    /// Raises the limit of open files to what the system allows this process; returns the limit then in force.
    @discardableResult
    static func raiseFileLimit() -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }

    /// Cores that this process may use, at least 1.
    static func processorCount() -> Int {
        max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    /// Ends the process at once, without running anything else.
    static func exitNow(_ status: Int32) -> Never {
        _exit(status)
    }

    private static func opened(_ path: String, _ flags: Int32, _ mode: UInt32) throws(PosixError) -> Int32 {
        while true {
            let descriptor = unsafe open(path, flags, mode_t(mode))
            if descriptor >= 0 { return descriptor }
            if errno != EINTR { throw PosixError(call: "open", number: errno) }
        }
    }
}

/// A call of the operating system that failed.
struct PosixError: Error, Equatable {
    let call: String
    let number: Int32

    var isMissing: Bool { number == ENOENT || number == ENOTDIR }
    var isExisting: Bool { number == EEXIST }
    var isTooLarge: Bool { number == EFBIG }

    /// The system's words for the error, such as "Permission denied".
    var reason: String {
        unsafe String(cString: strerror(number))
    }
}
