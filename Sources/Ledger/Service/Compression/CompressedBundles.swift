internal import Contracts
internal import NIOConcurrencyHelpers

/// Entry bundles in gzip, each compressed once while it is asked for.
///
/// A bundle of a path never changes once it is published, so what is kept stays true. One bundle is compressed at a time,
/// beside the event loop: compression takes at most one core from the sequencer. Who would wait behind too many others
/// gets the bundle as it is.
final class CompressedBundles: Sendable {
    /// Shorter bodies gain nothing that counts.
    private static let shortest = 1024
    /// Bundles that may wait for the one that is compressed; each takes some milliseconds.
    private static let mostWaiting = 16

    private struct Shelf {
        var kept: [TilePath: (bytes: [UInt8], used: UInt64)] = [:]
        var bytes = 0
        var uses: UInt64 = 0
        var waiting = 0
    }

    /// Where one at a time is compressed.
    private actor Press {
        func compress(_ plain: [UInt8], unless kept: () -> [UInt8]?) -> [UInt8]? { kept() ?? ZlibGzip.compress(plain) }
    }

    /// Bytes that are kept; the bundle that was asked for longest ago is let go first.
    private let capacity: Int
    private let shelf = NIOLockedValueBox(Shelf())
    private let press = Press()

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// The compressed bundle of a path, if it is kept.
    func kept(_ path: TilePath) -> [UInt8]? {
        shelf.withLockedValue { shelf in
            guard let bytes = shelf.kept[path]?.bytes else { return nil }
            shelf.uses += 1
            shelf.kept[path]?.used = shelf.uses
            return bytes
        }
    }

    /// The compressed bundle of a path whose bytes are `plain`; nil when they had better be sent as they are.
    func compress(_ plain: [UInt8], of path: TilePath) async -> [UInt8]? {
        guard plain.count >= Self.shortest, enter() else { return nil }
        defer { shelf.withLockedValue { $0.waiting -= 1 } }
        // Somebody else may have had the same wish, and a turn before this one.
        guard let bytes = await press.compress(plain, unless: { self.kept(path) }), bytes.count < plain.count else {
            return nil
        }
        keep(bytes, path)
        return bytes
    }

    private func enter() -> Bool {
        shelf.withLockedValue { shelf in
            guard shelf.waiting < Self.mostWaiting else { return false }
            shelf.waiting += 1
            return true
        }
    }

    private func keep(_ bytes: [UInt8], _ path: TilePath) {
        guard bytes.count <= capacity else { return }
        shelf.withLockedValue { shelf in
            shelf.uses += 1
            let old = shelf.kept.updateValue((bytes, shelf.uses), forKey: path)
            shelf.bytes += bytes.count - (old?.bytes.count ?? 0)
            while shelf.bytes > capacity, let last = shelf.kept.min(by: { $0.value.used < $1.value.used }) {
                shelf.kept[last.key] = nil
                shelf.bytes -= last.value.bytes.count
            }
        }
    }
}
