import Contracts
import Ledger
import TestSupport

/// A real signed log in memory: genesis, entries of real twins, checkpoints with real signatures.
struct TestLog: Sendable {
    static let start: Timestamp = 1_800_000_000

    let origin: String
    /// Time of genesis; entries expire a day later.
    let time: Timestamp
    let rootKey: SigningKey
    let ledgerKey: SigningKey
    let ledgerVKey: VerifierKey
    let witnessKeys: [SigningKey]
    let witnessVKeys: [VerifierKey]
    var witnessKey: SigningKey { witnessKeys[0] }
    var witnessVKey: VerifierKey { witnessVKeys[0] }
    var leaves: [[UInt8]] = []
    private(set) var ledgerID = Identifier.zero
    private var lanes: [String: Int64] = [:]
    /// Indices of the entries of the key chain; genesis is the first.
    private(set) var chain = [0]

    /// A log with its genesis. The same seed makes the same keys.
    init(seed: UInt8 = 1, origin: String = "log.example/one", isWitnessed: Bool = true, time: Timestamp = start) {
        let policy: ([VerifierKey]) -> WitnessPolicy = isWitnessed ? Self.policy : { _ in .none }
        self.init(seed: seed, origin: origin, time: time, witnesses: 1, policy: policy)
    }

    /// A log of which `quorum` of several witnesses have to cosign every checkpoint.
    init(seed: UInt8, origin: String, witnesses: Int, quorum: Int) {
        self.init(seed: seed, origin: origin, time: Self.start, witnesses: witnesses) { keys in
            let lines = keys.enumerated().map { "witness w\($0) \($1)\n" }.joined()
            let names = keys.indices.map { " w\($0)" }.joined()
            return WitnessPolicy(lines + "group all \(quorum)\(names)\nquorum all\n") ?? .none
        }
    }

    private init(
        seed: UInt8,
        origin: String,
        time: Timestamp,
        witnesses: Int,
        policy: ([VerifierKey]) -> WitnessPolicy
    ) {
        self.time = time
        self.origin = origin
        rootKey = Self.key(seed, 1)
        ledgerKey = Self.key(seed, 2)
        witnessKeys = (0..<witnesses).map { Self.key(seed, 3 + UInt8($0)) }
        ledgerVKey = VerifierKey(name: origin, type: VerifierKey.noteType, key: ledgerKey.publicKey)
        witnessVKeys = witnessKeys.enumerated().map { number, key in
            let name = number == 0 ? "witness.example" : "witness\(number).example"
            return VerifierKey(name: name, type: VerifierKey.cosignatureType, key: key.publicKey)
        }
        let policy = policy(witnessVKeys)
        let body = GenesisBody(
            keys: [ledgerVKey],
            limits: LedgerLimits(tickMinimum: 1),
            name: "test",
            origin: origin,
            policy: policy,
            reserved: [],
            root: Quorum([rootKey.publicKey]),
            time: time
        )
        let genesis = EntryDraft.genesis(body, signer: rootKey.keyID).signed(by: [rootKey])
        ledgerID = genesis.id
        leaves.append(genesis.leaf)
    }

    static func key(_ seed: UInt8, _ number: UInt8) -> SigningKey {
        guard let key = try? SigningKey(seed: [seed, number] + [UInt8](repeating: 7, count: 30)) else {
            preconditionFailure("32 bytes are a seed")
        }
        return key
    }

    static func policy(_ witness: VerifierKey) -> WitnessPolicy { policy([witness]) }

    private static func policy(_ witnesses: [VerifierKey]) -> WitnessPolicy {
        guard let policy = WitnessPolicy("witness w1 \(witnesses[0])\nquorum w1\n") else {
            preconditionFailure("the text follows the grammar")
        }
        return policy
    }

    // MARK: Entries

    /// Appends an entry and returns its txid.
    @discardableResult
    mutating func append(
        _ body: EntryBody,
        account: Identifier? = nil,
        key: SigningKey,
        cosigners: [SigningKey] = [],
        sequence: Int64? = nil
    ) -> Identifier {
        let lane = "\(account?.hex ?? "") \(key.keyID.hex)"
        let next = sequence ?? (lanes[lane] ?? 0) + 1
        lanes[lane] = next
        let envelope = EntryDraft(
            body,
            ledger: ledgerID,
            account: account,
            signer: key.keyID,
            seq: next,
            expires: time + 86_400
        ).signed(by: [key] + cosigners)
        switch body {
        case .rootRotate, .ledgerKeys, .policySet, .protocolUpgrade: chain.append(leaves.count)
        default: break
        }
        leaves.append(envelope.leaf)
        return envelope.id
    }

    /// Replaces the ledger keys by one other, which signs too.
    mutating func changeLedgerKey(to key: SigningKey, version: Int64, root: SigningKey? = nil) {
        let vkey = VerifierKey(name: origin, type: VerifierKey.noteType, key: key.publicKey)
        append(
            .ledgerKeys(LedgerKeysBody(keys: [vkey], version: version)),
            account: ledgerID,
            key: root ?? rootKey,
            cosigners: [key]
        )
    }

