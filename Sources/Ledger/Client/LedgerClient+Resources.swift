internal import Contracts

extension LedgerClient {
    /// The hashes of a tile, `width` of them, from the first source that has it.
    public func tile(level: Int, index: UInt64, width: Int) async throws(LedgerClientError) -> [UInt8] {
        try await inTurn { source async throws(LedgerClientError) -> [UInt8] in
            try await self.tile(level: level, index: index, width: width, from: source)
        }
    }

    /// The bytes of an entry bundle, not parsed, from the first source that has it.
    public func bundle(index: UInt64, width: Int) async throws(LedgerClientError) -> [UInt8] {
        try await inTurn { source async throws(LedgerClientError) -> [UInt8] in
            try await self.bundle(index: index, width: width, from: source)
        }
    }

    /// The receipt of the entry at `index`, not verified.
    public func receipt(index: UInt64) async throws(LedgerClientError) -> [UInt8] {
        try await inTurn { source async throws(LedgerClientError) -> [UInt8] in
            let path = "/receipts/\(index).tlog-proof"
            return try await self.resource(path, from: source, limit: self.limits.answerBytes)
        }
    }
}

extension LogTransport {
    func tile(
        level: Int,
        index: UInt64,
        width: Int,
        from source: LedgerClient.Source,
        isBypassingCaches: Bool = false
    ) async throws(LedgerClientError) -> [UInt8] {
        let path = "/\(TilePath(.hashes(level: level), index: index, width: width))"
        let bytes = try await resource(
            path,
            from: source,
            limit: limits.tileBytes,
            isBypassingCaches: isBypassingCaches
        )
        guard bytes.count == width * 32 else {
            throw LedgerClientError(
                .malformed,
                source: source.url,
                message: "GET \(source.url)\(path) answered \(bytes.count) bytes, not \(width * 32)"
            )
        }
        return bytes
    }

    func bundle(
        index: UInt64,
        width: Int,
        from source: LedgerClient.Source,
        isBypassingCaches: Bool = false
    ) async throws(LedgerClientError) -> [UInt8] {
        try await resource(
            "/\(TilePath(.entries, index: index, width: width))",
            from: source,
            limit: limits.bundleBytes,
            deadline: limits.bundleDeadline,
            acceptsGzip: true,
            isBypassingCaches: isBypassingCaches
        )
    }
}
