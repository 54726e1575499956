extension WitnessPolicy {
    /// Whether the policy asks for no witness at all.
    var isNone: Bool {
        if case .none = quorum { return true }
        return false
    }
}
