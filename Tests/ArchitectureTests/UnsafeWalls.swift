import Testing

@Suite("Where unsafe code may stand")
struct UnsafeWalls {
    let tree: SourceTree

    init() throws {
        tree = try SourceTree()
    }

    /// Prefixes of the files that may hold raw pointers: the wrappers of the system's C interfaces.
    private static let walls = [
        "Sources/Gateway/Loop/", "Sources/Gateway/TLS/", "Sources/Ledger/Client/Curl",
        "Sources/Ledger/Service/Compression/ZlibGzip.swift", "Sources/gw-node/Shell/Posix.swift",
    ]

    private static let words = [
        "unsafe", "UnsafePointer", "UnsafeMutablePointer", "UnsafeRawPointer", "UnsafeMutableRawPointer",
        "UnsafeBufferPointer", "UnsafeMutableBufferPointer", "UnsafeRawBufferPointer",
        "UnsafeMutableRawBufferPointer", "OpaquePointer", "Unmanaged", "unsafeBitCast", "withUnsafeBytes",
        "withUnsafeMutableBytes", "withUnsafePointer",
    ]

    @Test("raw pointers stay inside the walls")
    func pointers() throws {
        try #require(!tree.files.isEmpty)
        for file in tree.files where !Self.walls.contains(where: file.path.hasPrefix) {
            #expect(file.lines(with: Self.words).isEmpty, "\(file) lines \(file.lines(with: Self.words))")
        }
    }

    @Test("every wall still has code behind it")
    func wallsExist() {
        for wall in Self.walls {
            #expect(tree.files.contains { $0.path.hasPrefix(wall) }, "no file begins with \(wall); shorten the list")
        }
    }

    @Test("nobody vouches for a type that the compiler cannot check, except the event loop")
    func uncheckedSendable() {
        expectNone(of: "@unchecked", outside: ["Sources/Gateway/Loop/"])
    }

    @Test("unchecked isolation stays inside the walls")
    func uncheckedIsolation() {
        expectNone(of: "nonisolated(unsafe)", outside: Self.walls)
    }

    private func expectNone(of mark: String, outside folders: [String]) {
        for file in tree.files where !folders.contains(where: file.path.hasPrefix) {
            let lines = file.lines.indices.filter { file.lines[$0].contains(mark) }
            #expect(lines.isEmpty, "\(file) lines \(lines.map { $0 + 1 })")
        }
    }
}
