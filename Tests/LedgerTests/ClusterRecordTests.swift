import Contracts
import Testing

@testable import Ledger

@Suite("Values of a cluster in etcd")
struct ClusterRecordTests {
    static let ledger = Digest.sha256([1])

    static let records: [ClusterRecord] = [
        .genesis(Array("leaf".utf8)),
        .head(head(7)),
        .batch(ClusterRecord.Batch(author: MemberID(), base: head(7), head: head(9), leaves: [[1, 2, 3], []])),
        .guarded(size: 9, root: .sha256([9])),
        .member(position: 9, url: "http://127.0.0.1:8080"),
    ]

    private static func head(_ size: UInt64) -> ClusterRecord.Head {
        ClusterRecord.Head(size: size, root: .sha256([UInt8(size)]), outcomeRoot: .sha256([UInt8(size), 1]))
    }

    @Test("come back as they were written, and a changed, cut or longer one is refused", arguments: records)
    func roundTrip(record: ClusterRecord) throws {
        let bytes = record.bytes(of: Self.ledger)
        #expect(try ClusterRecord(bytes, of: Self.ledger, at: "key") == record)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x20
            refuse(changed, Self.ledger)
            refuse(Array(bytes[..<index]), Self.ledger)
        }
        refuse(bytes + [0], Self.ledger)
        refuse(bytes, .sha256([2]))
    }

    @Test("with a right sum and wrong fields are refused")
    func fields() {
        func summed(_ body: [UInt8]) -> [UInt8] { body + Digest.sha256(body).bytes }
        let mark = Array("WGC".utf8)
        refuse(summed(mark + [1, 9] + Self.ledger.bytes), Self.ledger)
        refuse(summed(mark + [2, 0] + Self.ledger.bytes), Self.ledger)
        refuse(summed(mark + [1, 1] + Self.ledger.bytes + [1, 2, 3]), Self.ledger)
        // A batch that claims more leaves than it has, or none.
        for (base, size) in [(UInt64(7), UInt64(10)), (7, 7), (9, 7), (0, .max)] {
            let batch = ClusterRecord.Batch(
                author: MemberID(),
                base: Self.head(base == 0 ? 0 : base),
                head: ClusterRecord.Head(size: size, root: .zero, outcomeRoot: .zero),
                leaves: [[1], [2]]
            )
            refuse(ClusterRecord.batch(batch).bytes(of: Self.ledger), Self.ledger)
        }
    }

    private func refuse(_ bytes: [UInt8], _ ledger: Identifier, _ location: SourceLocation = #_sourceLocation) {
        #expect(throws: ClusterError.self, sourceLocation: location) {
            try ClusterRecord(bytes, of: ledger, at: "key")
        }
    }

    @Test("the largest batch fits into one request of etcd")
    func largest() {
        let limits = ServiceLimits()
        // Ticks that follow a long pause go in front of entries; a tick's leaf is below 800 bytes.
        let ticks = Array(repeating: [UInt8](repeating: 0, count: 800), count: TickSchedule.mostTicks)
        let entries = Array(repeating: [UInt8](repeating: 0, count: 16_384), count: limits.batchBytes / 16_384)
        let leaves = ticks + entries
        let batch = ClusterRecord.Batch(
            author: MemberID(),
            base: Self.head(0),
            head: ClusterRecord.Head(size: UInt64(leaves.count), root: .zero, outcomeRoot: .zero),
            leaves: leaves
        )
        #expect(ClusterRecord.batch(batch).bytes(of: Self.ledger).count < 1_572_864 - 4096)
    }
}
