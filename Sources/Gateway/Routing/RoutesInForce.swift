/// A table in a place where it stays as it is, so that it is asked where it lies.
///
/// A table in a variable is copied for every question, since the variable could change meanwhile; and each copy counts a reference
/// to every one of its parts, in memory that all loops write to.
final class RoutesInForce: Sendable {
    let index: RoutingIndex

    init(_ index: RoutingIndex) { self.index = index }
}
