import Contracts
import Testing

@Suite("Fold: names and hosts")
struct FoldNameTests {
    @Test("names are unique, not reserved and not more than the limit")
    func create() {
        var ledger = FoldLedger()
        let (a, b) = (ledger.twin(), ledger.twin())
        for name in ["one", "two", "three"] { _ = ledger.name(name, of: a) }
        func create(_ name: String, _ account: FoldLedger.Account) -> Code {
            ledger.submit(.nameCreate(NameCreateBody(name: name)), as: account)
        }
        #expect(create("www", a) == .nameReserved)
        #expect(create("one", a) == .nameTaken)
        #expect(create("four", a) == .quotaExceeded)
        #expect(create("one", b) == .nameTaken)
        #expect(create("four", b) == .ok)
    }

    @Test("a released name is free again, with a new id")
    func release() {
        var ledger = FoldLedger()
        let (a, b) = (ledger.twin(), ledger.twin())
        let id = ledger.name("one", of: a)
        #expect(ledger.submit(.nameRelease(NameReleaseBody(name: ledger.id)), as: a) == .nameUnknown)
        #expect(ledger.submit(.nameRelease(NameReleaseBody(name: id)), as: b) == .nameForbidden)
        #expect(ledger.submit(.nameRelease(NameReleaseBody(name: id)), as: a) == .ok)
        #expect(ledger.submit(.nameRelease(NameReleaseBody(name: id)), as: a) == .nameUnknown)
        let again = ledger.name("one", of: b)
        #expect(again != id)
        #expect(ledger.state.name(named: "one")?.0 == again)
    }

    @Test("a transfer needs the receiver's signature, room and a name that is not in use")
    func transfer() {
        var ledger = FoldLedger()
        let a = ledger.twin()
        let b = ledger.twin(owners: 2, operators: 1)
        let node = ledger.node(of: a, farm: ledger.farm("farm-a", of: a))
        let names = ["one", "two", "three"].map { ledger.name($0, of: a) }
        func transfer(_ name: Identifier, to: Identifier, with others: [SigningKey]) -> Code {
            ledger.submit(.nameTransfer(NameTransferBody(name: name, to: to)), as: a, with: others)
        }
        #expect(transfer(names[0], to: b.id, with: []) == .signatureMissing)
        #expect(transfer(names[0], to: b.id, with: b.owners) == .signatureUnexpected)
        #expect(transfer(names[0], to: ledger.id, with: []) == .twinUnknown)
        #expect(transfer(ledger.id, to: b.id, with: [b.operators[0]]) == .nameUnknown)
        let spec = ledger.spec([node], [FoldLedger.expose(host: "one.gw.example.org")], names: [names[0]])
        let contract = ledger.contract(spec, of: a)
        #expect(transfer(names[0], to: b.id, with: [b.operators[0]]) == .nameInUse)
        #expect(ledger.submit(.contractCancel(ContractCancelBody(contract: contract)), as: a) == .ok)
        #expect(transfer(names[0], to: b.id, with: [b.operators[0]]) == .ok)
        #expect(ledger.state.name(names[0])?.owner == b.id)
        #expect(transfer(names[0], to: b.id, with: [b.owners[1]]) == .nameForbidden)
        for name in ["four", "five"] { _ = ledger.name(name, of: b) }
        #expect(transfer(names[1], to: b.id, with: [b.owners[1]]) == .quotaExceeded)
        // The sender's room grew by the name that it gave away.
        _ = ledger.name("six", of: a)
        #expect(ledger.submit(.nameCreate(NameCreateBody(name: "seven")), as: a) == .quotaExceeded)
    }

    @Test(
        "a managed host belongs to the label before the longest domain",
        arguments: [
            ("shop.gw.example.org", ["shop"], Code.ok),
            ("a.shop.gw.example.org", ["shop"], .ok),
            ("*.shop.gw.example.org", ["shop"], .ok),
            ("*.a.shop.gw.example.org", ["shop"], .ok),
            ("shop.gw.example.org", ["other"], .nameRequired),
            ("shop.a.gw.example.org", ["shop"], .nameRequired),
            ("gw.example.org", ["shop"], .hostReserved),
            ("*.gw.example.org", ["shop"], .hostReserved),
            ("shop.eu.gw.example.org", ["shop"], .ok),
            ("eu.gw.example.org", ["shop"], .hostReserved),
            ("x.eu.gw.example.org", ["shop"], .nameRequired),
            ("shopgw.example.org", [], .ok),
            ("xgw.example.org", [], .ok),
            ("example.org", [], .ok),
            ("*.example.org", [], .ok),
            ("www.shop.example.net", [], .ok),
        ]
    )
    func managedHosts(host: String, names: [String], expected: Code) {
        var ledger = FoldLedger()
        let a = ledger.twin()
        let farm = ledger.farm("farm-a", of: a)
        let node = ledger.node(of: a, farm: farm, domains: ["eu.gw.example.org", "gw.example.org"])
        let ids = names.map { ledger.name($0, of: a) }
        let spec = ledger.spec([node], [FoldLedger.expose(host: host)], names: ids.isEmpty ? nil : ids)
        #expect(ledger.submit(.contractCreate(ContractCreateBody(spec: spec)), as: a) == expected)
    }
}
