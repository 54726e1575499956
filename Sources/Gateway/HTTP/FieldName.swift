/// The fields that a gateway reads, removes or rebuilds; all others pass through as they are.
enum FieldName: UInt8 {
    case other
    case host
    case connection
    case contentLength
    case transferEncoding
    case expect
    case te
    case upgrade
    case via
    /// Hop-by-hop by definition: Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, HTTP2-Settings.
    case hopByHop
    /// What only a gateway may say: Forwarded, X-Forwarded-*, X-Real-IP; and `Proxy`, which CGI programs read as a setting.
    case forwarded
    /// One of the fields above with an underscore in place of a hyphen. Programs that map both to one variable would
    /// take it for the real one, so it is removed.
    case disguised
}

extension FieldName {
    /// Recognises a name, whatever the case of its letters.
    init(_ bytes: Span<UInt8>, _ name: Range<Int>) {
        let known = Self.known(bytes, name)
        guard known != .other else {
            self = .other
            return
        }
        for index in name where bytes[index] == 0x5F {
            self = .disguised
            return
        }
        self = known
    }

    private static func known(_ bytes: Span<UInt8>, _ name: Range<Int>) -> FieldName {
        switch name.count {
        case 2: return equal(bytes, name, "te") ? .te : .other
        case 3: return equal(bytes, name, "via") ? .via : .other
        case 4: return equal(bytes, name, "host") ? .host : .other
        case 5: return equal(bytes, name, "proxy") ? .forwarded : .other
        case 6: return equal(bytes, name, "expect") ? .expect : .other
        case 7: return equal(bytes, name, "upgrade") ? .upgrade : .other
        case 9: return equal(bytes, name, "forwarded") || equal(bytes, name, "x-real-ip") ? .forwarded : .other
        case 10:
            if equal(bytes, name, "connection") { return .connection }
            return equal(bytes, name, "keep-alive") ? .hopByHop : .other
        case 14:
            if equal(bytes, name, "content-length") { return .contentLength }
            if equal(bytes, name, "http2-settings") { return .hopByHop }
        case 16:
            if equal(bytes, name, "proxy-connection") { return .hopByHop }
        case 17:
            if equal(bytes, name, "transfer-encoding") { return .transferEncoding }
        case 18:
            if equal(bytes, name, "proxy-authenticate") { return .hopByHop }
        case 19:
            if equal(bytes, name, "proxy-authorization") { return .hopByHop }
        default: break
        }
        let prefix = "x-forwarded-"
        guard name.count > prefix.utf8.count else { return .other }
        let start = name.lowerBound..<name.lowerBound + prefix.utf8.count
        return equal(bytes, start, prefix) ? .forwarded : .other
    }

    /// Compares with a name in lower case; an underscore counts as a hyphen.
    private static func equal(_ bytes: Span<UInt8>, _ name: Range<Int>, _ known: String) -> Bool {
        var index = name.lowerBound
        for expected in known.utf8 {
            let byte = bytes[index]
            if HTTPGrammar.lowercased(byte) != expected, byte != 0x5F || expected != 0x2D { return false }
            index += 1
        }
        return true
    }
}
