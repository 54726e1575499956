import Contracts
import Testing

@Suite("Fold: entries of the ledger itself")
struct FoldLedgerRulesTests {
    private static let policy = """
        witness w1 \(VerifierKey(name: "w1.example.org", type: 4, key: FoldLedger.key(41).publicKey))
        quorum w1

        """

    @Test("a genesis after index 0 never begins a ledger")
    func lateGenesis() {
        let ledger = FoldLedger()
        let draft = EntryDraft.genesis(ledger.genesis(limits: LedgerLimits()), signer: ledger.roots[0].keyID)
        let leaf = draft.signed(by: Array(ledger.roots.prefix(2))).leaf
        var state = ContractState()
        #expect(state.fold([0x7B]) == .outcome(Outcome(index: 0, code: .envelopeNoncanonical, id: nil)))
        #expect(state.fold(leaf) == .outcome(Outcome(index: 1, code: .genesisRequired, id: draft.signed(by: []).id)))
        #expect(state.rows.isEmpty)
    }

    @Test("the signer of genesis is a root key, and exactly the threshold signs")
    func genesisSigners() {
        let ledger = FoldLedger()
        let body = ledger.genesis(limits: LedgerLimits())
        func code(_ signer: SigningKey, _ keys: [SigningKey]) -> Code? {
            var state = ContractState()
            let leaf = EntryDraft.genesis(body, signer: signer.keyID).signed(by: keys).leaf
            guard case .outcome(let outcome) = state.fold(leaf) else { return nil }
            return outcome.code
        }
        let roots = ledger.roots
        #expect(code(ledger.ledgerKey, [ledger.ledgerKey, roots[0]]) == .signerUnknown)
        #expect(code(roots[0], [roots[1], roots[2]]) == .signatureMissing)
        #expect(code(roots[0], [roots[0]]) == .signatureMissing)
        #expect(code(roots[0], roots) == .signatureUnexpected)
        #expect(code(roots[2], [roots[2], roots[0]]) == .ok)
    }

    @Test("a tick moves time by tick_min to a day, in this order of rules")
    func ticks() {
        var ledger = FoldLedger()
        #expect(ledger.tick(to: FoldLedger.start) == .tickEarly)
        #expect(ledger.tick(to: FoldLedger.start + 59) == .tickEarly)
        #expect(ledger.tick(to: FoldLedger.start + 86_401) == .tickFar)
        #expect(ledger.tick(to: FoldLedger.start + 60) == .ok)
        #expect(ledger.tick(to: FoldLedger.start + 60 + 86_400) == .ok)
        #expect(ledger.now == FoldLedger.start + 60 + 86_400)
        #expect(ledger.state.ticks == 2)
    }

    @Test("a policy with witnesses cannot be replaced by none, but none can stay or go")
    func policyNone() {
        var ledger = FoldLedger()
        func body(_ policy: String, _ version: Int64) -> EntryBody {
            .policySet(
                PolicySetBody(
                    auditorQuorum: 0,
                    auditors: [],
                    billing: [],
                    policy: WitnessPolicy(policy)!,
                    version: version
                )
            )
        }
        #expect(ledger.submitAsRoot(body("quorum none\n", 2)) == .ok)
        #expect(ledger.submitAsRoot(body(Self.policy, 3)) == .ok)
        #expect(ledger.submitAsRoot(body("quorum none\n", 5)) == .versionMismatch)
        #expect(ledger.submitAsRoot(body("quorum none\n", 4)) == .policyNone)
        #expect(ledger.submitAsRoot(body(Self.policy, 4)) == .ok)
        #expect(ledger.state.policyText == Self.policy)
    }

    @Test("an unknown auditor or billing twin comes before the policy")
    func policyTwins() {
        var ledger = FoldLedger(policy: Self.policy)
        let twin = ledger.twin()
        let key = VerifierKey(name: "auditor", type: 1, key: FoldLedger.key(50).publicKey)
        func body(_ auditor: Identifier, _ billing: Identifier, _ policy: String) -> EntryBody {
            .policySet(
                PolicySetBody(
                    auditorQuorum: 1,
                    auditors: [Auditor(twin: auditor, key: key)],
                    billing: [billing],
                    policy: WitnessPolicy(policy)!,
                    version: 2
                )
            )
        }
        #expect(ledger.submitAsRoot(body(ledger.id, twin.id, "quorum none\n")) == .twinUnknown)
        #expect(ledger.submitAsRoot(body(twin.id, ledger.id, Self.policy)) == .twinUnknown)
        #expect(ledger.submitAsRoot(body(twin.id, twin.id, "quorum none\n")) == .policyNone)
        #expect(ledger.submitAsRoot(body(twin.id, twin.id, Self.policy)) == .ok)
    }

    @Test("an added ledger key signs for itself, and a removed one ticks no more")
    func ledgerKeys() {
        var ledger = FoldLedger()
        let old = ledger.ledgerKey
        let new = FoldLedger.key(11)
        func body(_ keys: [SigningKey], _ version: Int64, name: String = "ledger.example.org") -> EntryBody {
            let keys = keys.map { VerifierKey(name: name, type: 1, key: $0.publicKey) }
            return .ledgerKeys(LedgerKeysBody(keys: keys.sorted(), version: version))
        }
        #expect(ledger.submitAsRoot(body([old, new], 2)) == .signatureMissing)
        #expect(ledger.submitAsRoot(body([old], 2), with: [new]) == .signatureUnexpected)
        #expect(ledger.submitAsRoot(body([old, new], 2), with: [old, new]) == .signatureUnexpected)
        #expect(ledger.submitAsRoot(body([old, new], 3, name: "other"), with: [new]) == .versionMismatch)
        #expect(ledger.submitAsRoot(body([old, new], 2, name: "other"), with: [new]) == .keysOrigin)
        #expect(ledger.submitAsRoot(body([old, new], 2), with: [new]) == .ok)
        #expect(ledger.submitAsRoot(body([new], 3)) == .ok)
        #expect(ledger.tick(to: ledger.now + 60) == .signerUnknown)
        ledger.ledgerKey = new
        #expect(ledger.tick(to: ledger.now + 60) == .ok)
        // The old key is an added one again.
        #expect(ledger.submitAsRoot(body([old, new], 4)) == .signatureMissing)
        #expect(ledger.submitAsRoot(body([old, new], 4), with: [old]) == .ok)
    }

