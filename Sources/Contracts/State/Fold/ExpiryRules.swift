/// What a tick ends (section 6.2).
extension ContractState {
    /// Ends what is due at the new time; `last` is the time before the tick.
    mutating func expire(since last: Timestamp) {
        let due = indexes.deadlines.due(from: last, to: now)
        for (event, _) in due {
            switch event {
            case .contract(let id): endContract(id)
            case .purge(let id): purge(id)
            case .delegate(let twin, let key): set(delegate: key, of: twin, to: nil)
            }
        }
    }

    private mutating func endContract(_ id: Identifier) {
        guard let row = contract(id), let meta else { return }
        switch row.phase {
        case .created(let spec):
            if spec.notAfter <= now { delete(id, row, .expired) }
        case .grace(let spec, let since):
            let end = since + meta.limits.grace
            if end <= now, end <= spec.notAfter {
                delete(id, row, .outOfFunds)
            } else if spec.notAfter <= now {
                delete(id, row, .expired)
            }
        case .deleted:
            break
        }
    }

    private mutating func purge(_ id: Identifier) {
        for node in statuses(contract: id) { set(status: nil, contract: id, node: node.0) }
        for node in usages(contract: id) { set(usage: nil, contract: id, node: node.0) }
        if bill(contract: id) != nil { set(bill: nil, contract: id) }
        set(contract: id, to: nil)
    }
}
