import Contracts

/// `offer.yaml`: what a gateway node takes on, and for how much.
struct OfferFile {
    let offer: Offer

    /// What is offered when the farmer names no file: everything that this version serves, free of charge.
    static let standard = Offer(
        bps: 1_000_000_000,
        conns: 10_000,
        kinds: [.http, .tcp, .tls, .udp],
        modes: [.overlay, .reverseRaw, .reverseTLS],
        // XXX is ISO 4217's code for "no currency".
        price: Price(currency: "XXX", gib: "0", hour: "0"),
        tcp: [PortRange(from: 20_000, to: 29_999)],
        udp: [PortRange(from: 20_000, to: 29_999)]
    )

    init(_ path: String) throws(CommandFailure) {
        try self.init(ConfigurationFile(path, as: "the offer file"))
    }

    init(_ file: ConfigurationFile) throws(CommandFailure) {
        let top = try file.root.members(["accept", "bps", "conns", "kinds", "modes", "price", "tcp", "udp"])
        var offer = Self.standard
        if let value = top["accept"] { offer.accept = try value.word([.offer, .cosign]) }
        if let value = top["bps"] { offer.bps = try value.bitsPerSecond() }
        if let value = top["conns"] { offer.conns = try value.integer(1...10_000_000) }
        if let value = top["kinds"] { offer.kinds = try Self.words(value, ExposeKind.allCases) }
        if let value = top["modes"] { offer.modes = try Self.words(value, ConnectionMode.allCases) }
        if let value = top["price"] { offer.price = try Self.price(value) }
        offer.tcp = try Self.ports("tcp", offer.kinds.contains(.tcp), top["tcp"], offer.tcp, file.root)
        // A file that names the kinds names the UDP ports too.
        let standard = top["kinds"] == nil ? offer.udp : nil
        offer.udp = try Self.ports("udp", offer.kinds.contains(.udp), top["udp"], standard, file.root)
        self.offer = offer
    }

    private static func ports(
        _ kind: String,
        _ isOffered: Bool,
        _ value: ConfigurationValue?,
        _ standard: [PortRange]?,
        _ root: ConfigurationValue
    ) throws(CommandFailure) -> [PortRange]? {
        if let value {
            guard isOffered else { throw value.failure("needs `\(kind)` in `kinds`") }
            return try value.portRanges(widest: .max)
        }
        guard isOffered else { return nil }
        guard let standard else {
            throw root.failure("offers the kind \(kind) but no ports: add `\(kind): [20000-20999]`")
        }
        return standard
    }

    private static func words<Word: RawRepresentable<String> & Equatable>(
        _ list: ConfigurationValue,
        _ known: [Word]
    ) throws(CommandFailure) -> [Word] {
        var chosen: [Word] = []
        for element in try list.list() {
            let word = try element.word(known)
            if chosen.contains(word) { throw element.failure("stands twice in the list; keep one") }
            chosen.append(word)
        }
        guard !chosen.isEmpty else {
            throw list.failure("must name at least one of \(known.map(\.rawValue).joined(separator: ", "))")
        }
        return chosen.sorted { precedes($0.rawValue, $1.rawValue) }
    }

    private static func price(_ value: ConfigurationValue) throws(CommandFailure) -> Price {
        let members = try value.members(["currency", "gib", "hour"])
        let place = try members.required("currency", of: value)
        let currency = try place.string()
        guard Grammar.isUpperCase(currency, 3...5) else {
            throw place.failure("must be 3 to 5 upper-case letters such as EUR")
        }
        return Price(
            currency: currency,
            gib: try amount(members.required("gib", of: value)),
            hour: try amount(members.required("hour", of: value))
        )
    }

    private static func amount(_ place: ConfigurationValue) throws(CommandFailure) -> String {
        let text = try place.string()
        guard Grammar.isDecimal(text) else { throw place.failure("must be an amount such as 0.02") }
        return text
    }
}
