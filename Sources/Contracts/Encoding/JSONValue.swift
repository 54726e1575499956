/// A JSON value of the protocol: no null, no fraction, no negative number in what is signed.
///
/// Equality is equality of bytes: two strings that Unicode calls equivalent differ here when their UTF-8 differs.
public enum JSONValue: Sendable {
    case string(String)
    case integer(Int64)
    case boolean(Bool)
    case array([JSONValue])
    case object(JSONObject)

    /// The string, when it is one.
    public var asString: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    /// The integer, when it is one.
    public var asInteger: Int64? {
        if case .integer(let value) = self { return value }
        return nil
    }

    /// The boolean, when it is one.
    public var asBoolean: Bool? {
        if case .boolean(let value) = self { return value }
        return nil
    }

    /// The elements, when it is an array.
    public var asArray: [JSONValue]? {
        if case .array(let value) = self { return value }
        return nil
    }

    /// The object, when it is one.
    public var asObject: JSONObject? {
        if case .object(let value) = self { return value }
        return nil
    }

    /// The member of that name, when it is an object that has one.
    public subscript(name: String) -> JSONValue? { asObject?[name] }
}

extension JSONValue: Equatable {
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        case (.integer(let a), .integer(let b)): a == b
        case (.boolean(let a), .boolean(let b)): a == b
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(members: elements))
    }
}
