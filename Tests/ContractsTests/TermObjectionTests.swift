import Contracts
import Testing

@Suite("What the ledger would refuse of a contract")
struct TermObjectionTests {
    @Test(
        "the first objection is the fold's code, and no objection is ok, over terms that break rules in every mixture"
    )
    func agreesWithTheFold() throws {
        var seen: Set<Code> = []
        for mixture in 0..<256 {
            var ledger = FoldLedger()
            let farmer = ledger.twin()
            let user = ledger.twin()
            let farm = ledger.farm("farm-a", of: farmer)
            func bit(_ place: Int) -> Bool { mixture >> place & 1 == 1 }
            let offer = FoldLedger.offer(
                conns: bit(0) ? 1 : 1000,
                kinds: bit(1) ? [.http] : [.http, .tcp],
                modes: bit(2) ? [.overlay] : [.reverseTLS],
                ports: [PortRange(from: 1000, to: 1999)]
            )
            let node = ledger.node(of: farmer, farm: farm, offer: offer)
            let name = ledger.name("shop", of: user)
            var names: Set<String> = []
            if bit(3), !bit(1) {
                let taken = ledger.spec([node], [FoldLedger.expose(tcp: PortRange(from: 1503, to: 1503))])
                _ = ledger.submit(.contractCreate(ContractCreateBody(spec: taken)), as: farmer)
            }
            var spec = ledger.spec(
                [node],
                [
                    FoldLedger.expose(tcp: PortRange(from: 1500, to: bit(4) ? 2020 : 1504)),
                    FoldLedger.expose(host: bit(5) ? "gw.example.org" : "shop.gw.example.org", id: "web"),
                ]
            )
            if bit(6) {
                spec.nameContracts = [name]
                names = ["shop"]
            }
            if bit(7) { spec.notAfter = ledger.now + 100_000_000_000 }
            let objections =
                ledger.state.objections(to: spec, account: user.id)
                + ledger.state.objections(to: spec, at: node, names: names)
            let code = ledger.submit(.contractCreate(ContractCreateBody(spec: spec)), as: user)
            #expect(objections.first?.code ?? .ok == code, "mixture \(mixture): \(objections)")
            seen.formUnion(objections.map(\.code))
        }
        #expect(
            seen.isSuperset(of: [
                .contractWindow, .offerKind, .offerMode, .offerExceeded, .hostReserved, .nameRequired, .portNotOffered,
                .portTaken,
            ])
        )
    }
}
