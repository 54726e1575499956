import Foundation
import TestSupport

/// What a test waited for in vain, or could not set up.
struct NeverHappened: Error, CustomStringConvertible {
    var description: String
}

/// Like `eventually`, for a value that appears.
func awaited<Value>(
    _ claim: String,
    within seconds: Double = 10,
    _ value: () async throws -> Value?
) async throws -> Value {
    var found: Value?
    try await eventually(within: seconds, claim) {
        found = try await value()
        return found != nil
    }
    return found!
}
