/// A payload or a row that has another shape than its type demands. Which member it was does not matter to the fold.
struct SchemaViolation: Error {}

/// A value that is read from one JSON value of a payload or a row, and that writes itself back byte for byte.
protocol SchemaValue: Sendable {
    init(reading value: JSONValue) throws(SchemaViolation)
    var json: JSONValue { get }
}
