import ArgumentParser
import Contracts
import Gateway

/// Where the exposures of one contract lead.
struct TargetOptions: ParsableArguments {
    @Option(
        name: .customLong("forward"),
        help: ArgumentHelp("Where an exposure leads; repeatable.", valueName: "exposure=[tls://]host:port|unix:path")
    )
    var forwards: [String] = []
    @Option(
        name: .customLong("check"),
        help: ArgumentHelp(
            "How to find out whether the service of an exposure works; repeatable.",
            valueName: "exposure=tcp|http:/path"
        )
    )
    var checks: [String] = []
    @Option(
        name: .customLong("tls-ca"),
        help: ArgumentHelp(
            "PEM file of who may have issued the certificate behind tls://, in place of the system's roots; repeatable.",
            valueName: "exposure=file"
        )
    )
    var authorities: [String] = []
    @Option(
        name: .customLong("tls-pin"),
        help: ArgumentHelp(
            "SHA-256 of the certificate behind tls://, or of its public key, whoever issued it; repeatable.",
            valueName: "exposure=sha256:hex"
        )
    )
    var pins: [String] = []
    @Option(
        name: .customLong("tls-name"),
        help: ArgumentHelp(
            "What the certificate behind tls:// names, when it is not the host of the target; repeatable.",
            valueName: "exposure=name"
        )
    )
    var names: [String] = []

    var isEmpty: Bool { [forwards, checks, authorities, pins, names].allSatisfy(\.isEmpty) }

    /// The targets by exposure; an error names the flag and its rule. Reads the CA files.
    func targets() throws -> [String: ForwardTarget] {
        guard !forwards.isEmpty else {
            throw ValidationError(
                "give --forward EXPOSURE=HOST:PORT at least once, such as --forward web=127.0.0.1:8080"
            )
        }
        var result: [String: ForwardTarget] = [:]
        for forward in forwards {
            guard let (exposure, text) = Self.parts(forward), Grammar.isLabel(exposure),
                let target = ForwardTarget(text)
            else {
                throw ValidationError(
                    "--forward \(forward) must be EXPOSURE=HOST:PORT, EXPOSURE=tls://HOST:PORT or EXPOSURE=unix:PATH"
                )
            }
            guard result[exposure] == nil else {
                throw ValidationError("--forward names the exposure \(exposure) twice; give it once")
            }
            result[exposure] = target
        }
        for check in checks {
            guard let (exposure, text) = Self.parts(check), let kind = HealthCheck.Kind(text) else {
                throw ValidationError("--check \(check) must be EXPOSURE=tcp or EXPOSURE=http:/PATH")
            }
            guard result[exposure] != nil else { throw Self.stray("--check", exposure) }
            result[exposure]?.check = HealthCheck(kind)
        }
        for (exposure, settings) in try trust() {
            guard let target = result[exposure] else { throw Self.stray("--tls-…", exposure) }
            guard target.trust != nil else {
                throw ValidationError("--tls-… of the exposure \(exposure) \(TrustSettings.targetRule)")
            }
            result[exposure]?.trust = try settings.trustOfFlags({ "\(Self.flag($0)) of the exposure \(exposure)" })
        }
        return result
    }

    private func trust() throws -> [String: TrustSettings] {
        var result: [String: TrustSettings] = [:]
        for text in authorities {
            let (exposure, file) = try Self.named("--tls-ca", text, "FILE")
            result[exposure, default: TrustSettings()].authorityFile = file
        }
        for text in pins {
            let (exposure, pin) = try Self.named("--tls-pin", text, "sha256:HEX")
            result[exposure, default: TrustSettings()].pins.append(pin)
        }
        for text in names {
            let (exposure, name) = try Self.named("--tls-name", text, "NAME")
            result[exposure, default: TrustSettings()].name = name
        }
        return result
    }

    private static func named(_ flag: String, _ text: String, _ form: String) throws -> (String, String) {
        guard let (exposure, value) = parts(text), !value.isEmpty else {
            throw ValidationError("\(flag) \(text) must be EXPOSURE=\(form)")
        }
        return (exposure, value)
    }

    private static func parts(_ text: String) -> (String, String)? {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return parts.count == 2 ? (parts[0], parts[1]) : nil
    }

    private static func stray(_ flag: String, _ exposure: String) -> ValidationError {
        ValidationError("\(flag) names the exposure \(exposure), which has no --forward; add one")
    }

    static func flag(_ subject: TrustSettings.Subject) -> String {
        switch subject {
        case .authorities: "--tls-ca"
        case .pin: "--tls-pin"
        case .name: "--tls-name"
        }
    }
}
