import Contracts
import Testing

@Suite("Schemas")
struct SchemaTests {
    @Test("a body of each type is accepted, and reads back as it was written", arguments: EntryType.allCases)
    func valid(type: EntryType) throws {
        let body = SchemaBodies.body(of: type)
        guard case .entry(let entry) = SchemaBodies.parse(type, body.json) else {
            Issue.record("\(type.rawValue) is rejected")
            return
        }
        #expect(entry.type == type)
        #expect(entry.body.type == type)
        #expect(entry.body.json == body.json)
    }

    @Test("one unknown member anywhere is an error", arguments: EntryType.allCases)
    func unknownMember(type: EntryType) {
        let body = SchemaBodies.body(of: type).json
        for path in body.paths {
            guard case .object(var object)? = body[path: path] else { continue }
            for name in ["a", "zz", "version2"] where object[name] == nil {
                object[name] = 1
                #expect(!SchemaBodies.accepts(type, body.replacing(path, with: .object(object))!), "\(name) in \(path)")
                object[name] = nil
            }
        }
    }

    private static let optional: Set<String> = [
        "contact", "place", "contracts", "names", "drain", "max_stale", "name_contracts", "conn_rate", "allow", "deny",
        "balance", "path", "redirect", "conflict", "proxy",
    ]

    @Test("a missing member is an error unless it is optional", arguments: EntryType.allCases)
    func missingMember(type: EntryType) {
        let body = SchemaBodies.body(of: type).json
        for path in body.paths {
            guard case .member(let name)? = path.last else { continue }
            let accepted = SchemaBodies.accepts(type, body.replacing(path, with: nil)!)
            #expect(accepted == (type != .genesis && Self.optional.contains(name)), "without \(path)")
        }
    }

    @Test("a value of another kind is an error everywhere", arguments: EntryType.allCases)
    func otherKind(type: EntryType) {
        let body = SchemaBodies.body(of: type).json
        for path in body.paths {
            let value = body[path: path]
            for other: JSONValue in ["", "x\u{0}", .string("1"), true, 0, [], .object([:]), ["a"], .object(["a": 1])] {
                switch (value, other) {
                // Another value of the same kind may be right; tables below judge those.
                case (.integer, .integer), (.boolean, .boolean), (.string, .string), (.array, .array): continue
                default: break
                }
                #expect(!SchemaBodies.accepts(type, body.replacing(path, with: other)!), "\(other) at \(path)")
            }
        }
    }

    @Test("the two keys of an array of a set are in order and different", arguments: EntryType.allCases)
    func sets(type: EntryType) {
        let body = SchemaBodies.body(of: type).json
        for path in body.paths {
            guard case .array(let elements)? = body[path: path], elements.count > 1 else { continue }
            if path.last != .member("endpoints") {
                #expect(
                    !SchemaBodies.accepts(type, body.replacing(path, with: .array(elements.reversed()))!),
                    "\(path)"
                )
            }
            #expect(
                !SchemaBodies.accepts(type, body.replacing(path, with: .array(elements + [elements[0]]))!),
                "\(path)"
            )
            #expect(
                !SchemaBodies.accepts(type, body.replacing(path, with: .array([elements[0]] + elements))!),
                "\(path)"
            )
        }
    }

    @Test(
        "common members have their types and ranges",
        arguments: [
            ("v", 1, true), ("v", true, false), ("v", "1", false), ("v", nil, false),
            ("type", 1, false), ("type", nil, false), ("account", "", false), ("account", nil, false),
            ("account", .string(String(repeating: "A", count: 64)), false), ("account", 1, false),
            ("ledger", "", false), ("ledger", .string(Digest.zero.hex), true), ("ledger", nil, false),
            ("seq", 0, false), ("seq", .integer(JSONValue.largestInteger), true), ("seq", "1", false),
            ("seq", nil, false),
            ("expires", 0, false), ("expires", 253_402_300_799, true), ("expires", 253_402_300_800, false),
            ("expires", nil, false),
            ("signer", .string(Digest.zero.hex), true), ("signer", "", false), ("signer", nil, false),
            ("extra", 1, false),
            ("body", nil, false), ("body", "", false), ("body", [], false), ("body", .object([:]), false),
        ] as [(String, JSONValue?, Bool)]
    )
    func common(member: String, value: JSONValue?, accepted: Bool) {
        let body = SchemaBodies.body(of: .tick).json
        #expect(SchemaBodies.accepts(.tick, body) { $0[member] = value } == accepted)
        if !accepted, case .rejected(let code, let id) = SchemaBodies.parse(.tick, body, { $0[member] = value }) {
            #expect(code == .payloadSchema)
            #expect(id != nil)
        }
    }

    @Test("genesis and twin.create name no account and no number, genesis no ledger and no expiry")
    func firsts() {
        for type in [EntryType.genesis, .twinCreate] {
            let body = SchemaBodies.body(of: type).json
            #expect(!SchemaBodies.accepts(type, body) { $0["account"] = .string(SchemaBodies.id.hex) })
            #expect(!SchemaBodies.accepts(type, body) { $0["seq"] = 1 })
            #expect(SchemaBodies.accepts(type, body) { $0["expires"] = 1 } == (type == .twinCreate))
            #expect(SchemaBodies.accepts(type, body) { $0["expires"] = 0 } == (type == .genesis))
            #expect(
                SchemaBodies.accepts(type, body) { $0["ledger"] = .string(SchemaBodies.id.hex) }
                    == (type == .twinCreate)
            )
        }
    }

    @Test(
        "another version or an unknown type is unsupported, whatever else is wrong",
        arguments: [
            ("v", 2), ("v", 0), ("type", "twin.recover"), ("type", "twin.veto"), ("type", "name.commit"), ("type", ""),
            ("type", "Tick"), ("type", "tic\u{212A}"),
        ] as [(String, JSONValue)]
    )
    func unsupported(member: String, value: JSONValue) {
        guard
            case .rejected(.txUnsupported, _?) = SchemaBodies.parse(
                .tick,
                1,
                {
                    $0[member] = value
                    $0["junk"] = 1
                }
            )
        else {
            Issue.record("\(member) \(value) is not unsupported")
            return
        }
    }

    @Test("steps 1 and 2 name their codes")
    func early() {
        let payload = Array("{}".utf8)
        func code(_ leaf: [UInt8]) -> Code? {
            if case .rejected(let code, _) = ParsedEntry(leaf: leaf) { return code }
            return nil
        }
        #expect(code([UInt8](repeating: 0x20, count: 16_385)) == .entrySize)
        #expect(code([UInt8](repeating: 0x20, count: 16_384)) == .envelopeNoncanonical)
        #expect(code([]) == .envelopeNoncanonical)
        #expect(code(Envelope(payload: payload, payloadType: "text/plain", signatures: []).leaf) == .envelopeType)
        #expect(code(Envelope(payload: [], signatures: []).leaf) == .payloadNoncanonical)
        #expect(code(Envelope(payload: [0x7B], signatures: []).leaf) == .payloadNoncanonical)
        for text in ["{}", "[]", "1", "true", "\"x\""] {
            let leaf = Envelope(payload: Array(text.utf8), signatures: []).leaf
            #expect(code(leaf) == .payloadSchema)
            #expect(ParsedEntry(leaf: leaf).id != nil)
        }
    }
}
