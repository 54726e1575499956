import Contracts
import Testing

@Suite("Fold: signatures")
struct FoldSignatureTests {
    private static func envelope(_ ledger: FoldLedger, _ twin: FoldLedger.Account) -> Envelope {
        EntryDraft(
            .nameCreate(NameCreateBody(name: "one")),
            ledger: ledger.id,
            account: twin.id,
            signer: twin.owner.keyID,
            seq: 1,
            expires: ledger.now
        ).signed(by: [twin.owner])
    }

    private static func code(_ state: ContractState, _ entry: ParsedEntry, _ verdicts: SignatureVerdicts = .init())
        -> Code?
    {
        var state = state
        guard case .outcome(let outcome) = state.apply(entry, verdicts: verdicts) else { return nil }
        return outcome.code
    }

    @Test("verdicts ahead of the fold say what the fold would find")
    func verdicts() {
        var ledger = FoldLedger()
        let twin = ledger.twin()
        let good = Self.envelope(ledger, twin)
        var bad = good
        bad.signatures[0].signature[40] ^= 1
        for (envelope, isValid) in [(good, true), (bad, false)] {
            let entry = ParsedEntry(leaf: envelope.leaf)
            let verdicts = SignatureVerdicts.compute(for: entry) { ledger.state.publicKey($0) }
            #expect(verdicts[twin.owner.keyID] == isValid)
            #expect(Self.code(ledger.state, entry, verdicts) == (isValid ? .ok : .signatureInvalid))
            #expect(Self.code(ledger.state, entry) == (isValid ? .ok : .signatureInvalid))
        }
    }

    @Test("a signature that nobody could look at ahead is verified by the fold")
    func missingVerdict() {
        var ledger = FoldLedger()
        let twin = ledger.twin()
        var bad = Self.envelope(ledger, twin)
        bad.signatures[0].signature[0] ^= 1
        let entry = ParsedEntry(leaf: bad.leaf)
        let verdicts = SignatureVerdicts.compute(for: entry) { _ in nil }
        #expect(verdicts[twin.owner.keyID] == nil)
        #expect(Self.code(ledger.state, entry, verdicts) == .signatureInvalid)
    }

    @Test("keys that an entry brings itself need no state")
    func announcedKeys() {
        var ledger = FoldLedger()
        let owner = FoldLedger.key(95)
        let hand = FoldLedger.key(96)
        let body = TwinCreateBody(keys: TwinKeys(owner: [owner.publicKey], operators: [hand.publicKey]))
        let draft = EntryDraft(.twinCreate(body), ledger: ledger.id, signer: owner.keyID, expires: ledger.now)
        let entry = ParsedEntry(leaf: draft.signed(by: [owner, hand]).leaf)
        let verdicts = SignatureVerdicts.compute(for: entry) { _ in nil }
        #expect(verdicts[owner.keyID] == true)
        #expect(verdicts[hand.keyID] == true)
        #expect(Self.code(ledger.state, entry, verdicts) == .ok)
        // Once the twin exists, the state knows its keys.
        #expect(ledger.state.publicKey(owner.keyID) == nil)
        ledger.fold(draft.signed(by: [owner, hand]))
        #expect(ledger.state.publicKey(owner.keyID) == owner.publicKey)
    }

    @Test("a valid verdict does not stand in for a required signer, nor does it excuse an extra one")
    func verdictsDecideNothingElse() {
        var ledger = FoldLedger()
        let twin = ledger.twin()
        let stranger = FoldLedger.key(97)
        var verdicts = SignatureVerdicts()
        verdicts[twin.owner.keyID] = true
        verdicts[stranger.keyID] = true
        var envelope = Self.envelope(ledger, twin)
        let signature = envelope.signatures[0]
        envelope.signatures = []
        #expect(Self.code(ledger.state, ParsedEntry(leaf: envelope.leaf), verdicts) == .signatureMissing)
        envelope.signatures = [signature, (stranger.keyID, signature.signature)].sorted { $0.keyID < $1.keyID }
        #expect(Self.code(ledger.state, ParsedEntry(leaf: envelope.leaf), verdicts) == .signatureUnexpected)
        verdicts[stranger.keyID] = nil
        #expect(verdicts[stranger.keyID] == nil)
    }
}
