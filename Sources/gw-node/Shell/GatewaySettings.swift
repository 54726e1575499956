import Contracts
import Gateway

/// What is in force for a gateway node: its file, with keys read and gaps filled.
struct GatewaySettings: Equatable {
    /// How long running visitors get to end after SIGTERM, in seconds; service managers wait longer than this.
    static let drainSeconds = 30

    let file: GatewayFile
    let ledger: LedgerReference
    let key: SigningKey
    let transportKey: SigningKey
    /// Key of the witness that this node is.
    let witnessKey: SigningKey?

    init(_ file: GatewayFile) throws(CommandFailure) {
        self.file = file
        ledger = try LedgerReference(file.ledger, state: file.state)
        key = try KeyFile.read(file.keyFile)
        if let transport = file.transportKeyFile {
            transportKey = try KeyFile.read(transport)
        } else {
            transportKey = key
        }
        if let witness = file.witness { witnessKey = try KeyFile.read(witness.keyFile) } else { witnessKey = nil }
    }

    static func == (left: GatewaySettings, right: GatewaySettings) -> Bool {
        left.file == right.file && left.key.keyID == right.key.keyID
            && left.transportKey.keyID == right.transportKey.keyID
            && left.witnessKey?.keyID == right.witnessKey?.keyID
    }

    /// Whether these settings can take the place of others while the process runs on.
    ///
    /// The verified copy of the ledger, who the node is, its loops and its admin socket belong to the whole life of a process.
    func mayReplace(_ other: GatewaySettings) -> Bool {
        ledger == other.ledger && file.node == other.file.node && key.keyID == other.key.keyID
            && transportKey.keyID == other.transportKey.keyID && loops == other.loops && file.admin == other.file.admin
            && file.witness == other.file.witness && witnessKey?.keyID == other.witnessKey?.keyID
    }

    var gateway: GatewayConfiguration {
        var configuration = GatewayConfiguration(node: file.node, transportKey: transportKey)
        configuration.http = file.http.map(\.text)
        configuration.https = file.https.map(\.text)
        configuration.tunnel = file.tunnel.map(\.text)
        configuration.ports = [file.ports]
        configuration.admin = file.admin
        configuration.loops = loops
        configuration.limits = file.limits
        return configuration
    }

    private var loops: Int { file.loops ?? Posix.processorCount() }

    // MARK: --check

    /// The effective configuration, in the form of the file; secrets are masked.
    var text: String {
        """
        ledger:
          urls: \(Self.list(ledger.urls))
          id: "\(ledger.id.hex)"
          dev: \(ledger.isDevelopment)
          mirrors: \(Self.list(ledger.others.mirrors))
          peers: \(Self.list(ledger.others.peers))
          witnesses: \(Self.list(ledger.others.witnesses))
          auditors: \(Self.list(ledger.others.auditors))
          checkpoint: \(ledger.checkpoint ?? "none")
          snapshot: \(ledger.startsFromSnapshot)
          paranoid: \(ledger.isParanoid)
        node:
          id: "\(file.node.hex)"
          key: \(file.keyFile)            # MASKED, public key \(key.publicKey.hex)
          transport_key: \(file.transportKeyFile ?? file.keyFile)  # MASKED, public key \(transportKey.publicKey.hex)
        state: \(ledger.stateFolder)
        bind:
          http: \(Self.list(file.http.map(\.text)))
          https: \(Self.list(file.https.map(\.text)))
          tunnel: \(Self.list(file.tunnel.map(\.text)))
          ports: "\(file.ports)"
          admin: \(file.admin.map { "\"unix:\($0)\"" } ?? "none")
          witness: \(Self.list(file.witness?.listen.map(\.text) ?? []))
        witness: \(witnessText)
        loops: \(loops)
        limits:
          connections: \(file.limits.connections)
          handshakes_per_second: \(file.limits.handshakesPerSecond)
          all_handshakes_per_second: \(file.limits.allHandshakesPerSecond)
          unknown_per_second: \(file.limits.unknownPerSecond)
          header_size: \(Quantities.text(bytes: Int64(file.limits.headerSize)))
          header_time: \(Quantities.text(.seconds(file.limits.headerSeconds)))
          slow_time: \(Quantities.text(.seconds(file.limits.slowSeconds)))
          idle: \(Quantities.text(.seconds(file.limits.idleSeconds)))
          stuck_bytes: \(Quantities.text(bytes: Int64(file.limits.stuckBytes)))
          overlay_recheck: \(Quantities.text(.seconds(file.limits.overlayRecheckSeconds)))
        usage:
          report_every: \(Quantities.text(.seconds(file.usage.reportSeconds)))
          confirm_every: \(Quantities.text(.seconds(file.usage.confirmSeconds)))
        """
    }

