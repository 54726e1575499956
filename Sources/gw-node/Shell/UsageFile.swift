import Contracts
import Gateway
import Logging

/// The meters of a gateway or an agent in its state folder, over restarts.
struct UsageFile {
    private static let name = "usage"
    /// A million contracts would have some 200 MB; nobody has.
    private static let limit = 256 << 20

    let path: String

    init(folder: String) { path = "\(folder)/\(Self.name)" }

    /// What was kept. A damaged file is put aside, so that nothing is lost for whoever looks into it, and said.
    func read(_ logger: Logger) throws -> UsageBook {
        guard try Posix.status(path) != nil else { return UsageBook() }
        let bytes = try Files.read(path, limit: Self.limit, as: "the usage file")
        if let book = UsageBook(document: bytes) { return book }
        let aside = "\(path).damaged"
        try Posix.rename(path, to: aside)
        logger.error(
            "the usage file is damaged; the meters go on from what the ledger has",
            metadata: ["file": "\(path)", "kept as": "\(aside)"]
        )
        return UsageBook()
    }

    /// Makes the book durable, in place of the one before.
    func write(_ book: UsageBook) throws(CommandFailure) {
        try Files.replace(path, book.document, mode: 0o600, as: "the usage file")
    }
}

/// Keeps a usage file up to date: written at most every two seconds, and only when something moved.
struct UsageKeeper {
    static let seconds: Int64 = 2

    private let file: UsageFile
    private let logger: Logger
    /// What is durable.
    private(set) var book: UsageBook
    private var writtenAt: Timestamp = 0
    private var isFailing = false

    init(folder: String, logger: Logger) throws {
        file = UsageFile(folder: folder)
        self.logger = logger
        book = try file.read(logger)
    }

    /// Whether it is time for another book.
    func isDue(at now: Timestamp) -> Bool { now >= writtenAt + Self.seconds || now < writtenAt }

    /// Makes a book durable; one that cannot be written is said once, and tried again.
    mutating func keep(_ fresh: UsageBook, at now: Timestamp) {
        guard fresh != book else { return }
        writtenAt = now
        do {
            try file.write(fresh)
            book = fresh
            isFailing = false
        } catch {
            if !isFailing { logger.error("the meters are not durable: \(error.message)") }
            isFailing = true
        }
    }
}
