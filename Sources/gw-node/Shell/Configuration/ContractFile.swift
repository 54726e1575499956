import Contracts

/// `contract.yaml`: what a user wants to expose, where, and for how long.
///
/// Reading it checks everything that the file alone can decide, so that the complaint names the line. What needs the
/// ledger (gateways by name, name contracts, the window, limits from offers) is decided by `spec(in:owner:version:)`.
struct ContractFile {
    /// A word of the file that only the ledger can explain, and where it stands.
    struct Reference {
        var text: String
        var place: ConfigurationValue
    }

    /// What the file says about limits; absent ones come from the offers of the gateways.
    struct Limits {
        var connections: Int64?
        var bitsPerSecond: Int64?
        var connectionRate: Int64?
        var bytesPerPeriod: Int64?
        var period: Int64?
    }

    let path: String
    var gateways: [Reference] = []
    var connection = ConnectionMode.reverseTLS
    var backends: [Backend] = []
    var exposes: [Expose] = []
    var names: [Reference] = []
    var limits = Limits()
    /// Length of the live window in seconds, where `not_after` is not given.
    var valid: Int64?
    var validPlace: ConfigurationValue?
    var notBefore: Timestamp?
    var notAfter: Timestamp?
    var maxStale: Int64?
    var drain: Int64?

    init(_ path: String) throws(CommandFailure) {
        try self.init(ConfigurationFile(path, as: "the contract file"))
    }

    init(_ file: ConfigurationFile) throws(CommandFailure) {
        path = file.path
        let top = try file.root.members([
            "gateways", "conn", "backends", "expose", "names", "limits", "valid", "not_before", "not_after",
            "max_stale", "drain",
        ])
        gateways = try Self.references(top.required("gateways", of: file.root), 1...16)
        if let value = top["conn"] { connection = try value.word([.reverseTLS, .reverseRaw, .overlay]) }
        backends = try BackendReader(isOverlay: connection == .overlay).read(top.required("backends", of: file.root))
        exposes = try ExposeReader(connection: connection, backendIDs: backends.map(\.id))
            .read(top.required("expose", of: file.root))
        if let value = top["names"] { names = try Self.references(value, 0...16) }
        if let value = top["limits"] { limits = try Limits(value) }
        valid = try top["valid"]?.seconds(1...315_360_000)
        validPlace = top["valid"]
        notBefore = try top["not_before"]?.time()
        notAfter = try top["not_after"]?.time()
        if let place = top["not_after"], valid != nil {
            throw place.failure("and `valid` both say when the contract ends; keep one of them")
        }
        if let place = top["not_after"], let notBefore, let notAfter, notAfter <= notBefore {
            throw place.failure("must be later than `not_before`")
        }
        maxStale = try top["max_stale"]?.seconds(300...1_209_600)
        drain = try top["drain"]?.seconds(0...3600)
    }

    private static func references(
        _ list: ConfigurationValue,
        _ count: ClosedRange<Int>
    ) throws(CommandFailure) -> [Reference] {
        var result: [Reference] = []
        for element in try list.list() { result.append(Reference(text: try element.string(), place: element)) }
        guard count.contains(result.count) else {
            throw list.failure("must have \(count.lowerBound) to \(count.upperBound) elements")
        }
        return result
    }
}

extension ContractFile.Limits {
    init(_ value: ConfigurationValue) throws(CommandFailure) {
        let members = try value.members(["conns", "bps", "conn_rate", "bytes_period", "period"])
        connections = try members["conns"]?.integer(1...10_000_000)
        bitsPerSecond = try members["bps"]?.bitsPerSecond()
        connectionRate = try members["conn_rate"]?.integer(1...1_000_000)
        bytesPerPeriod = try members["bytes_period"]?.byteCount(1...(1 << 53 - 1))
        period = try members["period"]?.seconds(3600...31_622_400)
        if (bytesPerPeriod == nil) != (period == nil) {
            throw value.failure("must have `bytes_period` and `period` together, or neither")
        }
    }
}

/// The `backends:` part of a contract file.
struct BackendReader {
    let isOverlay: Bool

    func read(_ list: ConfigurationValue) throws(CommandFailure) -> [Backend] {
        var result: [Backend] = []
        for element in try list.list() {
            let members = try element.members(["id", isOverlay ? "address" : "key", "weight"])
            let id = try members.required("id", of: element).label()
            let weight = try members["weight"]?.integer(1...1000) ?? 100
            let target: Backend.Target
            if isOverlay {
                let place = try members.required("address", of: element)
                let text = try place.string()
                guard Backend.isOverlayAddress(text) else {
                    throw place.failure(
                        "must be an address of the Planetary network with its port, in 0200::/7 or 0400::/7 and as short as it can be "
                            + "written, such as \"[200:db8::2]:8080\"; other networks, IPv4 and names are refused"
                    )
                }
                target = .address(text)
            } else {
                target = .key(try members.required("key", of: element).publicKey())
            }
            if result.contains(where: { $0.id == id }) {
                throw element.failure("uses the backend id \(id) a second time; ids must differ")
            }
            if let twin = result.first(where: { $0.target == target }) {
                throw element.failure("has the same key or address as backend \(twin.id); replicas need their own")
            }
            result.append(Backend(id: id, target: target, weight: weight))
        }
        guard (1...32).contains(result.count) else { throw list.failure("must have 1 to 32 backends") }
        return result.sorted { precedes($0.id, $1.id) }
    }
}

/// Byte order, as the protocol sorts; never the Unicode order of Swift strings.
func precedes(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}
