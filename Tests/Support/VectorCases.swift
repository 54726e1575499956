import Contracts
import Foundation

/// A vector file of the fixtures: a comment and cases, each with members that a test takes one after the other.
public struct VectorCase: Sendable, CustomStringConvertible {
    private let object: JSONObject
    private let file: String

    /// Name, text or bytes of the case.
    public var description: String {
        let label = object["name"]?.asString ?? object["text"]?.asString ?? object["hex"]?.asString ?? "?"
        return "\(file): \(label.prefix(80))"
    }

    /// All cases of a file; a case with a member that is not listed is an error, so that nothing is passed over.
    public static func all(_ name: String, members: Set<String>) -> [VectorCase] {
        do {
            let bytes = [UInt8](try Data(contentsOf: VectorFiles.fixture("vectors/\(name).json")))
            guard let elements = try JSONValue(document: bytes)["cases"]?.asArray, !elements.isEmpty else {
                fatalError("\(name).json has no cases")
            }
            return elements.map { element in
                guard let object = element.asObject, members.isSuperset(of: object.members.map(\.name)) else {
                    fatalError("\(name).json has a case with an unknown member")
                }
                return VectorCase(object: object, file: name)
            }
        } catch {
            fatalError("\(name).json: \(error)")
        }
    }

    public func text(_ name: String) -> String { object[name]?.asString ?? "" }
    public func bytes(_ name: String) -> [UInt8]? { object[name]?.asString.flatMap(Hex.decode) }
    public func integer(_ name: String) -> Int? { object[name]?.asInteger.map { Int($0) } }
    public var isAccepted: Bool { object["accepted"] == true }
}
