import ArgumentParser
import Contracts
import Ledger

extension AuditCommand {
    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "diff",
            abstract: "Compare two logs of one ledger: where they part, what stands there, and who signed what.",
            discussion: """
                The entry is found by bisection over the hash tiles. Then both logs are folded: that gives codes, outcomes,
                whether each checkpoint has its quorum, and the proof of a fork when the ledger signed both.

                Exit codes: 0 equal, or one is the beginning of the other; 1 different or tampered; 69 a URL does not answer.

                Example:
                  gw-node audit diff https://ledger.example.org https://mirror.example.net --ledger-id HEX --evidence fork.json
                """
        )

        @Argument(help: ArgumentHelp("A pack, a ledger's directory, or a URL.", valueName: "a"))
        var first: String

        @Argument(help: ArgumentHelp("Another one.", valueName: "b"))
        var second: String

        @OptionGroup var pin: Pin

        @Flag(help: "Find the entry from a few tiles of each log, and fold nothing.")
        var quick = false

        @Option(help: ArgumentHelp("Write the proof here when the ledger signed both histories.", valueName: "file"))
        var evidence: String?

        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard !quick || evidence == nil else {
                throw ValidationError("--evidence needs the ledger's keys, which --quick does not read; leave one away")
            }
        }

        func run() async throws {
            let audit = try pin.audit()
            let a = try AuditedLog(first, common)
            defer { a.close() }
            let b = try AuditedLog(second, common)
            defer { b.close() }
            let progress = AuditProgress()
            let diff = try await AuditDiff.run(
                AuditDiff.Log(a.source, pack: a.pack),
                AuditDiff.Log(b.source, pack: b.pack),
                options: audit,
                isQuick: quick,
                progress: progress.show
            )
            progress.finish()
            if let evidence, let proof = diff.evidence {
                try Files.replace(evidence, proof.bytes, mode: 0o644, as: "the evidence")
            }
            common.output.result(.encoded(diff.json.canonical), text: text(diff))
            if let evidence, diff.evidence == nil, diff.relation == .different {
                common.output.note("no evidence in \(evidence): the ledger's keys did not sign both checkpoints")
            }
            Posix.exitNow((diff.isAgreement ? ExitStatus.done : .refused).rawValue)
        }

        private func text(_ diff: AuditDiff) -> String {
            var lines: [String] = []
            switch diff.relation {
            case .equal: lines.append("equal: \(diff.shared) entries")
            case .prefix:
                let (shorter, longer) = diff.a.size < diff.b.size ? (first, second) : (second, first)
                lines.append("prefix: \(longer) goes on where \(shorter) ends, after \(diff.shared) entries")
            case .different: lines.append("different: the first \(diff.shared) entries are shared, then the logs part")
            }
            for (name, side) in [(first, diff.a), (second, diff.b)] {
                lines.append("\(name)")
                lines.append("  size     \(side.size)")
                lines.append("  root     \(side.root)")
                if let quorumTime = side.quorumTime {
                    lines.append("  quorum   yes, \(CalendarTime.text(quorumTime))")
                } else if let failure = side.failure {
                    lines.append("  quorum   no: \(failure)")
                }
                if let entry = side.entry { lines.append("  next     \(entry.text)") }
                if let outcome = side.outcome { lines.append("  outcome  \(outcome)") }
            }
            if let index = diff.firstBadOutcome { lines.append("the outcomes part at index \(index)") }
            if let proof = diff.evidence {
                lines.append(
                    "fork: the ledger signed both; evidence \(Digest.sha256(proof.bytes))"
                        + (evidence.map { " in \($0)" } ?? ", write it with --evidence FILE")
                )
            }
            return lines.joined(separator: "\n")
        }
    }
}

extension AuditFailure: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        CommandFailure(.refused, code: code, "\(message) (\(code)); do not trust this log")
    }
}
