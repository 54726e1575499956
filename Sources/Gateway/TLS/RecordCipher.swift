internal import CRecordCipher

/// AES-128-GCM for the records of one direction of a TLS 1.3 connection (RFC 8446, 5.2): a header, then one call with the whole payload.
///
/// The cipher is that of swift-crypto's library: it uses the widest vector instructions that the processor has, and swift-crypto's
/// public calls would copy and allocate for every record. Loop-owned.
@safe final class RecordCipher {
    static let keySize = 16
    static let nonceSize = 12
    static let tagSize = 16
    /// A record's header has five bytes.
    static let headerLimit = 16

    enum Direction {
        case sealing
        case opening
    }

    var direction = Direction.sealing
    private var key: OpaquePointer?
    /// Nonce, tag and header, one behind the other.
    private let fields = UnsafeMutablePointer<UInt8>.allocate(capacity: nonceSize + tagSize + headerLimit)
    private var headerCount = 0
    private var hasNonce = false

    private var nonce: UnsafeMutablePointer<UInt8> { unsafe fields }
    /// 16 bytes: the tag of the last record that was sealed, or that of the record to be opened next.
    var tag: UnsafeMutablePointer<UInt8> { unsafe fields + Self.nonceSize }
    private var header: UnsafeMutablePointer<UInt8> { unsafe fields + Self.nonceSize + Self.tagSize }

    deinit {
        unsafe webgw_aead_key_free(key)
        unsafe fields.deallocate()
    }

    /// False when the key has another size than 16 bytes.
    func setKey(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        unsafe webgw_aead_key_free(key)
        unsafe key = webgw_aead_key_new(webgw_aes_128_gcm(), bytes.baseAddress, bytes.count, Self.tagSize)
        return unsafe key != nil
    }

    /// Begins a record. False when the nonce has another size than 12 bytes.
    func setNonce(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count == Self.nonceSize, let start = bytes.baseAddress else { return false }
        unsafe nonce.update(from: start, count: bytes.count)
        headerCount = 0
        hasNonce = true
        return true
    }

    /// What is authenticated and not encrypted. False when it is longer than `headerLimit`.
    func setHeader(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count <= Self.headerLimit else { return false }
        if let start = bytes.baseAddress { unsafe header.update(from: start, count: bytes.count) }
        headerCount = bytes.count
        return true
    }

    /// Encrypts or decrypts the whole payload to as many bytes at `target`, which may be where it lies. False, and nothing at `target` to be
    /// used, without a key or a nonce of its own, or when the tag of an opened record does not fit.
    func apply(to payload: UnsafeBufferPointer<UInt8>, target: UnsafeMutablePointer<UInt8>) -> Bool {
        guard let key = unsafe key, hasNonce else { return false }
        // A nonce serves one record.
        hasNonce = false
        switch direction {
        case .sealing:
            var written = 0
            return unsafe webgw_aead_seal(
                key,
                target,
                tag,
                &written,
                Self.tagSize,
                nonce,
                Self.nonceSize,
                payload.baseAddress,
                payload.count,
                nil,
                0,
                header,
                headerCount
            ) == 1
        case .opening:
            return unsafe webgw_aead_open(
                key,
                target,
                nonce,
                Self.nonceSize,
                payload.baseAddress,
                payload.count,
                tag,
                Self.tagSize,
                header,
                headerCount
            ) == 1
        }
    }
}
