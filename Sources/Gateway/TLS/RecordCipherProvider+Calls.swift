internal import COpenSSL

/// The calls of the cipher, as core_dispatch.h has them. A cipher's context is a `RecordCipher` that OpenSSL owns.
extension RecordCipherProvider {
    typealias Bytes = UnsafePointer<UInt8>
    typealias MutableBytes = UnsafeMutablePointer<UInt8>
    typealias Parameters = UnsafeMutablePointer<OSSL_PARAM>
    typealias ConstantParameters = UnsafePointer<OSSL_PARAM>
    typealias Context = UnsafeMutableRawPointer

    private typealias Make = @convention(c) (Context?) -> Context?
    private typealias Free = @convention(c) (Context?) -> Void
    private typealias Begin = @convention(c) (Context?, Bytes?, Int, Bytes?, Int, ConstantParameters?) -> Int32
    private typealias Update =
        @convention(c) (Context?, MutableBytes?, UnsafeMutablePointer<Int>?, Int, Bytes?, Int) -> Int32
    private typealias Final = @convention(c) (Context?, MutableBytes?, UnsafeMutablePointer<Int>?, Int) -> Int32
    private typealias Describe = @convention(c) (Parameters?) -> Int32
    private typealias Get = @convention(c) (Context?, Parameters?) -> Int32
    private typealias Set = @convention(c) (Context?, ConstantParameters?) -> Int32

    static func cipherCalls() -> [(Int32, Call)] {
        let made: Make = { _ in unsafe Unmanaged.passRetained(RecordCipher()).toOpaque() }
        let freed: Free = { context in
            guard let context = unsafe context else { return }
            unsafe Unmanaged<RecordCipher>.fromOpaque(context).release()
        }
        let sealing: Begin = { context, key, keySize, nonce, nonceSize, _ in
            unsafe RecordCipherProvider.begin(context, .sealing, (key, keySize), (nonce, nonceSize))
        }
        let opening: Begin = { context, key, keySize, nonce, nonceSize, _ in
            unsafe RecordCipherProvider.begin(context, .opening, (key, keySize), (nonce, nonceSize))
        }
        let updated: Update = { context, target, written, room, bytes, count in
            unsafe written?.pointee = count
            return unsafe RecordCipherProvider.update(
                context,
                target,
                room,
                UnsafeBufferPointer(start: bytes, count: count)
            ) ? 1 : 0
        }
        // The payload came whole, so nothing is left to write.
        let ended: Final = { _, _, written, _ in
            unsafe written?.pointee = 0
            return 1
        }
        let described: Describe = { parameters in unsafe RecordCipherProvider.describe(parameters) ? 1 : 0 }
        let got: Get = { context, parameters in unsafe RecordCipherProvider.get(context, parameters) ? 1 : 0 }
        let taken: Set = { context, parameters in unsafe RecordCipherProvider.set(context, parameters) ? 1 : 0 }
        return unsafe [
            (OSSL_FUNC_CIPHER_NEWCTX, unsafeBitCast(made, to: Call.self)),
            (OSSL_FUNC_CIPHER_FREECTX, unsafeBitCast(freed, to: Call.self)),
            (OSSL_FUNC_CIPHER_ENCRYPT_INIT, unsafeBitCast(sealing, to: Call.self)),
            (OSSL_FUNC_CIPHER_DECRYPT_INIT, unsafeBitCast(opening, to: Call.self)),
            (OSSL_FUNC_CIPHER_UPDATE, unsafeBitCast(updated, to: Call.self)),
            (OSSL_FUNC_CIPHER_FINAL, unsafeBitCast(ended, to: Call.self)),
            (OSSL_FUNC_CIPHER_GET_PARAMS, unsafeBitCast(described, to: Call.self)),
            (OSSL_FUNC_CIPHER_GET_CTX_PARAMS, unsafeBitCast(got, to: Call.self)),
            (OSSL_FUNC_CIPHER_SET_CTX_PARAMS, unsafeBitCast(taken, to: Call.self)),
        ]
    }

    private static func cipher(_ context: Context?) -> RecordCipher? {
        guard let context = unsafe context else { return nil }
        return unsafe Unmanaged<RecordCipher>.fromOpaque(context).takeUnretainedValue()
    }

