internal import Contracts
internal import NIOConcurrencyHelpers

/// Keys of entries that are parsed but not folded yet, so that the signatures of a new key, which follow its entry
/// closely, are verified ahead of the fold as all others are. Any task.
///
/// Whether an entry takes effect is not known here and does not matter: a key id is the hash of its key, and the fold
/// asks who may sign.
final class AnnouncedKeys: Sendable {
    private let pages = NIOLockedValueBox<[Int: [KeyID: PublicKey]]>([:])

    /// Takes the keys of the entries of a page; call it before the page's signatures are verified.
    func add(_ entries: some Sequence<ParsedEntry>, page: Int) {
        var keys: [KeyID: PublicKey] = [:]
        for entry in entries {
            for (id, key) in entry.announcedKeys { keys[id] = key }
        }
        guard !keys.isEmpty else { return }
        pages.withLockedValue { $0[page] = keys }
    }

    /// Forgets a page that was folded, if there is one: every state that is asked has its keys by now.
    func remove(page: Int) {
        pages.withLockedValue { _ = $0.removeValue(forKey: page) }
    }

    /// The key with this id, if an entry of a page that is not folded brings it.
    subscript(id: KeyID) -> PublicKey? {
        pages.withLockedValue { pages in
            for keys in pages.values {
                if let key = keys[id] { return key }
            }
            return nil
        }
    }
}
