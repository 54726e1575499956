/// Files of the user: bounded reads, and writes that leave either the old file or the whole new one.
enum Files {
    /// Reads a file of at most `limit` bytes; the failure names the file, what it should be and what to do.
    static func read(_ path: String, limit: Int, as what: String) throws(CommandFailure) -> [UInt8] {
        do {
            return try Posix.read(path, limit: limit)
        } catch {
            if error.isMissing {
                throw CommandFailure(
                    .configuration,
                    code: "file.missing",
                    "\(what) \(path) does not exist; check the path or create the file"
                )
            }
            if error.isTooLarge {
                throw CommandFailure(
                    .configuration,
                    code: "file.too_large",
                    "\(what) \(path) is larger than \(limit) bytes, so it is not \(what); check the path"
                )
            }
            throw CommandFailure(
                .configuration,
                code: "file.unreadable",
                "\(what) \(path) cannot be read: \(error.reason); check the path and its permissions"
            )
        }
    }

    /// Creates a file that must not exist yet. A crash leaves no file, or the whole one.
    ///
    /// The bytes go to a name beside it first. The final name is taken by link(2), which fails when it exists: of two
    /// processes one creates the file, and the other is told so.
    static func create(
        _ path: String,
        _ bytes: [UInt8],
        mode: UInt32,
        as what: String
    ) throws(CommandFailure) {
        do {
            let temporary = try written(beside: path, bytes, mode: mode)
            defer { Posix.remove(temporary) }
            try Posix.link(temporary, as: path)
            Posix.synchroniseFolder(folder(of: path))
        } catch {
            guard !error.isExisting else {
                throw CommandFailure(
                    .refused,
                    code: "file.exists",
                    "\(what) \(path) exists already and is never overwritten; choose another name or move it away"
                )
            }
            throw unwritable(path, what, error)
        }
    }

    /// Writes a file under its final name in one step; what stood there before is kept until the new one is durable.
    static func replace(
        _ path: String,
        _ bytes: [UInt8],
        mode: UInt32,
        as what: String
    ) throws(CommandFailure) {
        do throws(PosixError) {
            let temporary = try written(beside: path, bytes, mode: mode)
            do throws(PosixError) {
                try Posix.rename(temporary, to: path)
            } catch {
                Posix.remove(temporary)
                throw error
            }
            Posix.synchroniseFolder(folder(of: path))
        } catch {
            throw unwritable(path, what, error)
        }
    }

    /// Writes the bytes durably under a name of their own beside `path`, and returns that name.
    private static func written(beside path: String, _ bytes: [UInt8], mode: UInt32) throws(PosixError) -> String {
        let temporary = "\(path).\(UInt64.random(in: .min ... .max)).part"
        let descriptor = try Posix.createExclusively(temporary, mode: mode)
        defer { Posix.closeDescriptor(descriptor) }
        do throws(PosixError) {
            try Posix.writeChecked(descriptor, bytes)
            try Posix.synchronise(descriptor)
        } catch {
            Posix.remove(temporary)
            throw error
        }
        return temporary
    }

    /// The folder part of a path; "." for a bare name.
    static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// A path that stands in a file, read relative to that file's folder.
    static func resolve(_ path: String, besideFile file: String) -> String {
        path.hasPrefix("/") || folder(of: file) == "." ? path : "\(folder(of: file))/\(path)"
    }

    private static func unwritable(_ path: String, _ what: String, _ error: PosixError) -> CommandFailure {
        CommandFailure(
            .configuration,
            code: "file.unwritable",
            "\(what) \(path) cannot be written: \(error.reason); check the folder and its permissions"
        )
    }
}
