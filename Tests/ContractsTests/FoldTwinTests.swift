import Contracts
import Testing

@Suite("Fold: twins, their keys and delegates")
struct FoldTwinTests {
    @Test("every key of a new twin signs, and an owner key leads")
    func create() {
        var ledger = FoldLedger()
        let keys = (1...3).map { FoldLedger.key(60 + $0) }
        let body = EntryBody.twinCreate(
            TwinCreateBody(
                keys: TwinKeys(owner: [keys[0].publicKey, keys[1].publicKey], operators: [keys[2].publicKey])
            )
        )
        #expect(ledger.submit(body, as: nil, by: keys[0], with: [keys[1]]) == .signatureMissing)
        #expect(ledger.submit(body, as: nil, by: keys[2], with: [keys[0], keys[1]]) == .signerUnknown)
        #expect(
            ledger.submit(body, as: nil, by: keys[0], with: [keys[1], keys[2], ledger.roots[0]]) == .signatureUnexpected
        )
        #expect(
            ledger.submit(body, as: nil, by: keys[1], with: [keys[0], keys[2]], expires: ledger.now - 1) == .txExpired
        )
        #expect(ledger.submit(body, as: nil, by: keys[1], with: [keys[0], keys[2]]) == .ok)
        #expect(ledger.submit(body, as: nil, by: keys[1], with: [keys[0], keys[2]]) == .seqReplay)
    }

    @Test("operator keys act but do not decide, and thresholds are exact")
    func operators() {
        var ledger = FoldLedger()
        let twin = ledger.twin(owners: 3, threshold: 2, operators: 1)
        let farm = EntryBody.farmCreate(FarmCreateBody(name: "farm-a"))
        let name = EntryBody.nameCreate(NameCreateBody(name: "shop"))
        #expect(ledger.submit(farm, as: twin.id, by: twin.operators[0]) == .signerForbidden)
        #expect(ledger.submit(farm, as: twin.id, by: ledger.roots[0]) == .signerUnknown)
        #expect(ledger.submit(farm, as: ledger.id, by: twin.owner) == .accountUnknown)
        #expect(ledger.submit(farm, as: twin.id, by: twin.owners[0]) == .signatureMissing)
        #expect(
            ledger.submit(farm, as: twin.id, by: twin.owners[0], with: Array(twin.owners[1...])) == .signatureUnexpected
        )
        #expect(ledger.submit(farm, as: twin.id, by: twin.owners[0], with: [twin.operators[0]]) == .signatureMissing)
        #expect(ledger.submit(farm, as: twin.id, by: twin.owners[2], with: [twin.owners[1]]) == .ok)
        #expect(ledger.submit(name, as: twin.id, by: twin.operators[0], with: [twin.owners[0]]) == .signatureUnexpected)
        #expect(ledger.submit(name, as: twin.id, by: twin.operators[0]) == .ok)
    }

    @Test("twin.keys needs old and new owners and every added key, operators included")
    func rotate() {
        var ledger = FoldLedger()
        let twin = ledger.twin(owners: 2, threshold: 2, operators: 1)
        let (old, hand) = (twin.owners, twin.operators[0])
        let owner = FoldLedger.key(70)
        let helper = FoldLedger.key(71)
        func submit(_ keys: TwinKeys, _ version: Int64 = 2, by signers: [SigningKey]) -> Code {
            ledger.submit(
                .twinKeys(TwinKeysBody(keys: keys, version: version)),
                as: twin.id,
                by: signers[0],
                with: Array(signers.dropFirst())
            )
        }
        let keys = TwinKeys(owner: [owner.publicKey], operators: [helper.publicKey, hand.publicKey])
        #expect(submit(keys, by: [old[0], owner, helper]) == .signatureMissing)
        #expect(submit(keys, by: [old[0], old[1], owner]) == .signatureMissing)
        #expect(submit(keys, by: [old[0], old[1], helper]) == .signatureMissing)
        #expect(submit(keys, by: [owner, old[0], old[1], helper]) == .signerUnknown)
        #expect(submit(keys, by: [hand, old[0], old[1], owner, helper]) == .signerForbidden)
        // A key that stays an operator is neither old owner, nor new owner, nor added.
        #expect(submit(keys, by: [old[0], old[1], owner, helper, hand]) == .signatureUnexpected)
        #expect(submit(keys, 3, by: [old[0], old[1], owner, helper]) == .versionMismatch)
        #expect(submit(keys, by: [old[0], old[1], owner, helper]) == .ok)
        // An operator that becomes an owner is not added, but counts as a new owner.
        let promoted = TwinKeys(owner: [hand.publicKey])
        #expect(submit(promoted, 3, by: [owner]) == .signatureMissing)
        #expect(submit(promoted, 3, by: [owner, hand]) == .ok)
    }

    @Test("a lane goes on where it was when its key leaves and returns")
    func lanes() {
        var ledger = FoldLedger()
        let twin = ledger.twin(owners: 1, operators: 1)
        let hand = twin.operators[0]
        #expect(ledger.submit(.nameCreate(NameCreateBody(name: "one")), as: twin.id, by: hand) == .ok)
        let without = TwinKeys(owner: [twin.owner.publicKey])
        let with = TwinKeys(owner: [twin.owner.publicKey], operators: [hand.publicKey])
        #expect(ledger.submit(.twinKeys(TwinKeysBody(keys: without, version: 2)), as: twin) == .ok)
        #expect(ledger.submit(.nameCreate(NameCreateBody(name: "two")), as: twin.id, by: hand) == .signerUnknown)
        #expect(ledger.submit(.twinKeys(TwinKeysBody(keys: with, version: 3)), as: twin, with: [hand]) == .ok)
        let draft = EntryDraft(
            .nameCreate(NameCreateBody(name: "two")),
            ledger: ledger.id,
            account: twin.id,
            signer: hand.keyID,
            seq: 1,
            expires: ledger.now
        )
        #expect(ledger.fold(draft.signed(by: [hand])) == .seqReplay)
        #expect(ledger.submit(.nameCreate(NameCreateBody(name: "two")), as: twin.id, by: hand) == .ok)
    }

    @Test("an entry whose rule fails has used its number")
    func failedRuleConsumes() {
        var ledger = FoldLedger()
        let twin = ledger.twin()
        func draft(_ seq: Int64, _ expires: Timestamp) -> Envelope {
            EntryDraft(
                .nameCreate(NameCreateBody(name: "www")),
                ledger: ledger.id,
                account: twin.id,
                signer: twin.owner.keyID,
                seq: seq,
                expires: expires
            ).signed(by: [twin.owner])
        }
        let now = ledger.now
        #expect(ledger.fold(draft(2, now)) == .seqGap)
        #expect(ledger.fold(draft(1, now - 1)) == .txExpired)
        #expect(ledger.fold(draft(1, now + 2_592_001)) == .txExpiresFar)
        #expect(ledger.state.lane(account: twin.id, key: twin.owner.keyID) == 0)
        #expect(ledger.fold(draft(1, now + 2_592_000)) == .nameReserved)
        #expect(ledger.fold(draft(1, now)) == .seqReplay)
    }

    @Test("a delegate is no key of the twin, and there are 16 of them")
    func delegates() {
        var ledger = FoldLedger()
        let twin = ledger.twin(owners: 1, operators: 1)
        func delegate(_ key: SigningKey, until time: Timestamp) -> EntryBody {
            .twinDelegate(Delegation(key: key.publicKey, types: [.nameCreate], notAfter: time))
        }
        let later = ledger.now + 500
        #expect(ledger.submit(delegate(twin.operators[0], until: 0), as: twin) == .delegateKey)
        #expect(ledger.submit(delegate(twin.owner, until: later), as: twin) == .delegateKey)
        let keys = (0..<17).map { FoldLedger.key(80 + $0) }
        #expect(ledger.submit(delegate(keys[0], until: ledger.now), as: twin) == .delegateWindow)
        for key in keys.prefix(16) { #expect(ledger.submit(delegate(key, until: later), as: twin) == .ok) }
        #expect(ledger.submit(delegate(keys[16], until: later), as: twin) == .quotaExceeded)
        // Replacing a row is not a new one.
        #expect(ledger.submit(delegate(keys[3], until: later + 100), as: twin) == .ok)
        let body = TwinKeysBody(keys: TwinKeys(owner: [twin.owner.publicKey, keys[1].publicKey]), version: 2)
        #expect(ledger.submit(.twinKeys(body), as: twin, with: [keys[1]]) == .delegateKey)
        #expect(ledger.submit(.twinUndelegate(TwinUndelegateBody(key: keys[1].keyID)), as: twin) == .ok)
        #expect(ledger.submit(.twinUndelegate(TwinUndelegateBody(key: keys[1].keyID)), as: twin) == .delegateUnknown)
        #expect(ledger.submit(.twinKeys(body), as: twin, with: [keys[1]]) == .ok)
        // The tick at not_after ends fifteen; the replaced one lives on.
        ledger.advance(to: later)
        #expect(ledger.state.delegations(twin: twin.id).map(\.0) == [keys[3].keyID])
        #expect(ledger.submit(.nameCreate(NameCreateBody(name: "one")), as: twin.id, by: keys[2]) == .signerUnknown)
        #expect(ledger.submit(.nameCreate(NameCreateBody(name: "one")), as: twin.id, by: keys[3]) == .ok)
    }

    @Test("a delegate stays within its types, contracts and names")
    func delegateScope() {
        var ledger = FoldLedger()
        let farmer = ledger.twin()
        let farm = ledger.farm("farm-a", of: farmer)
        let node = ledger.node(of: farmer, farm: farm)
        let user = ledger.twin()
        let names = ["alpha", "beta"].map { ledger.name($0, of: user) }
        let spec = ledger.spec([node], [FoldLedger.expose(host: "x.example.net")])
        let contracts = (0..<2).map { _ in ledger.contract(spec, of: user) }
        let key = FoldLedger.key(90)
        let delegation = Delegation(
            key: key.publicKey,
            types: [.contractCancel, .contractCreate, .contractUpdate, .nameRelease],
            notAfter: ledger.now + 10_000,
            contracts: [contracts[0]],
            names: [names[0]]
        )
        #expect(ledger.submit(.twinDelegate(delegation), as: user) == .ok)
        func act(_ body: EntryBody) -> Code { ledger.submit(body, as: user.id, by: key) }
        func create(_ used: [Identifier]?) -> EntryBody {
            var spec = spec
            spec.nameContracts = used
            return .contractCreate(ContractCreateBody(spec: spec))
        }
        func update(_ contract: Identifier, _ version: Int64, _ used: [Identifier]?) -> EntryBody {
            var spec = spec
            spec.nameContracts = used
            spec.version = version
            return .contractUpdate(ContractUpdateBody(contract: contract, spec: spec))
        }
        #expect(act(.nameCreate(NameCreateBody(name: "gamma"))) == .signerForbidden)
        #expect(act(.nameRelease(NameReleaseBody(name: names[1]))) == .signerForbidden)
        #expect(act(.twinUndelegate(TwinUndelegateBody(key: key.keyID))) == .signerForbidden)
        #expect(act(create(names.sorted())) == .signerForbidden)
        #expect(act(create(nil)) == .ok)
        #expect(act(create([names[0]])) == .ok)
        #expect(act(update(contracts[1], 2, nil)) == .signerForbidden)
        #expect(act(update(contracts[0], 2, [names[1]])) == .signerForbidden)
        #expect(act(update(contracts[0], 2, [names[0]])) == .ok)
        #expect(act(.nameRelease(NameReleaseBody(name: names[0]))) == .nameInUse)
        #expect(act(.contractCancel(ContractCancelBody(contract: contracts[1]))) == .signerForbidden)
        #expect(act(.contractCancel(ContractCancelBody(contract: contracts[0]))) == .ok)
    }
}
