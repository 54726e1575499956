import ArgumentParser
import Contracts
import Ledger

extension AuditCommand {
    struct Evidence: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "evidence",
            abstract:
                "Verify a proof that a ledger signed two histories; with a pack or a folder no network is needed.",
            discussion: """
                The ledger's keys come from a log that begins with the pinned genesis (--ledger: a pack, a ledger's
                directory or a URL), or from you (--keys).

                Exit codes: 0 proven, 1 not proven.

                Example:
                  gw-node audit evidence fork.json --ledger-id HEX --ledger fixtures/packs/public
                  gw-node audit evidence fork.json --ledger-id HEX --keys ledger.example.org+1234abcd+AZ...
                  gw-node audit evidence fork.json --ledger-id HEX --ledger https://ledger.example.org --submit --key auditor.key
                """
        )

        @Argument(help: ArgumentHelp("The evidence.", valueName: "file"))
        var file: String

        @Option(
            name: .customLong("keys"),
            help: ArgumentHelp("A key that signed for the ledger; repeatable.", valueName: "vkey")
        )
        var keys: [String] = []

        @Flag(help: "Record the proof on the ledger, signed by an auditor's key.")
        var submit = false

        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard ledger.ledgerID != nil else {
                throw ValidationError("give --ledger-id HEX, the id that the ledger's operator published")
            }
            guard keys.isEmpty != ledger.ledgers.isEmpty else {
                throw ValidationError("give --ledger PACK|DIR|URL or --keys VKEY, where the ledger's keys come from")
            }
            guard !submit || (!ledger.ledgers.isEmpty && ledger.ledgers.allSatisfy(LedgerSettings.isURL)) else {
                throw ValidationError("--submit needs the ledger's URL: --ledger https://...")
            }
        }

        func run() async throws {
            let id = try IdentifierArgument.read(ledger.ledgerID ?? "", "ledger")
            let bytes = try Files.read(file, limit: ForkEvidence.longest, as: "the evidence")
            let audit = try await judge(bytes, id)
            if audit.result == .ok, submit, let proof = audit.evidence {
                try await LedgerSession.run(ledger, signing, common) { session in
                    let entry = try await session.submit { _, _ in
                        .evidenceFork(
                            EvidenceForkBody(
                                a: TreeHead(root: proof.a.root, size: Int64(proof.a.size)),
                                b: TreeHead(root: proof.b.root, size: Int64(proof.b.size)),
                                digest: audit.digest
                            )
                        )
                    }
                    common.output.result(entry.json, text: "recorded as \(entry.text)")
                }
                return
            }
            common.output.result(.encoded(audit.json.canonical), text: text(audit))
            Posix.exitNow((audit.result == .ok ? ExitStatus.done : .refused).rawValue)
        }

        private func judge(_ bytes: [UInt8], _ id: Identifier) async throws -> AuditEvidence {
            guard let place = ledger.ledgers.first else {
                var chain = KeyChain()
                for text in keys {
                    guard let key = VerifierKey(text, type: VerifierKey.noteType) else {
                        throw CommandFailure(
                            .usage,
                            "--keys \(text) is no verifier key; it has the form NAME+HASH+BASE64"
                        )
                    }
                    chain.add([key])
                }
                return AuditEvidence(bytes, keyChain: chain)
            }
            let log = try AuditedLog(place, common)
            defer { log.close() }
            let progress = AuditProgress()
            defer { progress.finish() }
            return try await AuditEvidence.run(
                bytes,
                log: log.source,
                options: AuditOptions(ledgerID: id, dev: ledger.isDevelopment, localNow: Posix.now()),
                progress: progress.show
            )
        }

        private func text(_ audit: AuditEvidence) -> String {
            guard let proof = audit.evidence else { return "not proven: \(file) is no file of fork evidence" }
            var lines = [
                "evidence  \(audit.digest)", "origin    \(proof.a.origin)",
                "a         size \(proof.a.size), root \(proof.a.root)",
                "b         size \(proof.b.size), root \(proof.b.root)",
            ]
            guard audit.result == .ok else {
                lines.append("not proven: the ledger's keys did not sign two histories in this file")
                return lines.joined(separator: "\n")
            }
            lines.append(
                proof.a.size == proof.b.size
                    ? "proven: the ledger signed two roots of one size"
                    : "proven: the ledger signed b, whose first \(proof.a.size) entries have the root "
                        + "\(proof.prefixRoot), and a, which says otherwise"
            )
            if let history = audit.historyAtHand {
                lines.append("the log at hand is the history of \(history.rawValue)")
            }
            return lines.joined(separator: "\n")
        }
    }
}
