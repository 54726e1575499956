/// The trailer section of a chunked body: read whole, passed on without the fields that do not belong there.
enum Trailers {
    /// Most bytes of a trailer section. gRPC-like protocols need a few hundred.
    static let limit = 8192
    /// Most field lines of a trailer section.
    static let maxFields = 64

    enum Result: Equatable {
        /// The place after the section.
        case end(Int)
        case incomplete
        case failed
    }

    /// Reads the section at `start`; when it is whole, appends what goes on, with the empty line, to `output`.
    ///
    /// - Parameter isRequest: a request whose trailers would frame or route it again is refused; in an answer they are left out.
    static func forward(
        _ bytes: Span<UInt8>,
        from start: Int,
        isRequest: Bool = false,
        to output: inout [UInt8]
    ) -> Result {
        let section = bytes.extracting(start..<min(bytes.count, start + limit))
        var lines: [FieldLine] = []
        switch FieldSection.read(section, from: 0, limit: limit, maxLines: maxFields, into: &lines) {
        case .incomplete: return .incomplete
        case .failed: return .failed
        case .end(let end):
            // RFC 9110 section 6.5.1: framing, routing and connection fields must not come after the content.
            for line in lines {
                switch line.field {
                case .other: break
                case .host, .contentLength, .transferEncoding, .disguised:
                    if isRequest { return .failed }
                    continue
                default: continue
                }
                output.append(copying: section.extracting(line.line))
                output.append(0x0D)
                output.append(0x0A)
            }
            output.append(0x0D)
            output.append(0x0A)
            return .end(start + end)
        }
    }
}
