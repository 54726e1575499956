public import Foundation

/// Where tests find data: the fixtures of the project, and the public vectors that are not part of it.
public enum VectorFiles {
    /// The folder of the package.
    public static let project = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// A path below `fixtures/`.
    public static func fixture(_ path: String) -> URL {
        project.appending(path: "fixtures").appending(path: path)
    }

    /// The public vectors: the folder `vectors` of WEBGW_SHARED, or of `shared` beside the package; nil when neither is there.
    public static let shared: URL? = {
        let folder =
            ProcessInfo.processInfo.environment["WEBGW_SHARED"].map { URL(filePath: $0) }
            ?? project.deletingLastPathComponent().appending(path: "shared")
        let vectors = folder.appending(path: "vectors")
        return FileManager.default.fileExists(atPath: vectors.path) ? vectors : nil
    }()

    /// Whether the public vectors are there; tests that need them are skipped when not.
    public static var areShared: Bool { shared != nil }

    /// A file below the public vectors.
    public static func sharedFile(_ path: String) throws -> [UInt8] {
        guard let shared else { throw CocoaError(.fileNoSuchFile) }
        return [UInt8](try Data(contentsOf: shared.appending(path: path)))
    }
}
