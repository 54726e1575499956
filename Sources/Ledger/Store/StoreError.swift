/// Why the store refused; errors of the disk and of SQLite itself come as they are and may pass.
public enum StoreError: Error, Sendable, Hashable {
    /// The file is no ledger of this version, or what it holds contradicts itself. Never passes by itself.
    case unusable(String)
    /// The committed head is not the one the batch was made on: somebody else wrote.
    case headMoved(expected: UInt64, found: UInt64)
    /// The sign guard knows a larger tree, or another root of the same size. Never sign.
    case signingRefused(size: UInt64, lastSize: UInt64)
    /// A setting that durability depends on is not in force.
    case notDurable(pragma: String, value: String)
    /// The disk did not confirm that it holds what was written. What it holds is not known any more, and only a new
    /// process can find out.
    case diskUncertain(String)
    /// What others wrote to a shared log is not to be used, or does not continue what this server holds. Never passes by
    /// itself.
    case contradiction(String)
    /// Nothing is stored at this place of the log.
    case missing(String)
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unusable(let reason): "the ledger database is not usable: \(reason)"
        case .headMoved(let expected, let found):
            "the log has \(found) entries where this process expected \(expected); another process writes to it"
        case .signingRefused(let size, let lastSize):
            "the sign guard refuses a checkpoint of size \(size): this ledger has signed size \(lastSize) with another "
                + "tree, so the database was replaced or restored from an old copy"
        case .notDurable(let pragma, let value):
            "SQLite reports \(pragma) = \(value), which would not keep acknowledged entries through a power cut"
        case .diskUncertain(let what):
            "\(what), so what is on the disk is not known; the server ends rather than go on, and the next start writes "
                + "and checks again what it finds"
        case .contradiction(let reason): "the ledger stops: \(reason)"
        case .missing(let what): "the ledger database has no \(what)"
        }
    }
}
