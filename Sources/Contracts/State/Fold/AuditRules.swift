/// Rules of state.attest and evidence.fork.
extension ContractState {
    mutating func attest(_ body: Attestation, by account: Identifier) throws(Code) {
        try checkAuditor(account)
        guard body.size <= Int64(clamping: size), body.size > attestation(of: account)?.size ?? 0 else {
            throw .attestSize
        }
        set(attestation: body, of: account)
    }

    mutating func recordFork(_ body: EvidenceForkBody, by account: Identifier) throws(Code) {
        try checkAuditor(account)
        guard evidence(body.digest) == nil else { throw .evidenceDuplicate }
        set(evidence: body.digest, to: EvidenceRow(a: body.a, b: body.b, time: now, twin: account))
    }

    private func checkAuditor(_ account: Identifier) throws(Code) {
        guard auditors.contains(where: { $0.twin == account }) else { throw .auditorForbidden }
    }
}
