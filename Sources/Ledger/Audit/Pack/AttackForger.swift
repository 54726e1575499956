import Contracts

/// Makes the attack files of a pack: notes, leaves and evidence that a liar could show instead of the log's.
///
/// Strangers can strip, add and break lines. With the ledger's key there are forks, rollbacks and later checkpoints too, and
/// with keys of witnesses these have cosignatures.
struct AttackForger {
    let checkpoint: Checkpoint
    let tree: PackTiles
    let policy: WitnessPolicy
    /// Time of the forged cosignatures.
    let time: Timestamp
    let ledgerKey: (key: SigningKey, verifierKey: VerifierKey)?
    let witnessKeys: [SigningKey]

    private var size: UInt64 { checkpoint.size }

    var attacks: [PackCase] { strangers + forks + entries + evidence }

    private func note(_ name: String, _ bytes: [UInt8]) -> PackCase {
        PackCase(file: "\(name).checkpoint", kind: .checkpoint, after: size, bytes: bytes)
    }

    // MARK: Notes without the ledger's key

    private var strangers: [PackCase] {
        let good = checkpoint.note
        let isLedger = { (line: SignedNote.Signature) in line.name.utf8.elementsEqual(checkpoint.origin.utf8) }
        let foreign = SignedNote.Signature(name: "stranger.example", hash: 7, blob: Array(repeating: 1, count: 64))
        func bytes(_ text: String, _ lines: [SignedNote.Signature]? = nil) -> [UInt8] {
            SignedNote(text: Array(text.utf8), signatures: lines ?? good.signatures).bytes
        }
        func lines(_ change: (SignedNote.Signature) -> SignedNote.Signature?) -> [UInt8] {
            SignedNote(text: good.text, signatures: good.signatures.compactMap(change)).bytes
        }
        let root = Base64.encode(checkpoint.root.bytes)
        var cases = [
            note("good", good.bytes),
            note("unknown-extra-signature", SignedNote(text: good.text, signatures: good.signatures + [foreign]).bytes),
            note("unknown-signature-only", SignedNote(text: good.text, signatures: [foreign]).bytes),
            note("no-signature", good.text + [0x0A]),
            note("ledger-line-broken", lines { isLedger($0) ? Self.broken($0) : $0 }),
            note("ledger-line-missing", lines { isLedger($0) ? nil : $0 }),
            note("ledger-line-short", lines { isLedger($0) ? Self.short($0) : $0 }),
            note("other-origin", bytes("other.example/log\n\(size)\n\(root)\n")),
            note("extension-line", bytes("\(checkpoint.origin)\n\(size)\n\(root)\nextension\n")),
            note("leading-zero-size", bytes("\(checkpoint.origin)\n0\(size)\n\(root)\n")),
            note("control-character", bytes("\(checkpoint.origin)\u{7F}\n\(size)\n\(root)\n")),
            note("not-utf8", [0xFF] + good.bytes),
            note(
                "65-lines",
                SignedNote(text: good.text, signatures: Array(repeating: foreign, count: 65)).bytes
            ),
        ]
        // A note needs one line at least, so a ledger without witnesses has none of these.
        if good.signatures.contains(where: { !isLedger($0) }) {
            cases += [
                note("witness-line-broken", lines { isLedger($0) ? $0 : Self.broken($0) }),
                note("witness-line-short", lines { isLedger($0) ? $0 : Self.short($0) }),
                note("no-witness", lines { isLedger($0) ? $0 : nil }),
                note("one-witness-many-times", SignedNote(text: good.text, signatures: oneWitness).bytes),
            ]
        }
        return cases.filter { !$0.bytes.isEmpty }
    }

    /// The ledger's line, and the first cosignature three times.
    private var oneWitness: [SignedNote.Signature] {
        let lines = checkpoint.note.signatures
        let ledger = lines.filter { $0.name.utf8.elementsEqual(checkpoint.origin.utf8) }
        let witnesses = lines.filter { !$0.name.utf8.elementsEqual(checkpoint.origin.utf8) }
        return ledger + Array(repeating: witnesses[0], count: 3)
    }

    private static func broken(_ line: SignedNote.Signature) -> SignedNote.Signature {
        var blob = line.blob
        blob[blob.count - 20] ^= 1
        return SignedNote.Signature(name: line.name, hash: line.hash, blob: blob)
    }

    private static func short(_ line: SignedNote.Signature) -> SignedNote.Signature {
        SignedNote.Signature(name: line.name, hash: line.hash, blob: Array(line.blob.dropLast()))
    }

