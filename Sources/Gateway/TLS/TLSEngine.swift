internal import COpenSSL
internal import Glibc

/// One TLS connection, bytes in and bytes out: five calls (handshake, read, write, pending, shutdown) and no descriptor.
///
/// Ciphertext is lent with `setInput`; what OpenSSL wants to send gathers in `output`, so that all records of a turn leave
/// in one write. Loop-owned.
@safe final class TLSEngine {
    enum Progress {
        case done
        case again
        case failed(TLSError)
    }

    let connection: OpaquePointer
    let context: TLSContext
    private let pool: BufferPool
    /// The only key accepted from the peer; nil accepts any Ed25519 key (and the caller decides by `peerKey`).
    private let pinned: [UInt8]?
    private(set) var isEstablished = false
    /// The peer's Ed25519 key, 32 bytes, once established.
    private(set) var peerKey: [UInt8] = []
    /// SHA-256 of the certificate that a workload showed and that was not the pinned one.
    var strangeCertificate: [UInt8] = []
    /// The peer ended its direction by close_notify; an end without one may have been made by others.
    private(set) var didPeerClose = false
    private var didTellClose = false

    private var input: UnsafePointer<UInt8>?
    private(set) var inputCount = 0
    private var carried: [UInt8] = []
    private var carriedOffset = 0

    private var output: UnsafeMutableRawPointer?
    private var outputStart = 0
    private var outputEnd = 0
    private var outputOverflowed = false
    /// Goes before the output: what `keepOutput` took out of it.
    private var kept: StuckBytes?
    private var writtenSinceKeyUpdate: UInt64 = 0
    /// Far below the 2^24.5 records that AES-GCM allows under one key (RFC 8446, 5.5).
    private static let keyUpdateBytes: UInt64 = 64 << 30

    init(_ context: TLSContext, pinned: [UInt8]? = nil, loop: Loop) throws(TLSError) {
        self.context = context
        self.pinned = pinned
        pool = loop.pool
        guard let connection = unsafe SSL_new(context.context), let bio = unsafe BIO_new(Self.method) else {
            throw TLSError("connection")
        }
        unsafe self.connection = connection
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        unsafe BIO_set_init(bio, 1)
        unsafe SSL_set_bio(connection, bio, bio)
        unsafe SSL_set_ex_data(connection, 0, Unmanaged.passUnretained(self).toOpaque())
        switch context.role {
        case .server: unsafe SSL_set_accept_state(connection)
        case .client: unsafe SSL_set_connect_state(connection)
        }
    }

    deinit {
        unsafe SSL_free(connection)
        if let output = unsafe output { unsafe pool.give(output) }
    }

    // MARK: The five calls

    func handshake() -> Progress {
        let status = unsafe SSL_do_handshake(connection)
        if status == 1 {
            if let wanted = context.agreedProtocol, unsafe Self.agreedProtocol(connection) != wanted {
                return .failed(TLSError("handshake", reason: "the peer does not speak \(wanted)"))
            }
            isEstablished = true
            return .done
        }
        let code = unsafe SSL_get_error(connection, status)
        if code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE { return .again }
        return .failed(TLSError("handshake"))
    }

