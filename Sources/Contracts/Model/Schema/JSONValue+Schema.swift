/// Reads the value types of the protocol (section 1); anything else is a violation.
extension JSONValue {
    func object() throws(SchemaViolation) -> JSONObject {
        guard case .object(let object) = self else { throw SchemaViolation() }
        return object
    }

    func members() throws(SchemaViolation) -> ObjectReader {
        ObjectReader(try object())
    }

    func string() throws(SchemaViolation) -> String {
        guard case .string(let text) = self else { throw SchemaViolation() }
        return text
    }

    func integer(_ range: ClosedRange<Int64>) throws(SchemaViolation) -> Int64 {
        guard case .integer(let number) = self, range.contains(number) else { throw SchemaViolation() }
        return number
    }

    func boolean() throws(SchemaViolation) -> Bool {
        guard case .boolean(let flag) = self else { throw SchemaViolation() }
        return flag
    }

    func time() throws(SchemaViolation) -> Timestamp {
        try integer(0...Timestamp.latest)
    }

    func identifier() throws(SchemaViolation) -> Identifier {
        guard let identifier = Identifier(hex: try string()) else { throw SchemaViolation() }
        return identifier
    }

    func publicKey() throws(SchemaViolation) -> PublicKey {
        guard let key = PublicKey(hex: try string()) else { throw SchemaViolation() }
        return key
    }

    func verifierKey() throws(SchemaViolation) -> VerifierKey {
        guard let key = VerifierKey(try string()), key.type == 1 else { throw SchemaViolation() }
        return key
    }

    func text(_ length: ClosedRange<Int>) throws(SchemaViolation) -> String {
        let text = try string()
        guard Grammar.isText(text, length) else { throw SchemaViolation() }
        return text
    }

    /// A string that the grammar accepts.
    func string(_ grammar: (String) -> Bool) throws(SchemaViolation) -> String {
        let text = try string()
        guard grammar(text) else { throw SchemaViolation() }
        return text
    }

    func array(_ count: ClosedRange<Int>) throws(SchemaViolation) -> [JSONValue] {
        guard case .array(let values) = self, count.contains(values.count) else { throw SchemaViolation() }
        return values
    }

    /// As many elements as the range allows, in any order.
    func array<Element>(
        _ count: ClosedRange<Int>,
        of read: (JSONValue) throws(SchemaViolation) -> Element
    ) throws(SchemaViolation) -> [Element] {
        let values = try array(count)
        var elements: [Element] = []
        elements.reserveCapacity(values.count)
        for value in values { elements.append(try read(value)) }
        return elements
    }

    /// As many elements as the range allows, each before its successor.
    func set<Element>(
        _ count: ClosedRange<Int>,
        of read: (JSONValue) throws(SchemaViolation) -> Element,
        ascending precedes: (Element, Element) -> Bool
    ) throws(SchemaViolation) -> [Element] {
        let elements = try array(count, of: read)
        for index in elements.indices.dropFirst() where !precedes(elements[index - 1], elements[index]) {
            throw SchemaViolation()
        }
        return elements
    }

    func identifiers(_ count: ClosedRange<Int>) throws(SchemaViolation) -> [Identifier] {
        try set(count, of: { value throws(SchemaViolation) in try value.identifier() }, ascending: <)
    }

    func publicKeys(_ count: ClosedRange<Int>) throws(SchemaViolation) -> [PublicKey] {
        try set(count, of: { value throws(SchemaViolation) in try value.publicKey() }, ascending: <)
    }

    /// Strings of a grammar, strictly ascending as bytes.
    func strings(
        _ count: ClosedRange<Int>,
        _ grammar: (String) -> Bool
    ) throws(SchemaViolation) -> [String] {
        try set(count, of: { value throws(SchemaViolation) in try value.string(grammar) }, ascending: bytesPrecede)
    }

    /// Words of a closed list, strictly ascending as bytes.
    func words<Word: RawRepresentable<String>>(
        _ count: ClosedRange<Int>,
        of type: Word.Type = Word.self
    ) throws(SchemaViolation) -> [Word] {
        let read = { (value: JSONValue) throws(SchemaViolation) in try value.word(of: Word.self) }
        return try set(count, of: read) { bytesPrecede($0.rawValue, $1.rawValue) }
    }

    func word<Word: RawRepresentable<String>>(of type: Word.Type = Word.self) throws(SchemaViolation) -> Word {
        let text = try string()
        // String equality is canonical equivalence (U+212A equals "K"); the protocol compares bytes.
        guard let word = Word(rawValue: text), word.rawValue.utf8.elementsEqual(text.utf8) else {
            throw SchemaViolation()
        }
        return word
    }

    func verifierKeys(_ count: ClosedRange<Int>) throws(SchemaViolation) -> [VerifierKey] {
        try set(count, of: { value throws(SchemaViolation) in try value.verifierKey() }, ascending: <)
    }

    func policy() throws(SchemaViolation) -> WitnessPolicy {
        guard let policy = WitnessPolicy(try string()) else { throw SchemaViolation() }
        return policy
    }

    static func identifier(_ identifier: Identifier) -> JSONValue { .string(identifier.hex) }
    static func identifiers(_ identifiers: [Identifier]) -> JSONValue { .array(identifiers.map { .string($0.hex) }) }
    static func keys(_ keys: [PublicKey]) -> JSONValue { .array(keys.map { .string($0.hex) }) }
    static func keys(_ keys: [VerifierKey]) -> JSONValue { .array(keys.map { .string($0.description) }) }
    static func strings(_ strings: [String]) -> JSONValue { .array(strings.map(JSONValue.string)) }
    static func words(_ words: [some RawRepresentable<String>]) -> JSONValue {
        .array(words.map { .string($0.rawValue) })
    }
    static func values(_ values: [some SchemaValue]) -> JSONValue { .array(values.map(\.json)) }
}

/// The largest integer of a payload, 2^53 - 1.
let largestInteger = JSONValue.largestInteger

/// Whether the UTF-8 bytes of the left string come before those of the right one; String's own order is not by bytes.
func bytesPrecede(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}