    // MARK: Notes with the ledger's key

    private func signed(_ size: UInt64, _ root: Digest, by signer: (SigningKey, VerifierKey)) -> Checkpoint {
        let text = Checkpoint.text(origin: checkpoint.origin, size: size, root: root)
        var lines = SignedNote.signed(text: text, by: [(signer.0, signer.1)]).signatures
        for witness in policy.witnesses {
            guard let key = witnessKeys.first(where: { $0.publicKey == witness.key.key }) else { continue }
            lines.append(Cosignature.sign(text: text, time: UInt64(time), with: key, as: witness.key))
        }
        guard let checkpoint = Checkpoint(note: SignedNote(text: text, signatures: lines)) else {
            preconditionFailure("three lines are a checkpoint")
        }
        return checkpoint
    }

    private var forks: [PackCase] {
        guard let signer = ledgerKey, size >= 3 else { return [] }
        let half = size / 2
        func case_(_ name: String, _ checkpoint: Checkpoint, after: UInt64? = nil) -> PackCase {
            PackCase(file: "\(name).checkpoint", kind: .checkpoint, after: after ?? size, bytes: checkpoint.bytes)
        }
        return [
            case_("rollback", signed(half, tree.root(at: half), by: signer)),
            case_("larger", signed(size + 3, tree.root(at: size + 3), by: signer)),
            case_("fork-same-size", signed(size, tree.root(at: size, replacing: size - 1), by: signer)),
            case_("fork-smaller", signed(half, tree.root(at: half, replacing: 0), by: signer)),
            case_("from-older-trusted", signed(size, checkpoint.root, by: signer), after: half),
            case_(
                "fork-above-older-trusted",
                signed(size, tree.root(at: size, replacing: half), by: signer),
                after: half
            ),
        ]
    }

    // MARK: Leaves

    private var entries: [PackCase] {
        let leaves = tree.leaves
        guard leaves.count >= 3 else { return [] }
        func file(_ name: String, _ leaves: [[UInt8]]) -> PackCase {
            PackCase(file: "\(name).entries", kind: .entries, after: size, bytes: EntryBundle.encode(leaves))
        }
        var reordered = leaves
        reordered.swapAt(1, 2)
        var flipped = leaves
        flipped[1][flipped[1].count / 2] ^= 1
        return [
            file("all", leaves), file("reordered", reordered), file("dropped", Array(leaves.dropFirst(1))),
            file("bit-flipped", flipped), file("truncated", Array(leaves.dropLast())),
            file("doubled", leaves + [leaves[leaves.count - 1]]),
        ]
    }

    // MARK: Evidence

    private var evidence: [PackCase] {
        func file(_ name: String, _ evidence: ForkEvidence) -> PackCase {
            PackCase(file: "\(name).evidence", kind: .evidence, after: size, bytes: evidence.bytes)
        }
        var cases = [
            file("no-fork", ForkEvidence(a: checkpoint, b: checkpoint, prefixRoot: checkpoint.root, proof: []))
        ]
        guard let signer = ledgerKey, size >= 3 else { return cases }
        let half = size / 2
        let other = signed(size, tree.root(at: size, replacing: size - 1), by: signer)
        let smaller = signed(half, tree.root(at: half, replacing: 0), by: signer)
        let prefix = tree.root(at: half)
        let proof = tree.consistency(from: half, to: size)
        let unsigned = SignedNote(
            text: other.note.text,
            signatures: [SignedNote.Signature(name: "stranger.example", hash: 7, blob: Array(repeating: 1, count: 64))]
        )
        cases += [
            file("fork-equal", ForkEvidence(a: checkpoint, b: other, prefixRoot: other.root, proof: [])),
            file("fork-larger", ForkEvidence(a: smaller, b: checkpoint, prefixRoot: prefix, proof: proof)),
            file(
                "fork-bad-proof",
                ForkEvidence(a: smaller, b: checkpoint, prefixRoot: prefix, proof: proof.dropLast())
            ),
            file(
                "fork-other-prefix",
                ForkEvidence(a: smaller, b: checkpoint, prefixRoot: smaller.root, proof: proof)
            ),
        ]
        if let note = Checkpoint(note: unsigned) {
            cases.append(file("fork-unsigned", ForkEvidence(a: checkpoint, b: note, prefixRoot: note.root, proof: [])))
        }
        return cases
    }
}