    @Test("root.rotate needs old and new thresholds and every added key")
    func rootRotate() {
        var ledger = FoldLedger()
        let roots = ledger.roots
        let added = FoldLedger.key(4)
        func submit(_ keys: [SigningKey], _ threshold: Int64, _ version: Int64, by signers: [SigningKey]) -> Code {
            let quorum = Quorum(keys.map(\.publicKey), threshold: threshold)
            return ledger.submit(
                .rootRotate(RootRotateBody(root: quorum, version: version)),
                as: ledger.id,
                by: signers[0],
                with: Array(signers.dropFirst())
            )
        }
        // One old key short; one new key short; the added key silent; a stranger.
        #expect(submit([roots[0], added], 1, 2, by: [roots[0], added]) == .signatureMissing)
        #expect(submit([roots[0], roots[1], added], 3, 2, by: [roots[0], roots[2], added]) == .signatureMissing)
        #expect(submit([roots[0], added], 1, 2, by: [roots[0], roots[1]]) == .signatureMissing)
        #expect(
            submit([roots[0], added], 1, 2, by: [roots[0], roots[1], added, ledger.ledgerKey]) == .signatureUnexpected
        )
        #expect(submit([added], 1, 2, by: [added, roots[0], roots[1]]) == .signerUnknown)
        // More old keys than needed are welcome here.
        #expect(submit([roots[0], added], 2, 3, by: roots + [added]) == .versionMismatch)
        #expect(submit([roots[0], added], 2, 2, by: roots + [added]) == .ok)
        #expect(submit([roots[0]], 1, 3, by: [roots[0], added]) == .ok)
        #expect(ledger.state.root?.threshold == 1)
    }

    @Test("an upgrade stops the fold for every entry once its time has come")
    func upgrade() {
        var ledger = FoldLedger()
        func body(_ activate: Timestamp, fold: Int64 = 2, version: Int64) -> EntryBody {
            .protocolUpgrade(ProtocolUpgradeBody(activate: activate, fold: fold, version: version))
        }
        let day: Timestamp = 86_400
        #expect(ledger.submitAsRoot(body(ledger.now, fold: 3, version: 2)) == .versionMismatch)
        #expect(ledger.submitAsRoot(body(ledger.now, fold: 3, version: 1)) == .upgradeFold)
        #expect(ledger.submitAsRoot(body(ledger.now + day - 1, version: 1)) == .upgradeWindow)
        #expect(ledger.submitAsRoot(body(ledger.now + day, version: 1)) == .ok)
        #expect(ledger.submitAsRoot(body(ledger.now + 2 * day, version: 2)) == .ok)
        ledger.advance(to: FoldLedger.start + 2 * day - 60)
        #expect(!ledger.state.isStopped)
        #expect(ledger.tick(to: FoldLedger.start + 2 * day) == .ok)
        #expect(ledger.state.isStopped)
        let size = ledger.state.size
        let root = ledger.state.stateRoot()
        #expect(ledger.state.fold([]) == .unsupported)
        #expect(ledger.state.apply(.rejected(.entrySize, id: nil)) == .unsupported)
        #expect(ledger.state.size == size)
        #expect(ledger.state.stateRoot() == root)
    }

    @Test("auditors attest growing sizes up to the index, and record a fork once")
    func audit() {
        var ledger = FoldLedger()
        let auditor = ledger.twin()
        let other = ledger.twin()
        let policy = PolicySetBody(
            auditorQuorum: 1,
            auditors: [
                Auditor(twin: auditor.id, key: VerifierKey(name: "a", type: 1, key: FoldLedger.key(50).publicKey))
            ],
            billing: [],
            policy: WitnessPolicy("quorum none\n")!,
            version: 2
        )
        #expect(ledger.submitAsRoot(.policySet(policy)) == .ok)
        func attest(_ size: Int64, _ account: FoldLedger.Account) -> Code {
            let zero = Digest.zero
            let body = Attestation(outcomeRoot: zero, root: zero, size: size, stateRoot: zero)
            return ledger.submit(.stateAttest(body), as: account)
        }
        #expect(attest(2, other) == .auditorForbidden)
        #expect(attest(Int64(ledger.state.size) + 1, auditor) == .attestSize)
        #expect(attest(Int64(ledger.state.size), auditor) == .ok)
        #expect(attest(Int64(ledger.state.size) - 1, auditor) == .attestSize)
        let fork = EvidenceForkBody(
            a: TreeHead(root: .zero, size: 0),
            b: TreeHead(root: .zero, size: 3),
            digest: .sha256([1])
        )
        #expect(ledger.submit(.evidenceFork(fork), as: other) == .auditorForbidden)
        #expect(ledger.submit(.evidenceFork(fork), as: auditor) == .ok)
        #expect(ledger.submit(.evidenceFork(fork), as: auditor) == .evidenceDuplicate)
        #expect(ledger.state.evidence(.sha256([1]))?.twin == auditor.id)
    }
}
