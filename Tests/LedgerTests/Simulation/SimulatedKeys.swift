import Contracts
import Ledger
import NIOConcurrencyHelpers

/// How the notes of a simulated history are signed and checked: with real keys, or with a stand-in that costs one hash.
struct SimulatedKeys: Sendable {
    let check: SignatureCheck
    let sign: @Sendable (_ key: SigningKey, _ message: [UInt8]) -> [UInt8]
    /// Signatures that were checked.
    let count: NIOLockedValueBox<Int>

    static func real() -> SimulatedKeys {
        make(SignatureCheck.ed25519.isValid, { $0.signature(for: $1) })
    }

    /// A signature is a hash of key and message: nobody in the simulation makes one for a key that is not its own.
    static func standIn() -> SimulatedKeys {
        make({ mark($0, $2) == $1 }, { mark($0.publicKey, $1) })
    }

    private static func make(
        _ valid: @escaping @Sendable (PublicKey, [UInt8], [UInt8]) -> Bool,
        _ sign: @escaping @Sendable (SigningKey, [UInt8]) -> [UInt8]
    ) -> SimulatedKeys {
        let count = NIOLockedValueBox(0)
        let check = SignatureCheck { key, signature, message in
            count.withLockedValue { $0 += 1 }
            return valid(key, signature, message)
        }
        return SimulatedKeys(check: check, sign: sign, count: count)
    }

    private static func mark(_ key: PublicKey, _ message: [UInt8]) -> [UInt8] {
        var hasher = Hasher()
        hasher.combine(key)
        // What is signed is text, and the hash of a string is the cheapest that there is.
        hasher.combine(String(decoding: message, as: UTF8.self))
        var hash = hasher.finalize()
        var signature = [UInt8](repeating: 0, count: 64)
        for place in 0..<8 {
            signature[place] = UInt8(truncatingIfNeeded: hash)
            hash >>= 8
        }
        return signature
    }
}