    /// Decrypts into the buffer until it is full or the input is used up. Bytes read; 0 for a close by the peer; -1 when
    /// more input is needed; -2 for a broken stream.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var got = 0
        while got < buffer.count {
            let target = unsafe buffer.baseAddress! + got
            let count = unsafe SSL_read(connection, target, Int32(clamping: buffer.count - got))
            if count > 0 {
                got += Int(count)
                if !hasPending, inputCount == 0 { return got }
                continue
            }
            let code = unsafe SSL_get_error(connection, count)
            if code == SSL_ERROR_WANT_READ { return got > 0 ? got : -1 }
            ERR_clear_error()
            if code == SSL_ERROR_ZERO_RETURN { didPeerClose = true }
            // What was decrypted before the end is delivered first; the next call meets the end again.
            if got > 0 { return got }
            didTellClose = didPeerClose
            return didPeerClose ? 0 : -2
        }
        return got
    }

    /// Encrypts all of the bytes into the output; false for a broken connection.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count > 0 else { return true }
        let count = unsafe SSL_write(connection, bytes.baseAddress, Int32(bytes.count))
        guard Int(count) == bytes.count, !outputOverflowed else {
            ERR_clear_error()
            return false
        }
        writtenSinceKeyUpdate += UInt64(bytes.count)
        if writtenSinceKeyUpdate > Self.keyUpdateBytes {
            writtenSinceKeyUpdate = 0
            return unsafe SSL_key_update(connection, SSL_KEY_UPDATE_NOT_REQUESTED) == 1
        }
        return true
    }

    /// True when a read can give bytes, or the end, without new ciphertext from the socket.
    var hasPending: Bool {
        if !carried.isEmpty || didPeerClose && !didTellClose { return true }
        return unsafe SSL_pending(connection) > 0
    }

    /// Puts close_notify into the output, once.
    func shutdown() {
        guard isEstablished, unsafe SSL_get_shutdown(connection) & SSL_SENT_SHUTDOWN == 0 else { return }
        _ = unsafe SSL_shutdown(connection)
        ERR_clear_error()
    }

    // MARK: Ciphertext in

    /// Lends ciphertext until `keepInput`. What was carried over must have been used up before.
    func setInput(_ bytes: UnsafeRawBufferPointer) {
        if carried.isEmpty {
            unsafe input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            inputCount = bytes.count
        } else {
            unsafe carried.append(contentsOf: bytes)
        }
    }

    /// Ends the loan: input that was not consumed (the plaintext buffer was full, or the handshake just ended) is copied.
    func keepInput() {
        if inputCount > 0 { unsafe carried.append(contentsOf: UnsafeBufferPointer(start: input, count: inputCount)) }
        unsafe input = nil
        inputCount = 0
    }

    private func takeInput(_ target: UnsafeMutableRawPointer, _ count: Int) -> Int {
        if !carried.isEmpty {
            let size = min(count, carried.count - carriedOffset)
            unsafe carried.withUnsafeBytes {
                unsafe target.copyMemory(from: $0.baseAddress! + carriedOffset, byteCount: size)
            }
            carriedOffset += size
            if carriedOffset == carried.count {
                carried = []
                carriedOffset = 0
            }
            return size
        }
        guard inputCount > 0 else { return 0 }
        let size = min(count, inputCount)
        unsafe target.copyMemory(from: input!, byteCount: size)
        unsafe input = input! + size
        inputCount -= size
        return size
    }

    // MARK: Ciphertext out

    /// Bytes waiting to be written to the socket.
    var outputCount: Int { (kept?.count ?? 0) + bufferedCount }

    /// Those of them that lie in the pooled buffer.
    private var bufferedCount: Int { outputEnd - outputStart }

    /// Lends the waiting ciphertext; the body returns how much it took. The buffer goes back to the pool when empty.
    func drainOutput(_ body: (UnsafeRawBufferPointer) -> Int) {
        if let kept {
            guard kept.offer({ bytes in unsafe bytes.withUnsafeBytes { unsafe body($0) } }) else { return }
            self.kept = nil
        }
        guard let output = unsafe output else { return }
        outputStart += unsafe body(UnsafeRawBufferPointer(start: output + outputStart, count: bufferedCount))
        if bufferedCount == 0 { unsafe giveOutput(output) }
    }

    /// Moves what waits out of the pooled buffer into memory of its size, counted against the loop's stuck budget. False, and nothing moved,
    /// when the budget is used up.
    func keepOutput(on loop: Loop) -> Bool {
        guard let output = unsafe output, bufferedCount > 0 else { return true }
        let start = unsafe (output + outputStart).assumingMemoryBound(to: UInt8.self)
        let bytes = unsafe Span(_unsafeStart: start, count: bufferedCount)
        if let kept {
            guard kept.append(bytes) else { return false }
        } else {
            kept = StuckBytes(bytes, loop: loop)
            guard kept != nil else { return false }
        }
        unsafe giveOutput(output)
        return true
    }

    private func giveOutput(_ buffer: UnsafeMutableRawPointer) {
        unsafe pool.give(buffer)
        unsafe output = nil
        outputStart = 0
        outputEnd = 0
    }

    /// Puts plain bytes before the handshake. False when they do not fit.
    func putAhead(_ bytes: Span<UInt8>) -> Bool {
        unsafe bytes.withUnsafeBytes { source in
            unsafe source.count == 0 || putOutput(source.baseAddress!, source.count)
        }
    }

    private func putOutput(_ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
        if unsafe output == nil { unsafe output = pool.take() }
        if outputEnd + count > BufferPool.bufferSize, outputStart > 0 {
            unsafe output!.copyMemory(from: output! + outputStart, byteCount: bufferedCount)
            outputEnd -= outputStart
            outputStart = 0
        }
        guard outputEnd + count <= BufferPool.bufferSize else {
            outputOverflowed = true
            return false
        }
        unsafe (output! + outputEnd).copyMemory(from: bytes, byteCount: count)
        outputEnd += count
        return true
    }

    // MARK: OpenSSL's callbacks

    /// The peer's identity is its key: exactly one certificate, Ed25519, and the pinned key where there is one.
    static func verify(_ store: OpaquePointer?) -> Int32 {
        guard let store = unsafe store,
            let connection = unsafe X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let address = unsafe SSL_get_ex_data(OpaquePointer(connection), 0)
        else { return 0 }
        let engine = unsafe Unmanaged<TLSEngine>.fromOpaque(address).takeUnretainedValue()
        guard unsafe webgw_certificates(X509_STORE_CTX_get0_untrusted(store)) == 1,
            let certificate = unsafe X509_STORE_CTX_get0_cert(store),
            let key = unsafe X509_get0_pubkey(certificate),
            unsafe EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519
        else {
            unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED)
            return 0
        }
        var bytes = [UInt8](repeating: 0, count: 32)
        var length = 32
        guard unsafe EVP_PKEY_get_raw_public_key(key, &bytes, &length) == 1, length == 32,
            engine.pinned == nil || engine.pinned == bytes
        else {
            unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED)
            return 0
        }
        engine.peerKey = bytes
        unsafe X509_STORE_CTX_set_error(store, X509_V_OK)
        return 1
    }

    private static func agreedProtocol(_ connection: OpaquePointer) -> String? {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        unsafe SSL_get0_alpn_selected(connection, &name, &length)
        guard let name = unsafe name else { return nil }
        return unsafe String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
    }

    /// The BIO type: reads from the lent input, appends to the output, never refuses.
    nonisolated(unsafe) private static let method: OpaquePointer = {
        let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "webgw")!
        unsafe BIO_meth_set_create(method) { _ in 1 }
        unsafe BIO_meth_set_destroy(method) { _ in 1 }
        unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        unsafe BIO_meth_set_read(method) { bio, target, count in
            guard let address = unsafe BIO_get_data(bio), let target = unsafe target, count > 0 else { return -1 }
            let engine = unsafe Unmanaged<TLSEngine>.fromOpaque(address).takeUnretainedValue()
            unsafe webgw_bio_clear_retry(bio)
            let taken = unsafe engine.takeInput(UnsafeMutableRawPointer(target), Int(count))
            if taken == 0 {
                unsafe webgw_bio_want_read(bio)
                return -1
            }
            return Int32(taken)
        }
        unsafe BIO_meth_set_write(method) { bio, source, count in
            guard let address = unsafe BIO_get_data(bio), let source = unsafe source, count > 0 else { return -1 }
            let engine = unsafe Unmanaged<TLSEngine>.fromOpaque(address).takeUnretainedValue()
            unsafe webgw_bio_clear_retry(bio)
            return unsafe engine.putOutput(UnsafeRawPointer(source), Int(count)) ? count : -1
        }
        return unsafe method
    }()
}
