public import Contracts

/// What a gateway wants the ledger to know about one contract at this node.
public struct DesiredStatus: Sendable, Hashable {
    /// The contract's version that the gateway acts on.
    public var version: Int64
    public var state: StatusState
    public var code: StatusCode
    /// The contract that has the host or port, with HostnameConflict or PortUnavailable.
    public var conflict: Identifier?
    /// At most 256 bytes; longer text is cut.
    public var message: String

    public init(
        version: Int64,
        state: StatusState,
        code: StatusCode,
        conflict: Identifier? = nil,
        message: String = ""
    ) {
        self.version = version
        self.state = state
        self.code = code
        self.conflict = conflict
        self.message = message
    }
}

/// Which reports are due: a pure function of the verified state and of what the gateway wants.
///
/// A report that the fold would refuse is not due: one that changes nothing, one about another version than the ledger
/// has, one about a contract without a status row at this node.
struct StatusPlan {
    let state: ContractState
    let node: Identifier
    /// What the gateway holds, by contract. A contract that is missing here is stopped at this node.
    let desired: [Identifier: DesiredStatus]
    /// Entries of the state that the gateway had applied when it said so.
    let appliedSize: UInt64
    /// Size at which a contract was first seen not to name this node any more.
    let ends: [Identifier: UInt64]

    /// Bodies of the reports that are due, by contract, ascending.
    var due: [ContractReportBody] {
        guard state.node(node)?.live != nil else { return [] }
        return state.contractsWithStatus(node: node).compactMap { report($0) }
    }

    /// Contracts with a row at this node that do not name it any more.
    var ended: [Identifier] {
        state.contractsWithStatus(node: node).filter { !isParty($0) }
    }

    private func isParty(_ contract: Identifier) -> Bool {
        state.contract(contract)?.spec?.gateways.contains(node) ?? false
    }

    private func report(_ contract: Identifier) -> ContractReportBody? {
        guard let row = state.contract(contract), let status = state.status(contract: contract, node: node) else {
            return nil
        }
        guard isParty(contract) else {
            // Removed is the acknowledgement that the contract is stopped, so the gateway must have seen its end.
            guard desired[contract] == nil, appliedSize >= ends[contract] ?? state.size else { return nil }
            return ContractReportBody(
                code: .removed,
                state: .removed,
                contract: contract,
                node: node,
                version: row.version
            )
        }
        guard let wanted = desired[contract], wanted.version == row.version, wanted.state != .removed,
            wanted.code.isReportable(in: wanted.state)
        else { return nil }
        let conflict = wanted.code.allowsConflict ? wanted.conflict : nil
        let isChange =
            wanted.code != status.code || conflict != status.conflict || wanted.state != status.state
            || wanted.version != status.version
        guard isChange else { return nil }
        return ContractReportBody(
            code: wanted.code,
            state: wanted.state,
            contract: contract,
            node: node,
            version: row.version,
            message: Self.text(wanted.message),
            conflict: conflict
        )
    }

    /// The message as the schema takes it: no line ends or control characters, at most 256 bytes.
    private static func text(_ message: String) -> String {
        var result = String.UnicodeScalarView()
        var length = 0
        for scalar in message.unicodeScalars {
            let isAllowed =
                scalar.value >= 0x20 && scalar.value & 0xFFFE != 0xFFFE
                && !(0xFDD0...0xFDEF).contains(scalar.value)
            let scalar = isAllowed ? scalar : " "
            length += UTF8.width(scalar)
            if length > 256 { break }
            result.append(scalar)
        }
        return String(result)
    }
}
