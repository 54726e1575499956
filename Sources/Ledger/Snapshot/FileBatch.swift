internal import Foundation

/// Files below one folder that become durable together, for a few flushes of the disk instead of two for each.
///
/// A file is written as a draft. `commit` brings all drafts to the disk and then gives them their names, so a name never
/// stands for half a file, also after a power cut. What a crash leaves behind are drafts, which the next batch removes.
/// A name that is taken loses its file first: what is replaced must be nothing that anybody is led to. One batch of a
/// folder at a time.
struct FileBatch {
    /// Folder of the drafts, below the root.
    static let drafts = ".draft"

    private let root: String
    private var names: [String] = []
    /// Folders that are known to exist.
    private var folders: Set<String> = []

    /// - Parameter root: an existing folder.
    init(root: String) throws {
        self.root = root
        let drafts = "\(root)/\(Self.drafts)"
        if FileManager.default.fileExists(atPath: drafts) { try FileManager.default.removeItem(atPath: drafts) }
        try FileManager.default.createDirectory(atPath: drafts, withIntermediateDirectories: false)
    }

    /// Files that are not committed.
    var count: Int { names.count }

    /// Takes a file, readable by everybody as a web server has to. Of two with one name the last counts.
    mutating func write(_ bytes: [UInt8], _ name: String) throws {
        let draft = self.draft(names.count)
        try Data(bytes).write(to: URL(fileURLWithPath: draft))
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: draft)
        names.append(name)
    }

    /// Makes the files durable and visible.
    mutating func commit() throws {
        guard !names.isEmpty else { return }
        try DurableFiles.synchronise(all: names.indices.map(draft))
        var changed: Set<String> = []
        for (number, name) in names.enumerated() {
            let place = "\(root)/\(name)"
            let folder = URL(fileURLWithPath: place).deletingLastPathComponent().path
            if folders.insert(folder).inserted { try DurableFiles.makeFolder(folder) }
            if FileManager.default.fileExists(atPath: place) { try FileManager.default.removeItem(atPath: place) }
            try FileManager.default.moveItem(atPath: draft(number), toPath: place)
            changed.insert(folder)
        }
        try DurableFiles.synchronise(all: Array(changed))
        // At this point the files and their names survive a power cut.
        names = []
    }

    /// Removes the folder of the drafts, and what was not committed with it.
    consuming func end() throws {
        try FileManager.default.removeItem(atPath: "\(root)/\(Self.drafts)")
    }

    private func draft(_ number: Int) -> String { "\(root)/\(Self.drafts)/\(number)" }
}
