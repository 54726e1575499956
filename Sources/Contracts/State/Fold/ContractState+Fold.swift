import HashTreeCollections

/// The processing order of section 3.2.
extension ContractState {
    /// Judges an entry and applies its effect. Total: every entry gets a code.
    ///
    /// Signatures without a verdict are verified here, about 60 microseconds each.
    public mutating func apply(_ parsed: ParsedEntry, verdicts: SignatureVerdicts = SignatureVerdicts()) -> Step {
        guard !isStopped else { return .unsupported }
        let code: Code
        switch parsed {
        case .rejected(let rejection, _): code = rejection
        case .entry(let entry): code = judge(entry, verdicts)
        }
        let outcome = Outcome(index: size, code: code, id: parsed.id)
        outcomes.append(MerkleTree.leafHash(outcome.canonical))
        size += 1
        return .outcome(outcome)
    }

    /// Parses the bytes of a leaf and applies them.
    public mutating func fold(_ leaf: [UInt8]) -> Step {
        guard !isStopped else { return .unsupported }
        return apply(ParsedEntry(leaf: leaf))
    }

    /// Steps 4 to 10.
    private mutating func judge(_ entry: Entry, _ verdicts: SignatureVerdicts) -> Code {
        do throws(Code) {
            try checkLedger(entry)
            let signer = try actorKey(of: entry)
            try checkSignatures(of: entry, signer: signer, verdicts)
            try checkSequence(entry)
            try checkExpiry(entry)
            if let account = entry.account {
                set(lane: LaneKey(account: account, key: entry.signer), to: entry.sequence)
            }
            try perform(entry)
            return .ok
        } catch {
            return error
        }
    }

    /// Step 4.
    func checkLedger(_ entry: Entry) throws(Code) {
        guard let ledgerID else {
            guard entry.type == .genesis, size == 0 else { throw .genesisRequired }
            return
        }
        guard entry.type != .genesis else { throw .genesisDuplicate }
        guard entry.ledger == ledgerID else { throw .ledgerMismatch }
    }

    /// Step 8.
    private func checkSequence(_ entry: Entry) throws(Code) {
        guard let account = entry.account else {
            guard tables.twins[entry.id] == nil else { throw .seqReplay }
            return
        }
        let last = lane(account: account, key: entry.signer)
        guard entry.sequence > last else { throw .seqReplay }
        guard entry.sequence == last + 1 else { throw .seqGap }
    }

    /// Step 9.
    private func checkExpiry(_ entry: Entry) throws(Code) {
        guard entry.type != .genesis else { return }
        guard entry.expires >= now else { throw .txExpired }
        guard entry.expires <= now + 2_592_000 else { throw .txExpiresFar }
    }

    /// Step 10: the preconditions in their order, then the effect. A rule throws before it changes anything.
    private mutating func perform(_ entry: Entry) throws(Code) {
        guard let account = entry.account else {
            switch entry.body {
            case .genesis(let body): begin(body, id: entry.id)
            case .twinCreate(let body): createTwin(body, id: entry.id)
            default: preconditionFailure("every other type has an account by its schema")
            }
            return
        }
        switch entry.body {
        case .genesis, .twinCreate: preconditionFailure("these types have no account by their schema")
        case .tick(let body): try tick(body)
        case .rootRotate(let body): try rotateRoot(body)
        case .ledgerKeys(let body): try setLedgerKeys(body)
        case .policySet(let body): try setPolicy(body)
        case .protocolUpgrade(let body): try setUpgrade(body)
        case .twinKeys(let body): try setKeys(body, of: account)
        case .twinDelegate(let body): try delegate(body, by: account)
        case .twinUndelegate(let body): try undelegate(body, by: account)
        case .farmCreate(let body): try createFarm(body, by: account, id: entry.id)
        case .farmUpdate(let body): try updateFarm(body, by: account)
        case .nodeRegister(let body): try registerNode(body, by: account, id: entry.id)
        case .nodeUpdate(let body): try updateNode(body, by: account)
        case .nodeRetire(let body): try retireNode(body, by: account)
        case .nameCreate(let body): try createName(body, by: account, id: entry.id)
        case .nameRelease(let body): try releaseName(body, by: account)
        case .nameTransfer(let body): try transferName(body, by: account)
        case .contractCreate(let body): try createContract(body, by: account, id: entry.id)
        case .contractUpdate(let body): try updateContract(body, by: account)
        case .contractCancel(let body): try cancelContract(body, by: account)
        case .contractReport(let body): try report(body, by: account)
        case .usageReport(let body): try reportUsage(body, by: account)
        case .billSettle(let body): try settle(body, by: account)
        case .stateAttest(let body): try attest(body, by: account)
        case .evidenceFork(let body): try recordFork(body, by: account)
        }
    }
}
