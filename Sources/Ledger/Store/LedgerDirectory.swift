internal import Contracts
internal import Foundation

/// The directory of one ledger: `ledger.db`, `ledger.key` (signs checkpoints and ticks), `root.key` (decides about the
/// ledger), `witnesses` (where they are asked) and `lock`; after a change of keys also `ledger-<label>.key`.
///
/// A key file is one line of 64 hex digits, the Ed25519 seed, with mode 0600; `<file>.pub` beside it has the public key.
public enum LedgerDirectory {
    static let database = "ledger.db"
    static let ledgerKey = "ledger.key"
    static let rootKey = "root.key"
    static let lock = "lock"
    /// Held by whoever writes to the database: a server that may sign, or a recovery.
    static let writerLock = "writer"

    /// A ledger that this process holds.
    struct Opened {
        var lock: DirectoryLock
        var store: LedgerStore
        var stored: StoredLedger
        var signer: CheckpointSigner
    }

    /// Takes the lock, opens the store and checks that this server can sign for what is in it.
    ///
    /// - Parameter isDevelopment: allows a ledger whose policy is `quorum none`.
    static func open(at path: String, isDevelopment: Bool) throws -> Opened {
        guard FileManager.default.fileExists(atPath: "\(path)/\(database)") else {
            throw LedgerDirectoryError.missing(path)
        }
        guard let lock = try DirectoryLock(path: "\(path)/\(lock)") else { throw LedgerDirectoryError.inUse(path) }
        do {
            try WriteAheadLog.rewrite(database: "\(path)/\(database)")
            let store = try LedgerStore(path: "\(path)/\(database)")
            let stored = try store.restore()
            guard let meta = stored.state.meta else { throw StoreError.unusable("it has no genesis") }
            guard !stored.state.isStopped else { throw LedgerDirectoryError.stopped(path) }
            switch stored.state.policy?.quorum {
            case WitnessPolicy.Quorum.none? where !isDevelopment: throw LedgerDirectoryError.quorumNone(path)
            default: break
            }
            let signer = CheckpointSigner(
                origin: meta.origin,
                ring: try LedgerKeyRing(directory: path),
                roster: try WitnessRoster(directory: path)
            )
            guard signer.holdsKey(stored.state) else {
                throw LedgerDirectoryError.foreignKey("\(path)/\(ledgerKey)")
            }
            if let policy = stored.state.policy, !signer.roster.covers(policy) {
                throw LedgerDirectoryError.witnesses(
                    "\(path)/\(WitnessRoster.fileName)",
                    "says where to ask \(signer.roster.reachable(policy)) of the policy's witnesses, and "
                        + "\(WitnessRoster.needed(policy)) have to cosign; add a line `VERIFIER-KEY URL` for each"
                )
            }
            return Opened(lock: lock, store: store, stored: stored, signer: signer)
        } catch {
            lock.release()
            throw error
        }
    }

    static func readKey(_ path: String) throws -> SigningKey {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard let attributes else { throw LedgerDirectoryError.keyFile(path, "does not exist") }
        let mode = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
        guard mode & 0o077 == 0 else {
            throw LedgerDirectoryError.keyFile(path, "may be read or written by others; run `chmod 600 \(path)`")
        }
        let size = (attributes[.size] as? NSNumber)?.intValue ?? 0
        guard size <= 66, let text = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw LedgerDirectoryError.keyFile(path, "is not one line of 64 hex digits")
        }
        let line = text.last == 0x0A ? text.dropLast() : text
        guard let seed = Hex.decode(String(decoding: line, as: UTF8.self)), let key = try? SigningKey(seed: seed) else {
            throw LedgerDirectoryError.keyFile(path, "is not one line of 64 hex digits")
        }
        return key
    }
}

/// Why a ledger's directory cannot be made or opened. Each is a sentence that says what to do.
public enum LedgerDirectoryError: Error, Sendable, Hashable {
    case missing(String)
    case notEmpty(String)
    case notWritable(String, reason: String)
    case inUse(String)
    case keyFile(String, String)
    case foreignKey(String)
    case origin(String)
    case name(String)
    case reservedName(String)
    case quorumNone(String)
    case witnesses(String, String)
    case stopped(String)
    case written(String)
}

extension LedgerDirectoryError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing(let path):
            "\(path) holds no ledger; make one with `gw-node ledger init \(path) --origin NAME`"
        case .notEmpty(let path):
            "\(path) is not empty, and a ledger is never made over something else; choose another directory"
        case .notWritable(let path, let reason):
            "the ledger cannot be written to \(path): \(reason); check the path and its permissions"
        case .inUse(let path):
            "another process serves the ledger in \(path); stop it first, two would sign two histories"
        case .keyFile(let path, let reason):
            "the key file \(path) \(reason)"
        case .foreignKey(let path):
            "the key in \(path) is none of this ledger's keys, so nobody would believe what it signs; put the key back "
                + "that `ledger init` made"
        case .origin(let text):
            "\"\(text)\" is no origin: 1 to 128 characters, a host name in lower case and if you like a path, such as "
                + "ledger.example.org/main"
        case .name(let text):
            "\"\(text)\" is no name of a ledger: 1 to 64 bytes without a line break"
        case .reservedName(let text):
            "\"\(text)\" cannot be reserved: a name has 3 to 50 characters a-z, 0-9 and -, at most 64 names"
        case .quorumNone(let path):
            "the ledger in \(path) has the policy `quorum none`: no witness vouches for it, so its operator could show "
                + "two histories; that is for trials only, say so with --dev"
        case .witnesses(let path, let reason):
            "the list of witnesses \(path) \(reason)"
        case .written(let path):
            "the ledger in \(path) is being served and may sign, or another recovery fills it; stop that first"
        case .stopped(let path):
            "the ledger in \(path) has reached a version of the rules that this gw-node does not know; use a newer one"
        }
    }
}
