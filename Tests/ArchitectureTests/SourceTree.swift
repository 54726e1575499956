import Foundation

/// The Swift files of the package, read as text.
struct SourceTree {
    struct File: CustomStringConvertible {
        /// Relative to the package, such as `Sources/Contracts/Values/Hex.swift`.
        var path: String
        /// Lines without comments, so that prose never trips a rule.
        var lines: [String]

        var description: String { path }

        /// The modules that the file imports, whatever the access level of the import.
        var imports: Set<String> {
            Set(
                lines.compactMap { line in
                    let words = line.split(separator: " ")
                    guard let position = words.firstIndex(of: "import"), position + 1 < words.count,
                        words[..<position].allSatisfy(Self.isImportPrefix)
                    else { return nil }
                    // `import struct Module.Name` and `import Module` name the module in the last word.
                    let last = words[words.count - 1].split(separator: ".")
                    return last.first.map(String.init)
                }
            )
        }

        private static func isImportPrefix(_ word: Substring) -> Bool {
            word.hasPrefix("@") || ["public", "package", "internal", "private", "fileprivate"].contains(word)
        }

        /// Line numbers (from 1) whose code holds one of these words as a whole word.
        func lines(with words: [String]) -> [Int] {
            lines.indices.filter { index in
                words.contains { Self.holds($0, in: lines[index]) }
            }
            .map { $0 + 1 }
        }

        private static func holds(_ word: String, in line: String) -> Bool {
            var rest = line[...]
            while let range = rest.range(of: word) {
                let before = range.lowerBound == line.startIndex ? nil : line[line.index(before: range.lowerBound)]
                let after = range.upperBound == line.endIndex ? nil : line[range.upperBound]
                if !isWordCharacter(before), !isWordCharacter(after) { return true }
                rest = rest[range.upperBound...]
            }
            return false
        }

        private static func isWordCharacter(_ character: Character?) -> Bool {
            character.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false
        }
    }

    let files: [File]

    /// Reads the package that this test was compiled from.
    init(testFile: String = #filePath) throws {
        let package = URL(fileURLWithPath: testFile).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let sources = package.appendingPathComponent("Sources")
        var found: [File] = []
        let walker = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
        while let url = walker?.nextObject() as? URL {
            guard url.pathExtension == "swift" else { continue }
            let text = try String(contentsOf: url, encoding: .utf8)
            let path = String(url.path.dropFirst(package.path.count + 1))
            found.append(File(path: path, lines: text.components(separatedBy: "\n").map(Self.code)))
        }
        files = found.sorted { $0.path < $1.path }
    }

    func files(in folder: String) -> [File] {
        files.filter { $0.path.hasPrefix("Sources/\(folder)/") }
    }

    private static func code(_ line: String) -> String {
        guard let comment = line.range(of: "//") else { return line }
        // A URL in a string literal is no comment; cutting the line there still leaves the code before it.
        return String(line[..<comment.lowerBound])
    }
}
