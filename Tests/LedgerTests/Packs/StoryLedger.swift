import Contracts
import Ledger

/// A ledger that a story is written to, entry by entry, as its people sign them.
///
/// Every key follows from a label, so that anybody can write the same story again byte for byte. The private keys of the
/// packs are therefore public: they are for fixtures and for nothing else.
struct StoryLedger {
    struct Twin {
        var id: Identifier
        var owner: SigningKey
        var operators: SigningKey
    }

    static let start: Timestamp = 1_760_000_000

    /// Name of the story: part of every label.
    let story: String
    let origin: String
    private(set) var state = ContractState()
    private(set) var leaves: [[UInt8]] = []
    /// The txid of the last entry, which is the id of what it created.
    private(set) var last = Identifier.zero
    /// Codes that were not what the story says.
    private(set) var surprises: [String] = []

    /// A story that begins with its genesis.
    init(_ story: String) {
        self.story = story
        origin = "\(story).packs.example.org"
        let body = GenesisBody(
            keys: [ledgerVerifierKey(1)],
            limits: LedgerLimits(contracts: 3, grace: 3600, names: 3, purge: 86_400),
            name: "the story of \(story)",
            origin: origin,
            policy: policy(1...4),
            reserved: ["admin", "www"],
            root: Quorum((1...3).map { key("root \($0)").publicKey }, threshold: 2),
            time: Self.start
        )
        let signer = key("root 1")
        append(EntryDraft.genesis(body, signer: signer.keyID).signed(by: [signer, key("root 2")]).leaf, .ok, "genesis")
    }

    // MARK: Keys

    /// The key of a label of this story: its seed is SHA-256 of `webgw fixture <story> <label>`.
    func key(_ label: String) -> SigningKey { Self.key("\(story) \(label)") }

    static func key(_ label: String) -> SigningKey {
        let seed = Digest.sha256(Array("webgw fixture \(label)".utf8)).bytes
        guard let key = try? SigningKey(seed: Array(seed)) else {
            preconditionFailure("\(label) is another label's key")
        }
        return key
    }

    static let manifestKey = key("manifest")
    static let manifestVerifierKey = VerifierKey(
        name: "packs.example.org",
        type: VerifierKey.noteType,
        key: manifestKey.publicKey
    )

    func ledgerVerifierKey(_ number: Int) -> VerifierKey {
        VerifierKey(name: origin, type: VerifierKey.noteType, key: key("ledger \(number)").publicKey)
    }

    func witnessKey(_ number: Int) -> VerifierKey {
        VerifierKey(
            name: "witness\(number).example.org",
            type: VerifierKey.cosignatureType,
            key: key("witness \(number)").publicKey
        )
    }

    /// Three of four witnesses.
    func policy(_ numbers: ClosedRange<Int>) -> WitnessPolicy {
        let lines = numbers.map { "witness w\($0) \(witnessKey($0))\n" }.joined()
        let group = "group all 3 \(numbers.map { "w\($0)" }.joined(separator: " "))\n"
        guard let policy = WitnessPolicy(lines + group + "quorum all\n") else {
            preconditionFailure("the text follows the grammar")
        }
        return policy
    }

    // MARK: Entries

    var id: Identifier { state.ledgerID ?? .zero }
    var now: Timestamp { state.now }

    /// Adds bytes to the log and notes when the fold says otherwise than the story.
    mutating func append(_ leaf: [UInt8], _ code: Code, _ what: String) {
        last = (try? Envelope(leaf: leaf))?.id ?? .zero
        guard case .outcome(let outcome) = state.fold(leaf) else { return surprises.append("\(what): unsupported") }
        leaves.append(leaf)
        if outcome.code != code { surprises.append("entry \(outcome.index), \(what): \(outcome.code), not \(code)") }
    }

    /// An entry of a twin, or of the ledger when there is none, signed by `signer` and `others`.
    @discardableResult
    mutating func sign(
        _ body: EntryBody,
        as account: Identifier?,
        by signer: SigningKey,
        with others: [SigningKey] = [],
        expect code: Code = .ok
    ) -> Identifier {
        let account = account ?? id
        let draft = EntryDraft(
            body,
            ledger: id,
            account: account,
            signer: signer.keyID,
            seq: state.lane(account: account, key: signer.keyID) + 1,
            expires: now + 86_400
        )
        append(draft.signed(by: [signer] + others).leaf, code, body.type.rawValue)
        return last
    }

    mutating func tick(after seconds: Timestamp = 60, by number: Int = 1, expect code: Code = .ok) {
        sign(.tick(TickBody(time: now + seconds)), as: nil, by: key("ledger \(number)"), expect: code)
    }

    mutating func twin(_ person: String) -> Twin {
        let (owner, operators) = (key("\(person) owner"), key("\(person) operator"))
        let keys = TwinKeys(owner: [owner.publicKey], operators: [operators.publicKey])
        let draft = EntryDraft(
            .twinCreate(TwinCreateBody(keys: keys)),
            ledger: id,
            signer: owner.keyID,
            expires: now + 86_400
        )
        append(draft.signed(by: [owner, operators]).leaf, .ok, "twin of \(person)")
        return Twin(id: last, owner: owner, operators: operators)
    }

    // MARK: Checkpoint

    /// The log with a checkpoint that the ledger's key signed, and three witnesses a few seconds after the last tick.
    func log(ledger number: Int = 1, witnesses: [Int] = [1, 2, 4]) -> MemoryLog {
        var range = CompactRange()
        for leaf in leaves { range.append(MerkleTree.leafHash(leaf)) }
        let text = Checkpoint.text(origin: origin, size: range.size, root: range.root)
        var lines = SignedNote.signed(text: text, by: [(key("ledger \(number)"), ledgerVerifierKey(number))]).signatures
        for (place, witness) in witnesses.enumerated() {
            let time = UInt64(now) + UInt64(place) + 5
            lines.append(
                Cosignature.sign(text: text, time: time, with: key("witness \(witness)"), as: witnessKey(witness))
            )
        }
        let size = range.size
        precondition(size <= 256, "a story fits into one tile")
        var files = ["checkpoint": SignedNote(text: text, signatures: lines).bytes]
        let width = Int(size)
        files[TilePath(.entries, index: 0, width: width).description] = EntryBundle.encode(leaves)
        files[TilePath(.hashes(level: 0), index: 0, width: width).description] =
            HashTile(leaves.map { MerkleTree.leafHash($0) }).bytes
        return MemoryLog(files: files)
    }
}
