import Contracts

/// Values whose form the protocol fixes.
extension ConfigurationValue {
    /// One of a few words.
    func word<Word: RawRepresentable<String>>(_ words: [Word]) throws(CommandFailure) -> Word {
        let text = try string()
        for word in words where word.rawValue.utf8.elementsEqual(text.utf8) { return word }
        throw failure("must be one of \(words.map(\.rawValue).joined(separator: ", "))")
    }

    /// A list in which no element stands twice, ascending by bytes.
    func distinct(
        _ count: ClosedRange<Int>,
        _ read: (ConfigurationValue) throws(CommandFailure) -> String
    ) throws(CommandFailure) -> [String] {
        var result: [String] = []
        for value in try list() {
            let text = try read(value)
            if result.contains(text) { throw value.failure("stands twice in the list; keep one") }
            result.append(text)
        }
        guard count.contains(result.count) else {
            throw failure("must have \(count.lowerBound) to \(count.upperBound) elements")
        }
        return result.sorted(by: precedes)
    }

    /// Ports as people write them: `6379`, `6000-6009`, or `{from: 6000, to: 6009}`; ascending, without overlap.
    func portRanges(widest: UInt16 = 1023) throws(CommandFailure) -> [PortRange] {
        var ranges: [PortRange] = []
        for element in try list() {
            let range = try element.portRange()
            guard range.to - range.from <= widest else {
                throw element.failure("must have at most \(Int(widest) + 1) ports in one range")
            }
            if ranges.contains(where: { $0.overlaps(range) }) {
                throw element.failure("overlaps another range of this list")
            }
            ranges.append(range)
        }
        guard (1...16).contains(ranges.count) else { throw failure("must have 1 to 16 ports or ranges") }
        return ranges.sorted { $0.from < $1.from }
    }

    private func portRange() throws(CommandFailure) -> PortRange {
        if isMapping {
            let members = try members(["from", "to"])
            let from = try members.required("from", of: self).integer(1...65_535)
            let to = try members.required("to", of: self).integer(from...65_535)
            return PortRange(from: UInt16(from), to: UInt16(to))
        }
        let parts = try string().split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        if let from = parts[0], from > 0 {
            if parts.count == 1 { return PortRange(from: from, to: from) }
            if parts.count == 2, let to = parts[1], from <= to { return PortRange(from: from, to: to) }
        }
        throw failure("must be a port such as 6379 or a range such as 6000-6009")
    }

    func label() throws(CommandFailure) -> String {
        let text = try string()
        guard Grammar.isLabel(text) else {
            throw failure("must be 1 to 32 lower-case letters, digits and inner hyphens")
        }
        return text
    }

    /// A public key in hex, or the path of a `.pub` file relative to this file's folder.
    func publicKey() throws(CommandFailure) -> PublicKey {
        let text = try string()
        do {
            return try KeyFile.publicKey(Hex.decode(text)?.count == 32 ? text : path())
        } catch {
            throw failure("is no usable public key: \(error.message)")
        }
    }

    func identifier() throws(CommandFailure) -> Identifier {
        guard let id = Identifier(hex: try string()) else { throw failure("must be an id of 64 hex digits") }
        return id
    }

    /// A span of time in whole seconds.
    func seconds(_ range: ClosedRange<Int64>) throws(CommandFailure) -> Int64 {
        let span = try duration(.seconds(range.lowerBound) ... .seconds(range.upperBound))
        guard span.components.attoseconds == 0 else { throw failure("must be whole seconds") }
        return span.components.seconds
    }

    /// A moment: `2026-01-31T12:00:00Z`, or seconds since 1970.
    func time() throws(CommandFailure) -> Int64 {
        let text = try string()
        if let seconds = Int64(text), (0...253_402_300_799).contains(seconds) { return seconds }
        let bytes = Array(text.utf8)
        let separators: [(Int, UInt8)] = [
            (4, UInt8(ascii: "-")), (7, UInt8(ascii: "-")), (10, UInt8(ascii: "T")), (13, UInt8(ascii: ":")),
            (16, UInt8(ascii: ":")), (19, UInt8(ascii: "Z")),
        ]
        func number(_ range: Range<Int>) -> Int? {
            let digits = bytes[range]
            guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            return Int(String(decoding: digits, as: UTF8.self))
        }
        guard bytes.count == 20, separators.allSatisfy({ bytes[$0.0] == $0.1 }),
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            let moment = CalendarTime.seconds(
                year: year,
                month: month,
                day: day,
                hour: hour,
                minute: minute,
                second: second
            ), moment >= 0
        else { throw failure("must be a time such as 2026-01-31T12:00:00Z") }
        return moment
    }

    /// A local address and port such as `0.0.0.0:443` or `[::]:80`.
    func socketAddress() throws(CommandFailure) -> (host: String, port: UInt16) {
        let text = try string()
        guard let address = SocketAddressText(text) else {
            throw failure("must be an address and a port such as 0.0.0.0:443 or [::]:80")
        }
        return (address.host, address.port)
    }
}

/// `host:port` or `[ipv6]:port`, taken apart.
struct SocketAddressText: Equatable {
    let host: String
    let port: UInt16

    init?(_ text: String) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        let digits = text[text.utf8.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.utf8.contains(UInt8(ascii: ":")) else { return nil }
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            return nil
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        self.host = String(host)
        self.port = port
    }
}
