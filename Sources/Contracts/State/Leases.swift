import HashTreeCollections

/// The port ranges that contracts hold at gateways (rule C6).
///
/// Ranges of one kind that are held at one gateway never overlap, so each list, ascending by first port, is ascending
/// by last port too.
struct Leases: Sendable {
    private struct Place: Hashable, Sendable {
        var node: Identifier
        var kind: ExposeKind
    }

    private struct Lease: Sendable {
        var range: PortRange
        var contract: Identifier
    }

    private var held: TreeDictionary<Place, [Lease]> = [:]

    /// Whether the range overlaps one that another contract holds.
    func isTaken(_ range: PortRange, _ kind: ExposeKind, at node: Identifier, except contract: Identifier?) -> Bool {
        guard let leases = held[Place(node: node, kind: kind)] else { return false }
        var index = Self.firstIndex(in: leases, endingAtOrAfter: range.from)
        while index < leases.count, leases[index].range.from <= range.to {
            if leases[index].contract != contract { return true }
            index += 1
        }
        return false
    }

    mutating func hold(_ range: PortRange, _ kind: ExposeKind, at node: Identifier, for contract: Identifier) {
        let place = Place(node: node, kind: kind)
        let index = Self.firstIndex(in: held[place] ?? [], endingAtOrAfter: range.from)
        held[place, default: []].insert(Lease(range: range, contract: contract), at: index)
    }

    mutating func release(_ range: PortRange, _ kind: ExposeKind, at node: Identifier, for contract: Identifier) {
        let place = Place(node: node, kind: kind)
        guard let leases = held[place] else { return }
        let index = Self.firstIndex(in: leases, endingAtOrAfter: range.from)
        guard index < leases.count, leases[index].range == range, leases[index].contract == contract else { return }
        if leases.count == 1 { held[place] = nil } else { held[place, default: []].remove(at: index) }
    }

    private static func firstIndex(in leases: [Lease], endingAtOrAfter port: UInt16) -> Int {
        var low = 0
        var high = leases.count
        while low < high {
            let middle = (low + high) / 2
            if leases[middle].range.to < port { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
