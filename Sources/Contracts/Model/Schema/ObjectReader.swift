/// Reads the members of one object by name and refuses every member that nobody asked for.
struct ObjectReader {
    private let members: [(name: String, value: JSONValue)]
    private var taken = 0
    private var next = 0

    init(_ object: JSONObject) {
        members = object.members
    }

    /// The member of this name; its absence is a violation. Ask for each name once.
    mutating func required(_ name: String) throws(SchemaViolation) -> JSONValue {
        guard let value = optional(name) else { throw SchemaViolation() }
        return value
    }

    /// The member of this name, if there is one. Ask for each name once.
    mutating func optional(_ name: String) -> JSONValue? {
        // Members are ascending, so a reader that asks in that order finds each at the cursor.
        if next < members.count, members[next].name == name {
            taken += 1
            next += 1
            return members[next - 1].value
        }
        guard let index = members.firstIndex(where: { $0.name == name }) else { return nil }
        taken += 1
        next = index + 1
        return members[index].value
    }

    /// Checks that no member is left.
    func end() throws(SchemaViolation) {
        guard taken == members.count else { throw SchemaViolation() }
    }
}
