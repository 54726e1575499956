/// The members of a JSON object, unique and ascending by the bytes of their names.
public struct JSONObject: Sendable {
    /// Name and value of each member, ascending by the bytes of the names.
    public private(set) var members: [(name: String, value: JSONValue)]

    /// An object without members.
    public init() {
        members = []
    }

    /// Sorts the members; of equal names the last counts.
    public init(members: some Sequence<(String, JSONValue)>) {
        self.init()
        self.members.reserveCapacity(members.underestimatedCount)
        for (name, value) in members { self[name] = value }
    }

    /// Takes members whose order and uniqueness the caller has checked.
    init(ascending members: [(name: String, value: JSONValue)]) {
        self.members = members
    }

    /// The member of that name; nil when there is none. Assigning nil removes it.
    public subscript(name: String) -> JSONValue? {
        get {
            let (index, found) = position(of: name)
            return found ? members[index].value : nil
        }
        set {
            let (index, found) = position(of: name)
            switch (newValue, found) {
            case (let value?, true): members[index].value = value
            case (let value?, false): members.insert((name, value), at: index)
            case (nil, true): members.remove(at: index)
            case (nil, false): break
            }
        }
    }

    /// Where the member is, or where it would have to be inserted.
    private func position(of name: String) -> (index: Int, found: Bool) {
        // Whoever writes an object mostly does so in the order of the names.
        guard let last = members.last, !last.name.utf8.lexicographicallyPrecedes(name.utf8) else {
            return (members.count, false)
        }
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            let candidate = members[middle].name
            if candidate.utf8.elementsEqual(name.utf8) { return (middle, true) }
            if candidate.utf8.lexicographicallyPrecedes(name.utf8) { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }
}

extension JSONObject: Equatable {
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members.count == right.members.count
            && zip(left.members, right.members).allSatisfy { a, b in
                a.name.utf8.elementsEqual(b.name.utf8) && a.value == b.value
            }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(members: elements)
    }
}
