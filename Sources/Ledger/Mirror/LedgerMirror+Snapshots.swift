internal import Contracts
internal import Foundation
internal import Logging

extension LedgerMirror {
    /// Snapshots that are kept.
    private static let kept = 2

    /// Copies the newest attested snapshot that lies within the verified log, checked against the policy in force.
    func mirrorSnapshots(_ position: TrustedPosition) async throws {
        let state = await watcher.follower.state
        guard state.auditorQuorum > 0 else { return }
        let copies = SnapshotFolder(path: "\(folder.path)/snapshot")
        var last: LedgerRefusal?
        for source in watcher.client.sources {
            do {
                let sizes = try await watcher.client.snapshotSizes(from: source)
                let newest = sizes.lines.first { $0.isAttested && $0.size <= position.size }
                guard let newest, !copies.isAttested(newest.size) else { continue }
                try await copy(newest.size, state, position, from: source, into: copies)
                copies.prune(keeping: Self.kept)
                // The list comes after what it names.
                try folder.write(copies.list.bytes, "snapshot/sizes")
                logger.info("mirrored a snapshot", metadata: ["size": "\(newest.size)", "source": "\(source)"])
                return
            } catch let error as LedgerClientError {
                last = LedgerRefusal(error)
            } catch let refusal as LedgerRefusal {
                last = refusal
            }
        }
        if let last { throw last }
    }

    private func copy(
        _ size: UInt64,
        _ state: ContractState,
        _ position: TrustedPosition,
        from source: LedgerClient.Source,
        into copies: SnapshotFolder
    ) async throws {
        let start = SnapshotStart(client: watcher.client, source: source, logger: logger)
        let signed = try await start.manifest(size, origin: position.origin)
        try start.requireQuorum(signed, state)
        let root = try Proofs.root(of: 0..<size, read: folder.tree(size: position.size).subtree)
        guard root == signed.state.root else {
            throw start.refusal(.log, "the auditors attest another log of \(size) entries than the verified one")
        }
        let proof = try await start.file(.proof(size)) { SnapshotProof($0, for: signed.state) }
        let draft = try copies.beginDraft()
        var batch = try FileBatch(root: draft)
        for number in 0..<StateChunk.count {
            let chunk = try await start.chunk(number, size, proof)
            try batch.write(chunk.bytes, SnapshotPath.name(ofChunk: number))
        }
        try batch.write(proof.bytes, "proof")
        try batch.write(signed.bytes, "manifest")
        try batch.commit()
        try batch.end()
        try copies.finishDraft(draft, size: size)
    }
}