    var json: JSONText {
        .object([
            (
                "ledger",
                .object([
                    ("urls", .strings(ledger.urls)), ("id", .string(ledger.id.hex)),
                    ("dev", .boolean(ledger.isDevelopment)),
                    ("mirrors", .strings(ledger.others.mirrors)), ("peers", .strings(ledger.others.peers)),
                    ("witnesses", .strings(ledger.others.witnesses)), ("auditors", .strings(ledger.others.auditors)),
                    ("checkpoint", ledger.checkpoint.map { .string($0) } ?? .null),
                    ("snapshot", .boolean(ledger.startsFromSnapshot)), ("paranoid", .boolean(ledger.isParanoid)),
                ])
            ),
            (
                "node",
                .object([
                    ("id", .string(file.node.hex)), ("key", .string("MASKED")),
                    ("public_key", .string(key.publicKey.hex)),
                    ("transport_key", .string(transportKey.publicKey.hex)),
                ])
            ),
            ("state", .string(ledger.stateFolder)),
            (
                "bind",
                .object([
                    ("http", .strings(file.http.map(\.text))), ("https", .strings(file.https.map(\.text))),
                    ("tunnel", .strings(file.tunnel.map(\.text))), ("ports", .string(file.ports)),
                    ("admin", file.admin.map { .string("unix:\($0)") } ?? .null),
                ])
            ),
            ("witness", witnessJSON),
            ("loops", .integer(Int64(loops))),
            (
                "limits",
                .object([
                    ("connections", .integer(Int64(file.limits.connections))),
                    ("handshakes_per_second", .integer(Int64(file.limits.handshakesPerSecond))),
                    ("all_handshakes_per_second", .integer(Int64(file.limits.allHandshakesPerSecond))),
                    ("unknown_per_second", .integer(Int64(file.limits.unknownPerSecond))),
                    ("slow_time_seconds", .integer(Int64(file.limits.slowSeconds))),
                    ("header_size_bytes", .integer(Int64(file.limits.headerSize))),
                    ("header_time_seconds", .integer(Int64(file.limits.headerSeconds))),
                    ("idle_seconds", .integer(Int64(file.limits.idleSeconds))),
                    ("stuck_bytes", .integer(Int64(file.limits.stuckBytes))),
                    ("overlay_recheck_seconds", .integer(Int64(file.limits.overlayRecheckSeconds))),
                ])
            ),
            (
                "usage",
                .object([
                    ("report_every_seconds", .integer(file.usage.reportSeconds)),
                    ("confirm_every_seconds", .integer(file.usage.confirmSeconds)),
                ])
            ),
        ])
    }

    private var witnessText: String {
        guard let witness = file.witness, let witnessKey else { return "none" }
        return "{ name: \(witness.name), key: \(witness.keyFile) }  # MASKED, public key \(witnessKey.publicKey.hex)"
    }

    private var witnessJSON: JSONText {
        guard let witness = file.witness, let witnessKey else { return .null }
        return .object([
            ("name", .string(witness.name)), ("key", .string("MASKED")),
            ("public_key", .string(witnessKey.publicKey.hex)),
            ("bind", .strings(witness.listen.map(\.text))),
        ])
    }

    private static func list(_ values: [String]) -> String { JSONText.strings(values).text }
}

extension JSONText {
    static func strings(_ values: [String]) -> JSONText { .array(values.map(JSONText.string)) }
}
