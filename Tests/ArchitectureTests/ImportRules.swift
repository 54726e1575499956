import Testing

@Suite("Who may import whom")
struct ImportRules {
    let tree: SourceTree

    init() throws {
        tree = try SourceTree()
    }

    @Test(
        "a pure folder imports nothing but what it is made of",
        arguments: [
            ("Contracts", ["Crypto", "HashTreeCollections"]),
            ("Ledger/Log", ["Contracts", "Crypto"]),
            ("Gateway/Routing", ["Contracts", "HashTreeCollections"]),
        ]
    )
    func pureFolders(folder: String, allowed: [String]) throws {
        let files = tree.files(in: folder)
        try #require(!files.isEmpty, "Sources/\(folder) has no files; did it move?")
        for file in files {
            #expect(file.imports.subtracting(allowed).isEmpty, "\(file) imports \(file.imports)")
        }
    }

    @Test(
        "a pure folder has no time, chance or concurrency",
        arguments: ["Contracts", "Ledger/Log", "Gateway/Routing"]
    )
    func pureCode(folder: String) {
        let words = [
            "async", "await", "Task", "random", "shuffled", "SystemRandomNumberGenerator", "ContinuousClock",
            "SuspendingClock", "print",
        ]
        for file in tree.files(in: folder) {
            #expect(file.lines(with: words).isEmpty, "\(file) lines \(file.lines(with: words))")
        }
    }

    @Test("the ledger and the gateway never import each other")
    func siblings() {
        for file in tree.files(in: "Ledger") {
            #expect(file.imports.isDisjoint(with: ["Gateway", "gw_node"]), "\(file)")
        }
        for file in tree.files(in: "Gateway") {
            #expect(file.imports.isDisjoint(with: ["Ledger", "gw_node"]), "\(file)")
        }
    }

    @Test("the byte path stays free of NIO, hummingbird and Foundation")
    func bytePath() {
        let foreign = ["Foundation", "Hummingbird", "NIOCore", "NIOPosix", "GRDB"]
        for file in tree.files(in: "Gateway") {
            #expect(file.imports.isDisjoint(with: foreign), "\(file) imports \(file.imports)")
        }
    }

    @Test("nothing above the folder TLS sees a type of a TLS library")
    func tlsLibraries() {
        let libraries = ["COpenSSL", "CRecordCipher"]
        #expect(tree.files(in: "Gateway/TLS").contains { !$0.imports.isDisjoint(with: libraries) })
        for file in tree.files where file.path.hasPrefix("Sources/") && !file.path.hasPrefix("Sources/Gateway/TLS/") {
            #expect(file.imports.isDisjoint(with: libraries), "\(file) imports \(file.imports)")
        }
    }
}
