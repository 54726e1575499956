import HashTreeCollections

/// Rules of genesis, tick, root.rotate, ledger.keys, policy.set and protocol.upgrade.
extension ContractState {
    mutating func begin(_ body: GenesisBody, id: Identifier) {
        let meta = LedgerMeta(
            ledger: id,
            limits: body.limits,
            name: body.name,
            origin: body.origin,
            reserved: body.reserved,
            time: body.time
        )
        let rows = LedgerRows(
            meta: meta,
            clock: LedgerClock(time: body.time, ticks: 0),
            root: RootRow(quorum: body.root, version: 1),
            keys: LedgerKeysRow(keys: body.keys, version: 1),
            policy: PolicySetBody(auditorQuorum: 0, auditors: [], billing: [], policy: body.policy, version: 1)
        )
        set(ledger: rows, changed: .meta, .time, .root, .keys, .policy)
    }

    mutating func tick(_ body: TickBody) throws(Code) {
        let rows = try ledgerRows()
        let last = rows.clock.time
        guard body.time >= last + rows.meta.limits.tickMinimum else { throw .tickEarly }
        guard body.time <= last + 86_400 else { throw .tickFar }
        tables.ledger?.clock = LedgerClock(time: body.time, ticks: rows.clock.ticks + 1)
        touch(.time)
        expire(since: last)
    }

    mutating func rotateRoot(_ body: RootRotateBody) throws(Code) {
        var rows = try ledgerRows()
        guard body.version == rows.root.version + 1 else { throw .versionMismatch }
        rows.root = RootRow(quorum: body.root, version: body.version)
        set(ledger: rows, changed: .root)
    }

    mutating func setLedgerKeys(_ body: LedgerKeysBody) throws(Code) {
        var rows = try ledgerRows()
        guard body.version == rows.keys.version + 1 else { throw .versionMismatch }
        guard body.keys.allSatisfy({ $0.name == rows.meta.origin }) else { throw .keysOrigin }
        rows.keys = LedgerKeysRow(keys: body.keys, version: body.version)
        set(ledger: rows, changed: .keys)
    }

    mutating func setPolicy(_ body: PolicySetBody) throws(Code) {
        var rows = try ledgerRows()
        guard body.version == rows.policy.version + 1 else { throw .versionMismatch }
        let twins = body.auditors.map(\.twin) + body.billing
        guard twins.allSatisfy({ tables.twins[$0] != nil }) else { throw .twinUnknown }
        guard !body.policy.isNone || rows.policy.policy.isNone else { throw .policyNone }
        rows.policy = body
        set(ledger: rows, changed: .policy)
    }

    mutating func setUpgrade(_ body: ProtocolUpgradeBody) throws(Code) {
        var rows = try ledgerRows()
        guard body.version == (rows.upgrade?.version ?? 0) + 1 else { throw .versionMismatch }
        guard body.fold == 2 else { throw .upgradeFold }
        guard body.activate >= rows.clock.time + 86_400 else { throw .upgradeWindow }
        rows.upgrade = body
        set(ledger: rows, changed: .upgrade)
    }

    private func ledgerRows() throws(Code) -> LedgerRows {
        guard let rows = tables.ledger else { throw .genesisRequired }
        return rows
    }
}
