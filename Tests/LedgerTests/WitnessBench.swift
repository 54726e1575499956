import Contracts
import Foundation
import NIOConcurrencyHelpers
import TestSupport

@testable import Ledger

/// Witnesses for a ledger in this process: real cores behind one HTTP server, each under a path of its own, and each of
/// them able to misbehave.
final class WitnessBench: Sendable {
    enum Behaviour: String, Sendable, CaseIterable {
        case honest
        case gone
        case silent
        case endless
        case forged
        case otherWitness
        case garbage
        case failing
        case wrongSize
        case endlessSize
    }

    private struct Place: Sendable {
        var witness: Witness
        var behaviour = Behaviour.honest
    }

    let identities: [WitnessIdentity]
    let clock = TestClock(TestLedger.start)
    private let folder: TemporaryFolder
    private let log = NIOLockedValueBox<WitnessedLog?>(nil)
    private let places: NIOLockedValueBox<[Place]>

    init(_ count: Int) throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        identities = (0..<count).map {
            WitnessIdentity(name: "w\($0 + 1).test", key: TestLog.key(40, UInt8($0)))
        }
        let clock = clock
        places = NIOLockedValueBox(
            try identities.enumerated().map { number, identity in
                let store = try WitnessDatabase(path: folder.path("w\(number).sqlite"))
                return Place(witness: Witness(identity: identity, store: store, check: .ed25519) { clock.now })
            }
        )
    }

    /// A policy in which `k` of the given witnesses make a quorum.
    func policy(_ k: Int, of numbers: [Int]) -> WitnessPolicy {
        let lines = numbers.map { "witness w\($0 + 1) \(identities[$0].verifierKey)\n" }.joined()
        let names = numbers.map { "w\($0 + 1)" }.joined(separator: " ")
        guard let policy = WitnessPolicy("\(lines)group g \(k) \(names)\nquorum g\n") else {
            preconditionFailure("the text follows the grammar")
        }
        return policy
    }

    func set(_ number: Int, _ behaviour: Behaviour) {
        places.withLockedValue { $0[number].behaviour = behaviour }
    }

    func witness(_ number: Int) -> Witness { places.withLockedValue { $0[number].witness } }

    /// What the witnesses know of the ledger.
    func know(_ log: WitnessedLog) { self.log.withLockedValue { $0 = log } }

    /// The lines of a ledger's file `witnesses`.
    func roster(_ server: LyingServer) -> String {
        identities.enumerated().map { "\($1.verifierKey) \(server.url)/\($0)\n" }.joined()
    }

    /// What the server of the bench does.
    var answering: LyingServer.Answer { { await self.answer($0) } }

    private func answer(_ request: LyingServer.Request) async -> LyingServer.Reply {
        let parts = request.path.split(separator: "/")
        guard parts.count == 2, parts[1] == "add-checkpoint", let number = Int(parts[0]) else { return .respond(404) }
        let place = places.withLockedValue { $0[number] }
        let log = log.withLockedValue { $0 }
        guard let answer = try? await place.witness.addCheckpoint(request.body, of: log) else { return .respond(500) }
        switch place.behaviour {
        case .honest: break
        case .gone: return .close
        case .silent: return .silence
        case .endless: return .endless(200, chunk: Array(repeating: 0x41, count: 4096))
        case .garbage: return .respond(200, body: Array("\u{2014} nobody AAAA\n".utf8))
        case .failing: return .respond(500)
        case .wrongSize: return .respond(409, body: Array("1000000\n".utf8))
        case .endlessSize: return .respond(409, body: Array("\(Int.random(in: 0...1))\n".utf8))
        case .forged:
            guard case .cosigned(var line) = answer else { break }
            line[line.count - 8] = line[line.count - 8] == 0x41 ? 0x42 : 0x41
            return .respond(200, body: line)
        case .otherWitness:
            let other = places.withLockedValue { $0[(number + 1) % $0.count].witness }
            if case .cosigned(let line)? = try? await other.addCheckpoint(request.body, of: log) {
                return .respond(200, body: line)
            }
        }
        switch answer {
        case .cosigned(let line): return .respond(200, body: line)
        case .conflict(let size): return .respond(409, body: Array("\(size)\n".utf8))
        default: return .respond(answer.status)
        }
    }
}