    /// Key and nonce come together or in two calls, and a key stays for the nonces after it.
    private static func begin(
        _ context: Context?,
        _ direction: RecordCipher.Direction,
        _ key: (start: Bytes?, count: Int),
        _ nonce: (start: Bytes?, count: Int)
    ) -> Int32 {
        guard let cipher = unsafe cipher(context) else { return 0 }
        cipher.direction = direction
        if let start = unsafe key.start,
            unsafe !cipher.setKey(UnsafeBufferPointer(start: start, count: key.count))
        {
            return 0
        }
        if let start = unsafe nonce.start,
            unsafe !cipher.setNonce(UnsafeBufferPointer(start: start, count: nonce.count))
        {
            return 0
        }
        return 1
    }

    /// Bytes without a target are the header, others the payload.
    private static func update(
        _ context: Context?,
        _ target: MutableBytes?,
        _ room: Int,
        _ bytes: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        guard let cipher = unsafe cipher(context) else { return false }
        guard let target = unsafe target else { return unsafe cipher.setHeader(bytes) }
        return unsafe bytes.count <= room && cipher.apply(to: bytes, target: target)
    }

    /// What every AES-128-GCM is: a stream without padding, which begins by a nonce and ends by a tag.
    private static func describe(_ parameters: Parameters?) -> Bool {
        unsafe put(UInt32(EVP_CIPH_GCM_MODE), OSSL_CIPHER_PARAM_MODE, parameters, OSSL_PARAM_set_uint)
            && put(Int32(1), OSSL_CIPHER_PARAM_AEAD, parameters, OSSL_PARAM_set_int)
            && put(Int32(1), OSSL_CIPHER_PARAM_CUSTOM_IV, parameters, OSSL_PARAM_set_int)
            && put(1, OSSL_CIPHER_PARAM_BLOCK_SIZE, parameters, OSSL_PARAM_set_size_t)
            && putSizes(parameters)
    }

    private static func putSizes(_ parameters: Parameters?) -> Bool {
        unsafe put(RecordCipher.keySize, OSSL_CIPHER_PARAM_KEYLEN, parameters, OSSL_PARAM_set_size_t)
            && put(RecordCipher.nonceSize, OSSL_CIPHER_PARAM_IVLEN, parameters, OSSL_PARAM_set_size_t)
    }

    private static func get(_ context: Context?, _ parameters: Parameters?) -> Bool {
        guard let cipher = unsafe cipher(context), unsafe putSizes(parameters) else { return false }
        guard let tag = unsafe OSSL_PARAM_locate(parameters, OSSL_CIPHER_PARAM_AEAD_TAG) else { return true }
        return unsafe OSSL_PARAM_set_octet_string(tag, cipher.tag, RecordCipher.tagSize) == 1
    }

    /// Takes the tag of a record that is to be opened; sizes may be said, not changed.
    private static func set(_ context: Context?, _ parameters: ConstantParameters?) -> Bool {
        guard let cipher = unsafe cipher(context) else { return false }
        if let size = unsafe OSSL_PARAM_locate_const(parameters, OSSL_CIPHER_PARAM_IVLEN) {
            var value = 0
            guard unsafe OSSL_PARAM_get_size_t(size, &value) == 1, value == RecordCipher.nonceSize else { return false }
        }
        guard let tag = unsafe OSSL_PARAM_locate_const(parameters, OSSL_CIPHER_PARAM_AEAD_TAG) else { return true }
        guard unsafe tag.pointee.data_size == RecordCipher.tagSize else { return false }
        guard let bytes = unsafe tag.pointee.data else { return true }
        unsafe cipher.tag.update(from: bytes.assumingMemoryBound(to: UInt8.self), count: RecordCipher.tagSize)
        return true
    }

    /// Writes a value where it is asked for.
    private static func put<Value>(
        _ value: Value,
        _ name: String,
        _ parameters: Parameters?,
        _ write: (Parameters, Value) -> Int32
    ) -> Bool {
        guard let parameter = unsafe OSSL_PARAM_locate(parameters, name) else { return true }
        return unsafe write(parameter, value) == 1
    }
}
