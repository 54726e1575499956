public import Contracts
internal import Foundation
internal import Glibc
internal import NIOConcurrencyHelpers

/// Size and root of a tree that was signed, or was about to be.
public struct SignedTree: Sendable, Hashable {
    public var size: UInt64
    public var root: Digest

    public init(size: UInt64, root: Digest) {
        self.size = size
        self.root = root
    }
}

/// The second sign guard: a small file beside the database, so that a database put back from an older copy is noticed.
///
/// It has two records in different blocks of the disk, each a line of text with its own SHA-256; the larger size counts.
/// A new tree overwrites the other record in place and is synced before the signature exists, so that a write that a
/// crash tears leaves the tree before it, which is the last that was signed.
final class SignGuardFile: Sendable {
    static let name = "sign-guard"

    /// What a file holds.
    enum Content: Sendable, Hashable {
        /// There is no file: nothing was signed since it exists.
        case missing
        /// Neither record is whole.
        case malformed
        case tree(SignedTree)
    }

    private static let recordBytes = 256
    /// Distance of the records; no disk tears two of its blocks in one write of one record.
    private static let stride = 4096
    private static let title = "webgw/sign-guard@v1"

    private struct State {
        var file: FileHandle?
        /// The tree of each record; nil where it is not whole.
        var records: [SignedTree?]
    }

    private let path: String
    private let state: NIOLockedValueBox<State>

    /// Opens the file, or prepares to make it with the first tree.
    ///
    /// - Throws: `StoreError.unusable` if neither record is whole.
    init(path: String) throws {
        self.path = path
        guard let records = try Self.records(of: path) else {
            state = NIOLockedValueBox(State(file: nil, records: [nil, nil]))
            return
        }
        guard records.contains(where: { $0 != nil }) else {
            throw StoreError.unusable(
                "the sign guard \(path) is damaged, so what was signed is not known; put the file back, or see "
                    + "`gw-node ledger recover --help`"
            )
        }
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        state = NIOLockedValueBox(State(file: file, records: records))
    }

    /// The last tree that the file knows.
    var last: SignedTree? { state.withLockedValue { Self.last($0.records) } }

    /// What a file holds now.
    static func content(of path: String) throws -> Content {
        guard let records = try records(of: path) else { return .missing }
        return last(records).map { .tree($0) } ?? .malformed
    }

    /// Records a tree that is about to be signed, durable before it returns.
    ///
    /// - Throws: `StoreError.signingRefused` for a smaller size, or the same with another root; `StoreError.diskUncertain`
    ///   when the disk did not take it.
    func permit(_ tree: SignedTree) throws {
        try state.withLockedValue { state in
            if let last = Self.last(state.records) {
                if tree == last { return }
                guard tree.size > last.size else {
                    throw StoreError.signingRefused(size: tree.size, lastSize: last.size)
                }
            }
            guard let file = state.file else {
                state.file = try create(tree)
                state.records = [tree, nil]
                return
            }
            let older = (state.records[0]?.size ?? 0) <= (state.records[1]?.size ?? 0) ? 0 : 1
            // Until the write is known to be whole, that record counts as none.
            state.records[older] = nil
            do {
                try file.seek(toOffset: UInt64(older * Self.stride))
                try file.write(contentsOf: Self.record(tree))
                // The record lies within the file, so that its bytes are all that has to reach the disk.
                guard fdatasync(file.fileDescriptor) == 0 else { throw CocoaError(.fileWriteUnknown) }
            } catch {
                throw StoreError.diskUncertain("the sign guard \(path) could not be written and synced")
            }
            state.records[older] = tree
        }
    }

    /// Makes the file with one record; a crash leaves no file or the whole one.
    private func create(_ tree: SignedTree) throws -> FileHandle {
        let temporary = "\(path).new"
        var bytes = Self.record(tree)
        bytes.append(Data(repeating: 0x20, count: Self.stride))
        do {
            try bytes.write(to: URL(fileURLWithPath: temporary))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: temporary)
            try LedgerDirectory.synchronise(temporary)
            _ = try? FileManager.default.removeItem(atPath: path)
            try FileManager.default.moveItem(atPath: temporary, toPath: path)
            try LedgerDirectory.synchronise((path as NSString).deletingLastPathComponent)
            return try FileHandle(forUpdating: URL(fileURLWithPath: path))
        } catch {
            throw StoreError.diskUncertain("the sign guard \(path) could not be made and synced")
        }
    }

    private static func last(_ records: [SignedTree?]) -> SignedTree? {
        records.compactMap(\.self).max { $0.size < $1.size }
    }

    // MARK: Records

    private static func line(_ tree: SignedTree) -> String { "\(title) \(tree.size) \(tree.root.hex)" }

    private static func record(_ tree: SignedTree) -> Data {
        let text = line(tree)
        var bytes = Array("\(text) \(Digest.sha256(Array(text.utf8)).hex)\n".utf8)
        bytes += [UInt8](repeating: 0x20, count: recordBytes - bytes.count)
        return Data(bytes)
    }

    /// Both records; nil when there is no file.
    private static func records(of path: String) throws -> [SignedTree?]? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        return try [0, 1].map { number in
            try file.seek(toOffset: UInt64(number * stride))
            return tree(of: [UInt8](try file.read(upToCount: recordBytes) ?? Data()))
        }
    }

    private static func tree(of record: [UInt8]) -> SignedTree? {
        guard record.count == recordBytes, let end = record.firstIndex(of: 0x0A) else { return nil }
        let words = record[..<end].split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 4, let size = Decimal53.parse(words[1]),
            let root = Digest(hex: String(decoding: words[2], as: UTF8.self))
        else { return nil }
        let tree = SignedTree(size: size, root: root)
        return record == [UInt8](Self.record(tree)) ? tree : nil
    }
}
