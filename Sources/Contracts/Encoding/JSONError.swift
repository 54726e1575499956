/// Why bytes are no JSON value of the grammar that was asked for.
public struct JSONError: Error, Hashable, Sendable {
    /// Offset of the byte at which the grammar was left.
    public let offset: Int

    /// The rule that was broken.
    public let rule: Rule

    public enum Rule: String, Sendable {
        case syntax
        case depth
        case integer
        case escape
        case character
        case stringLength
        case name
        case order
        case trailing
    }
}
