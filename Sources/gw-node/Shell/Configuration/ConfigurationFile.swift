import Yams

/// A YAML file that a person wrote, read strictly: every complaint names the file, the line, the key and the rule.
struct ConfigurationFile {
    /// Largest configuration file that is read, in bytes; real ones have a few kilobytes.
    static let sizeLimit = 1 << 20

    let path: String
    let root: ConfigurationValue

    /// Reads and parses a file; `what` is what the user calls it, such as "the gateway configuration".
    init(_ path: String, as what: String) throws(CommandFailure) {
        let bytes = try Files.read(path, limit: Self.sizeLimit, as: what)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure(.configuration, "\(path): the file is not UTF-8 text; save it as UTF-8")
        }
        try self.init(path: path, text: text)
    }

    /// Parses the text of a file that was read already.
    init(path: String, text: String) throws(CommandFailure) {
        self.path = path
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw Self.failure(path, error)
        } catch {
            throw CommandFailure(.configuration, "\(path): the file is not YAML; compare it with the documentation")
        }
        guard let node else {
            throw CommandFailure(.configuration, "\(path): the file is empty; compare it with the documentation")
        }
        root = ConfigurationValue(node: node, file: path, name: "", line: node.mark?.line ?? 1)
    }

    private static func failure(_ path: String, _ error: YamlError) -> CommandFailure {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            CommandFailure(.configuration, "\(path):\(mark.line): not YAML: \(problem); mend the line")
        case .duplicatedKeysInMapping(let duplicates, let context):
            CommandFailure(
                .configuration,
                "\(path):\(context.mark.line): `\(duplicates.first ?? "")` stands twice in one place; keep one of them"
            )
        default:
            CommandFailure(.configuration, "\(path): the file is not YAML; compare it with the documentation")
        }
    }
}

/// One value of a configuration file, and where it stands.
struct ConfigurationValue {
    let node: Node
    let file: String
    /// The keys that lead to the value, joined by dots, such as `limits.header_size`; "" for the whole file.
    let name: String
    let line: Int

    // MARK: Structure

    /// The members of a mapping, of which only these keys may occur.
    func members(_ known: [String]) throws(CommandFailure) -> [String: ConfigurationValue] {
        var result: [String: ConfigurationValue] = [:]
        for (key, value) in try pairs() {
            guard known.contains(key) else {
                throw value.failure("is not a known key here; known are \(known.joined(separator: ", "))")
            }
            result[key] = value
        }
        return result
    }

    /// The members of a mapping whose keys are the user's own, in the order of the file.
    func pairs() throws(CommandFailure) -> [(key: String, value: ConfigurationValue)] {
        guard case .mapping(let mapping) = node else { throw failure("must be a set of `key: value` lines") }
        var result: [(key: String, value: ConfigurationValue)] = []
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else { throw failure("has a key that is no plain word") }
            let path = name.isEmpty ? scalar.string : "\(name).\(scalar.string)"
            let line = key.mark?.line ?? value.mark?.line ?? self.line
            result.append(
                (scalar.string, ConfigurationValue(node: value, file: file, name: path, line: line))
            )
        }
        return result
    }

    /// The elements of a list; a single plain value counts as a list of one.
    func list() throws(CommandFailure) -> [ConfigurationValue] {
        switch node {
        case .sequence(let sequence):
            var result: [ConfigurationValue] = []
            for (position, element) in sequence.enumerated() {
                result.append(
                    ConfigurationValue(
                        node: element,
                        file: file,
                        name: "\(name)[\(position)]",
                        line: element.mark?.line ?? line
                    )
                )
            }
            return result
        case .scalar: return [self]
        default: throw failure("must be a list such as [a, b]")
        }
    }

    var isMapping: Bool {
        if case .mapping = node { true } else { false }
    }

    // MARK: Plain values

    func string() throws(CommandFailure) -> String {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else { throw failure("must be a plain value") }
        return scalar.string
    }

    func boolean() throws(CommandFailure) -> Bool {
        switch try string() {
        case "true": return true
        case "false": return false
        default: throw failure("must be true or false")
        }
    }

    func integer(_ range: ClosedRange<Int64>) throws(CommandFailure) -> Int64 {
        guard let number = Int64(try string()), range.contains(number) else {
            throw failure("must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func duration(_ range: ClosedRange<Duration>) throws(CommandFailure) -> Duration {
        guard let duration = Quantities.duration(try string()) else {
            throw failure("must be a time with its unit, such as 500ms, 30s, 15m, 2h or 90d")
        }
        guard range.contains(duration) else {
            throw failure(
                "must be from \(Quantities.text(range.lowerBound)) to \(Quantities.text(range.upperBound))"
            )
        }
        return duration
    }

    func byteCount(_ range: ClosedRange<Int64>) throws(CommandFailure) -> Int64 {
        guard let count = Quantities.byteCount(try string()) else {
            throw failure("must be a size with its unit, such as 16KiB or 256MiB")
        }
        guard range.contains(count) else {
            throw failure(
                "must be from \(Quantities.text(bytes: range.lowerBound)) to \(Quantities.text(bytes: range.upperBound))"
            )
        }
        return count
    }

    /// A rate; a bare number is in bits per second, as the keys called `bps` say themselves.
    func bitsPerSecond() throws(CommandFailure) -> Int64 {
        let text = try string()
        guard let rate = Int64(text) ?? Quantities.bitsPerSecond(text), (1...(1 << 53 - 1)).contains(rate) else {
            throw failure("must be a rate such as 100Mbit or 1Gbit, or a number of bits per second")
        }
        return rate
    }

    /// A path, read relative to the folder of the file it stands in.
    func path() throws(CommandFailure) -> String {
        Files.resolve(try string(), besideFile: file)
    }

    /// The complaint about this value: `rule` continues the sentence that begins with its name.
    func failure(_ rule: String) -> CommandFailure {
        let subject = name.isEmpty ? "the file" : "`\(name)`"
        return CommandFailure(.configuration, "\(file):\(line): \(subject) \(rule)")
    }
}

extension Dictionary where Key == String, Value == ConfigurationValue {
    /// A member that must be there.
    func required(_ key: String, of parent: ConfigurationValue) throws(CommandFailure) -> ConfigurationValue {
        if let value = self[key] { return value }
        let name = parent.name.isEmpty ? key : "\(parent.name).\(key)"
        throw CommandFailure(.configuration, "\(parent.file):\(parent.line): `\(name)` is missing; add it")
    }
}