    @discardableResult
    mutating func appendTwin(_ key: SigningKey) -> Identifier {
        append(.twinCreate(TwinCreateBody(keys: TwinKeys(owner: [key.publicKey]))), key: key)
    }

    mutating func appendTick(_ time: Timestamp) {
        append(.tick(TickBody(time: time)), account: ledgerID, key: ledgerKey)
    }

    /// Twins with keys of their own, until the log has `size` entries.
    mutating func grow(to size: Int, from first: UInt8 = 100) {
        while leaves.count < size {
            appendTwin(Self.key(first &+ UInt8(leaves.count / 256), UInt8(leaves.count % 256)))
        }
    }

    // MARK: The tree

    func hashes(_ size: Int) -> [Digest] { leaves.prefix(size).map { MerkleTree.leafHash($0) } }

    func root(_ size: Int? = nil) -> Digest {
        var range = CompactRange()
        for hash in hashes(size ?? leaves.count) { range.append(hash) }
        return range.root
    }

    /// The consistency proof between two sizes, 0 < `first` <= `second`.
    func consistency(from first: Int, to second: Int) -> [Digest] {
        var levels = [hashes(second)]
        while let last = levels.last, last.count > 1 {
            levels.append(
                stride(from: 0, to: last.count - 1, by: 2).map { MerkleTree.nodeHash(last[$0], last[$0 + 1]) }
            )
        }
        return Proofs.consistency(from: UInt64(first), to: UInt64(second)) { levels[$0][Int($1)] }
    }

    /// A checkpoint of the first `size` entries, with the ledger's signature and, unless told otherwise, a cosignature.
    func checkpoint(
        _ size: Int? = nil,
        root: Digest? = nil,
        origin: String? = nil,
        by signer: SigningKey? = nil,
        at time: Timestamp = start,
        isCosigned: Bool = true
    ) -> [UInt8] {
        let size = size ?? leaves.count
        let text = Checkpoint.text(
            origin: origin ?? self.origin,
            size: UInt64(size),
            root: root ?? self.root(size)
        )
        let key = signer ?? ledgerKey
        let vkey = VerifierKey(name: self.origin, type: VerifierKey.noteType, key: key.publicKey)
        var note = SignedNote.signed(text: text, by: [(key, vkey)])
        if isCosigned {
            let cosignature = Cosignature.sign(text: text, time: UInt64(time), with: witnessKey, as: witnessVKey)
            note = SignedNote(text: text, signatures: note.signatures + [cosignature])
        }
        return note.bytes
    }

    /// The bytes of a hash tile or entry bundle by its path; nil for what lies beyond the log.
    func resource(_ path: String) -> [UInt8]? {
        if path.hasPrefix("keyset/") {
            guard let number = Int(path.dropFirst(7)), chain.indices.contains(number) else { return nil }
            return leaves[chain[number]]
        }
        guard let tile = TilePath(path) else { return nil }
        let first = Int(tile.index) * TilePath.fullWidth
        switch tile.content {
        case .entries:
            guard first + tile.width <= leaves.count else { return nil }
            return EntryBundle.encode(leaves[first..<(first + tile.width)])
        case .hashes(let level):
            var nodes = hashes(leaves.count)
            for _ in 0..<(8 * level) {
                nodes = stride(from: 0, to: nodes.count - 1, by: 2).map {
                    MerkleTree.nodeHash(nodes[$0], nodes[$0 + 1])
                }
            }
            guard first + tile.width <= nodes.count else { return nil }
            return HashTile(Array(nodes[first..<(first + tile.width)])).bytes
        }
    }

    func receipt(_ index: Int) -> [UInt8] {
        var levels = [hashes(leaves.count)]
        while let last = levels.last, last.count > 1 {
            levels.append(
                stride(from: 0, to: last.count - 1, by: 2).map { MerkleTree.nodeHash(last[$0], last[$0 + 1]) }
            )
        }
        let proof = Proofs.inclusion(index: UInt64(index), size: UInt64(leaves.count)) { levels[$0][Int($1)] }
        guard let checkpoint = try? Checkpoint(parsing: checkpoint()) else {
            preconditionFailure("a checkpoint made here parses")
        }
        return Receipt(index: UInt64(index), hashes: proof, checkpoint: checkpoint).bytes
    }

    // MARK: Serving

    /// The honest answer to a request for a static resource; a long poll without news is answered at once.
    func answer(_ request: LyingServer.Request, at time: Timestamp = start) -> LyingServer.Reply {
        let path = String(request.path.dropFirst())
        if path == "checkpoint" {
            if let after = request.query("after").flatMap({ Int($0) }), leaves.count <= after { return .respond(204) }
            let note = checkpoint(at: time)
            let etag = "\"\(Digest.sha256(note).hex.prefix(16))\""
            if request.headers["if-none-match"] == etag { return .respond(304) }
            return .respond(200, headers: [("ETag", etag)], body: note)
        }
        guard let bytes = resource(path) else { return .respond(404) }
        return .respond(200, body: bytes)
    }
}
