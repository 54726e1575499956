import Foundation
import Testing

@testable import gw_node

@Suite("The status of a gateway")
struct StatusDocumentTests {
    @Test("is printed also before the gateway has verified anything")
    func unverified() throws {
        let body = #"{"generation":0,"ledger":{"condition":"normal","size":0},"node":"ab","routes":[],"sessions":[]}"#
        let document = try JSONDecoder().decode(StatusDocument.self, from: Data(body.utf8))
        #expect(document.text.contains("nothing verified yet"))
    }
}
