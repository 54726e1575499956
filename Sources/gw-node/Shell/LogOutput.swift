import Logging

/// Log lines on stderr, as text or as one JSON object a line.
struct LogOutput: LogHandler {
    enum Format: String, Sendable, CaseIterable {
        case text
        case json
    }

    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level
    let format: Format

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let time = CalendarTime.text(Posix.now())
        let merged = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let fields = merged.map { ($0.key, "\($0.value)") }.sorted {
            Array($0.0.utf8).lexicographicallyPrecedes($1.0.utf8)
        }
        switch format {
        case .json:
            let members: [(String, JSONText)] = [
                ("time", .string(time)), ("level", .string(event.level.rawValue)),
                ("message", .string("\(event.message)")),
            ]
            Output.writeError(JSONText.object(members + fields.map { ($0.0, .string($0.1)) }).text)
        case .text:
            let tail = fields.map { " \($0.0)=\($0.1)" }.joined()
            Output.writeError("\(time) \(event.level.rawValue) \(event.message)\(tail)".withoutControls)
        }
    }
}

extension String {
    /// The text with a space for each control character (C0, DEL, C1): from elsewhere they could forge lines or drive a
    /// terminal.
    var withoutControls: String {
        let scalars = unicodeScalars.map { scalar -> Unicode.Scalar in
            switch scalar.value {
            case 0x00..<0x20, 0x7F..<0xA0: " "
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(scalars))
    }
}
