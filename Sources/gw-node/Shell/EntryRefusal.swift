/// What people read when the ledger refuses an entry: the rule, and what to do next.
enum EntryRefusal {
    /// The failure for a code of the fold or of the ledger's server.
    static func failure(code: String, message: String, expectedSequence: Int64?) -> CommandFailure {
        let status: ExitStatus
        switch code {
        case "rate.limited", "unavailable", "request.timeout": status = .tryAgain
        case "tx.unsupported": status = .unsupported
        default: status = .refused
        }
        // The server's own words come from outside; ours say the same for every code that the fold has.
        let sentence = sentences[code] ?? "the ledger refused the entry: \(printable(message))"
        return CommandFailure(
            status,
            code: code,
            "\(code): \(sentence)",
            expectedSequence: expectedSequence
        )
    }

    /// The rule behind a code of the fold, and what to do next.
    static func sentence(of code: String) -> String {
        sentences[code] ?? "the ledger would refuse this"
    }

    private static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(text.unicodeScalars.prefix(300).filter { $0.value >= 0x20 && $0.value != 0x7F })
        )
    }

    private static let sentences: [String: String] = [
        "account.unknown": "the acting twin is not on this ledger; create it with `gw-node twin create`",
        "signer.unknown": "the key does not belong to the acting twin; use one of the twin's keys",
        "signer.forbidden": "this key may not sign entries of this type; use an owner key of the twin",
        "signature.missing":
            "a signature is missing: every required party has to sign, so give the other key files with --cosigner",
        "signature.unexpected": "the entry carries a signature that nobody asked for",
        "signature.invalid": "a signature does not verify; check that the key files belong together",
        "seq.replay":
            "the sequence number is used already; another entry of this key came first, run the command again",
        "seq.gap":
            "the sequence number is ahead of the ledger; an earlier entry of this key is missing, run the command again",
        "tx.expired":
            "the entry expired before the ledger took it; check this machine's clock and run the command again",
        "tx.expires_far": "the entry would stay valid for more than 30 days; check this machine's clock",
        "version.mismatch": "the object was changed meanwhile; look at it again and repeat the change",
        "quota.exceeded": "the twin has as many objects of this type as the ledger allows; release or cancel one first",
        "farm.unknown": "no farm has this id; check it, or create one with `gw-node farm create`",
        "farm.forbidden": "the farm belongs to another twin; use the key of its owner",
        "farm.name_taken": "another farm has this name; choose another one",
        "node.unknown": "no gateway has this id; check it",
        "node.retired": "the gateway is retired; choose another one",
        "node.forbidden": "the gateway belongs to another twin; use the key of its owner",
        "name.unknown": "no such name is reserved; reserve it with `gw-node name reserve`",
        "name.forbidden": "the name belongs to another twin; choose a name of your own",
        "name.taken": "the name is taken; choose another one",
        "name.reserved": "the name is kept back by the ledger; choose another one",
        "name.in_use": "a live contract uses the name; cancel or update that contract first",
        "name.required":
            "a host under a gateway's domain needs its name reserved and listed under `names`; "
            + "use `gw-node name reserve` and add it",
        "host.reserved": "the host is a gateway's domain itself; put a reserved name in front of it",
        "offer.kind": "a gateway does not offer this kind of exposure; choose another gateway or another kind",
        "offer.mode": "a gateway does not offer this `conn`; choose another gateway or another mode",
        "offer.exceeded": "the limits exceed what a gateway offers; lower `conns` or `bps`, or choose another gateway",
        "port.not_offered": "a gateway does not lease this port; choose one of the ranges of its offer",
        "port.taken": "another contract leases this port at a gateway; choose another port",
        "contract.unknown": "no contract has this id; check it with `gw-node contract list`",
        "contract.forbidden": "the contract belongs to another twin; use the key of its owner",
        "contract.deleted": "the contract has ended; create a new one",
        "contract.grace": "the contract waits for funds, so only its gateways may be reduced until it is funded",
        "contract.window":
            "the contract would end in the past, or later than the ledger allows; change `valid` or `not_after`",
        "delegate.window": "the delegation would end in the past; choose a later end",
        "payload.schema": "the entry breaks a rule for its members; compare it with the documentation of the file",
        "ledger.mismatch": "the entry was made for another ledger; check --ledger and --ledger-id",
        "rate.limited": "the ledger takes no more entries from here for now; try again in a minute",
        "unavailable": "the ledger takes no entries for now; try again in a minute",
    ]
}
