/// What a witness answers to `add-checkpoint` (C2SP tlog-witness v1.0.0).
public enum WitnessAnswer: Error, Sendable, Hashable {
    /// 200: one signature line.
    case cosigned([UInt8])
    /// 400: the body is not in the form of the specification.
    case malformed
    /// 400: the old size is larger than the checkpoint.
    case oldSizeTooLarge
    /// 403: no known key signed, or a line of a known key does not verify.
    case untrusted
    /// 404
    case unknownOrigin
    /// 409: the witness stands by a checkpoint of this size; the old size is another, or its root is.
    case conflict(size: UInt64)
    /// 422
    case proofInvalid

    /// Status code of the HTTP answer.
    public var status: Int {
        switch self {
        case .cosigned: 200
        case .malformed, .oldSizeTooLarge: 400
        case .untrusted: 403
        case .unknownOrigin: 404
        case .conflict: 409
        case .proofInvalid: 422
        }
    }
}
