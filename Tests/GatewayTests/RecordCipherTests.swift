import COpenSSL
import Contracts
import Testing

@testable import Gateway

@Suite("The cipher of the tunnel's records")
struct RecordCipherTests {
    /// One message as OpenSSL's users see it: EVP, with a cipher of either library.
    @safe private final class Message {
        private let cipher: OpaquePointer
        private let context = unsafe EVP_CIPHER_CTX_new()
        private let isSealing: Bool

        init?(own: Bool, isSealing: Bool, key: [UInt8]) {
            let fetched =
                own
                ? unsafe EVP_CIPHER_fetch(RecordCipherProvider.context, "AES-128-GCM", RecordCipherProvider.preference)
                : unsafe EVP_CIPHER_fetch(nil, "AES-128-GCM", nil)
            guard let fetched = unsafe fetched else { return nil }
            unsafe cipher = fetched
            self.isSealing = isSealing
            guard unsafe EVP_CipherInit_ex(context, cipher, nil, key, nil, isSealing ? 1 : 0) == 1 else { return nil }
        }

        deinit {
            unsafe EVP_CIPHER_CTX_free(context)
            unsafe EVP_CIPHER_free(cipher)
        }

        var provider: String { unsafe String(cString: OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher))) }

        func begin(nonce: [UInt8], header: [UInt8]) -> Bool {
            var count: Int32 = 0
            guard unsafe EVP_CipherInit_ex(context, nil, nil, nil, nonce, -1) == 1 else { return false }
            return unsafe EVP_CipherUpdate(context, nil, &count, header, Int32(header.count)) == 1
        }

        /// Nil when the bytes are refused. In place, as records are.
        func apply(_ payload: [UInt8]) -> [UInt8]? {
            var bytes = payload
            var count: Int32 = 0
            let isDone = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
                unsafe EVP_CipherUpdate(context, buffer.baseAddress, &count, buffer.baseAddress, Int32(buffer.count))
                    == 1
            }
            var rest: Int32 = 0
            var unused = [UInt8](repeating: 0, count: 16)
            guard isDone, Int(count) == payload.count, unsafe EVP_CipherFinal_ex(context, &unused, &rest) == 1,
                rest == 0
            else { return nil }
            return bytes
        }

        func setTag(_ tag: [UInt8]) -> Bool {
            var tag = tag
            return unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1
        }

        var tag: [UInt8]? {
            var tag = [UInt8](repeating: 0, count: 16)
            return unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag) == 1 ? tag : nil
        }

        func seal(_ plain: [UInt8], nonce: [UInt8], header: [UInt8]) -> (bytes: [UInt8], tag: [UInt8])? {
            guard begin(nonce: nonce, header: header), let bytes = apply(plain), let tag else { return nil }
            return (bytes, tag)
        }

        func open(_ sealed: [UInt8], tag: [UInt8], nonce: [UInt8], header: [UInt8]) -> [UInt8]? {
            // As OpenSSL's TLS does it: nonce, tag, header, payload.
            guard unsafe EVP_CipherInit_ex(context, nil, nil, nil, nonce, -1) == 1, setTag(tag) else { return nil }
            var count: Int32 = 0
            guard unsafe EVP_CipherUpdate(context, nil, &count, header, Int32(header.count)) == 1 else { return nil }
            return apply(sealed)
        }
    }

    private static let key = testBytes(16, seed: 1)
    private static let nonce = testBytes(12, seed: 2)
    private static let header: [UInt8] = [23, 3, 3, 0, 80]

    @Test("the settings of tunnels find the provider's AES-128-GCM, the rest of the process finds OpenSSL's")
    func providers() throws {
        #expect(try #require(Message(own: true, isSealing: true, key: Self.key)).provider == "webgw")
        #expect(try #require(Message(own: false, isSealing: true, key: Self.key)).provider == "default")
        let other = unsafe EVP_CIPHER_fetch(
            RecordCipherProvider.context,
            "AES-256-GCM",
            RecordCipherProvider.preference
        )
        defer { unsafe EVP_CIPHER_free(other) }
        #expect(unsafe String(cString: OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(other))) == "default")
    }

    @Test("test case 3 of the GCM submission to NIST (McGrew and Viega)")
    func knownAnswer() throws {
        let plain =
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
            + "b16aedf5aa0de657ba637b391aafd255"
        let key = try #require(Hex.decode("feffe9928665731c6d6a8f9467308308"))
        let message = try #require(Message(own: true, isSealing: true, key: key))
        let nonce = try #require(Hex.decode("cafebabefacedbaddecaf888"))
        let bytes = try #require(Hex.decode(plain))
        let sealed = try #require(message.seal(bytes, nonce: nonce, header: []))
        #expect(
            Hex.encode(sealed.bytes)
                == "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05"
                + "1ba30b396a0aac973d58e091473f5985"
        )
        #expect(Hex.encode(sealed.tag) == "4d5c2af327cd64a62cf35abd2ba6fab4")
    }

    @Test("it seals what OpenSSL's own AES-128-GCM seals, and each opens what the other sealed")
    func differential() throws {
        let sizes = Array(1...330) + [1_400, 8_191, 16_384, 16_385]
        for (index, size) in sizes.enumerated() {
            let seed = UInt64(index + 1)
            let (key, nonce) = (testBytes(16, seed: seed), testBytes(12, seed: seed + 1_000))
            let (header, plain) = (testBytes(index % 17, seed: seed + 2_000), testBytes(size, seed: seed + 3_000))
            let sealing = try [true, false].map { own in
                try #require(Message(own: own, isSealing: true, key: key)?.seal(plain, nonce: nonce, header: header))
            }
            #expect(sealing[0] == sealing[1], "seed \(seed)")
            for own in [true, false] {
                let opened = Message(own: own, isSealing: false, key: key)?
                    .open(sealing[0].bytes, tag: sealing[0].tag, nonce: nonce, header: header)
                #expect(opened == plain, "seed \(seed), own \(own)")
            }
        }
    }

    @Test("a changed bit of payload, tag, header or nonce is refused, and the right record after it is opened")
    func tampered() throws {
        let plain = testBytes(80)
        let sealed = try #require(
            Message(own: true, isSealing: true, key: Self.key)?.seal(plain, nonce: Self.nonce, header: Self.header)
        )
        let opening = try #require(Message(own: true, isSealing: false, key: Self.key))
        func flipped(_ bytes: [UInt8], _ bit: Int) -> [UInt8] {
            var bytes = bytes
            bytes[bit / 8] ^= 1 << (bit % 8)
            return bytes
        }
        for bit in 0..<(80 * 8) {
            #expect(
                opening.open(flipped(sealed.bytes, bit), tag: sealed.tag, nonce: Self.nonce, header: Self.header) == nil
            )
        }
        for bit in 0..<(16 * 8) {
            #expect(
                opening.open(sealed.bytes, tag: flipped(sealed.tag, bit), nonce: Self.nonce, header: Self.header) == nil
            )
        }
        for bit in 0..<(5 * 8) {
            #expect(
                opening.open(sealed.bytes, tag: sealed.tag, nonce: Self.nonce, header: flipped(Self.header, bit)) == nil
            )
        }
        for bit in 0..<(12 * 8) {
            #expect(
                opening.open(sealed.bytes, tag: sealed.tag, nonce: flipped(Self.nonce, bit), header: Self.header) == nil
            )
        }
        #expect(opening.open(sealed.bytes, tag: sealed.tag, nonce: Self.nonce, header: Self.header) == plain)
    }

    @Test("a nonce serves one record: a second payload under it is refused")
    func nonceOnce() throws {
        let message = try #require(Message(own: true, isSealing: true, key: Self.key))
        #expect(message.apply([1, 2, 3]) == nil, "without a nonce")
        #expect(message.begin(nonce: Self.nonce, header: Self.header))
        #expect(message.apply([1, 2, 3]) != nil)
        #expect(message.apply([1, 2, 3]) == nil)
        #expect(message.seal([1, 2, 3], nonce: testBytes(12, seed: 3), header: Self.header) != nil)
    }

    @Test("a header longer than its bound, and a nonce or a tag of another size, are refused")
    func sizes() throws {
        let message = try #require(Message(own: true, isSealing: true, key: Self.key))
        #expect(!message.begin(nonce: Self.nonce, header: testBytes(RecordCipher.headerLimit + 1)))
        let opening = try #require(Message(own: true, isSealing: false, key: Self.key))
        #expect(!opening.setTag(testBytes(12)))
        let cipher = RecordCipher()
        #expect(unsafe !testBytes(11).withUnsafeBufferPointer { unsafe cipher.setNonce($0) })
        #expect(unsafe !testBytes(24).withUnsafeBufferPointer { unsafe cipher.setKey($0) })
        var target = [UInt8](repeating: 0, count: 3)
        #expect(unsafe testBytes(12).withUnsafeBufferPointer { unsafe cipher.setNonce($0) })
        let isSealed = unsafe target.withUnsafeMutableBufferPointer {
            unsafe cipher.apply(to: UnsafeBufferPointer($0), target: $0.baseAddress!)
        }
        #expect(!isSealed, "without a key")
    }
}
