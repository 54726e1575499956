import HashTreeCollections

/// Everything that a node may serve at a time: a pure function of state, node and time (section 12.1).
public struct RouteTable: Hashable, Sendable {
    public let node: Identifier

    /// Ascending by canonical bytes.
    public let routes: [Route]

    /// The table of a node at a time; empty when the node is unknown or retired.
    public init(state: ContractState, node: Identifier, at time: Timestamp) {
        self.node = node
        routes = Self.ascending(Self.routes(state, node, time))
    }

    /// Sorts routes by their canonical bytes.
    ///
    /// Texts of one table begin alike for a hundred bytes and more, so they are compared eight bytes at a time. No text
    /// has a zero byte, so padding with zeros keeps the order.
    private static func ascending(_ routes: [Route]) -> [Route] {
        let keys = routes.indices.map { (words: words(of: routes[$0].canonical), index: $0) }
        return keys.sorted { precedes($0.words, $1.words) }.map { routes[$0.index] }
    }

    private static func words(of text: [UInt8]) -> [UInt64] {
        var words: [UInt64] = []
        words.reserveCapacity((text.count + 7) / 8)
        var word: UInt64 = 0
        for index in 0..<text.count {
            word = word << 8 | UInt64(text[index])
            if index % 8 == 7 { words.append(word) }
        }
        if text.count % 8 > 0 { words.append(word << UInt64(64 - text.count % 8 * 8)) }
        return words
    }

    private static func precedes(_ left: [UInt64], _ right: [UInt64]) -> Bool {
        let shared = min(left.count, right.count)
        for index in 0..<shared where left[index] != right[index] { return left[index] < right[index] }
        return left.count < right.count
    }

    /// The canonical JSON of the table.
    public var canonical: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(contentsOf: #"{"node":""#.utf8)
        node.appendHex(to: &bytes)
        bytes.append(contentsOf: #"","routes":["#.utf8)
        for (index, route) in routes.enumerated() {
            if index > 0 { bytes.append(0x2C) }
            bytes.append(contentsOf: route.canonical)
        }
        bytes.append(contentsOf: #"],"v":1}"#.utf8)
        return bytes
    }

    /// The route digest: SHA-256 of the canonical table.
    public var digest: Digest { .sha256(canonical) }

    private static func routes(_ state: ContractState, _ node: Identifier, _ time: Timestamp) -> [Route] {
        guard let maker = RouteMaker(state: state, node: node) else { return [] }
        let contracts = (state.indexes.contractsByNode[node] ?? []).compactMap { maker.contract($0, at: time) }
        var claims: [String: (count: Int, last: Identifier)] = [:]
        /// The rank of a contract among those that claim a host; they come in the order of their creation.
        func rank(of host: String, for contract: Identifier) -> Int {
            guard let claim = claims[host] else {
                claims[host] = (1, contract)
                return 0
            }
            if claim.last != contract { claims[host] = (claim.count + 1, contract) }
            return claim.last == contract ? claim.count - 1 : claim.count
        }
        return contracts.sorted { $0.row.index < $1.row.index }.flatMap { contract in
            maker.routes(of: contract) { rank(of: $0, for: contract.id) }
        }
    }
}
