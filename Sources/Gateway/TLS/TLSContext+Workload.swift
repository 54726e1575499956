internal import COpenSSL

extension WorkloadTrust {
    /// How many certificates a PEM text holds, up to the first that is none.
    public static func certificates(in pem: [UInt8]) -> Int {
        unsafe TLSContext.readCertificates(pem) { _ in true }
    }
}

extension TLSContext {
    /// OpenSSL's settings for workloads that are known by `trust`. The caller owns them.
    static func workloadContext(_ trust: WorkloadTrust) throws(TLSError) -> OpaquePointer {
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw TLSError("context") }
        unsafe SSL_CTX_set_options(context, webgw_option_flags())
        _ = unsafe webgw_ctx_sessions_off(context)
        // A connection that is idle keeps no buffers.
        _ = unsafe webgw_ctx_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        var isSet = unsafe webgw_ctx_min_version(context, TLS1_2_VERSION) == 1
        switch trust.anchor {
        case .system: isSet = unsafe isSet && SSL_CTX_set_default_verify_paths(context) == 1
        case .authorities(let pem):
            // What the user lists is trusted as it is, whether it is a root or not.
            unsafe X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), UInt(X509_V_FLAG_PARTIAL_CHAIN))
            let store = unsafe SSL_CTX_get_cert_store(context)
            isSet =
                unsafe isSet && readCertificates(pem) { unsafe X509_STORE_add_cert(store, $0) == 1 } > 0
        case .pins:
            unsafe SSL_CTX_set_cert_verify_callback(context, { store, _ in unsafe TLSContext.verifyPin(store) }, nil)
        }
        guard isSet else {
            let error = TLSError("settings")
            unsafe SSL_CTX_free(context)
            throw error
        }
        return unsafe context
    }

    /// Lends the certificates of a PEM text; returns how many the body took.
    fileprivate static func readCertificates(_ pem: [UInt8], _ body: (OpaquePointer) -> Bool) -> Int {
        unsafe pem.withUnsafeBytes { bytes in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return 0 }
            defer { unsafe BIO_free(bio) }
            var count = 0
            // Nobody is asked for a password.
            while let certificate = unsafe PEM_read_bio_X509(bio, nil, { _, _, _, _ in 0 }, nil) {
                if unsafe body(certificate) { count += 1 }
                unsafe X509_free(certificate)
            }
            ERR_clear_error()
            return count
        }
    }

    /// The workload's certificate, or its key, is a pinned one.
    private static func verifyPin(_ store: OpaquePointer?) -> Int32 {
        guard let store = unsafe store,
            let connection = unsafe X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let address = unsafe SSL_get_ex_data(OpaquePointer(connection), 0),
            let certificate = unsafe X509_STORE_CTX_get0_cert(store)
        else { return 0 }
        let engine = unsafe Unmanaged<TLSEngine>.fromOpaque(address).takeUnretainedValue()
        let prints = unsafe [fingerprint(certificate), keyFingerprint(certificate)]
        guard case .pins(let pins)? = engine.context.trust?.anchor, prints.contains(where: pins.contains) else {
            engine.strangeCertificate = prints[0]
            unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED)
            return 0
        }
        unsafe X509_STORE_CTX_set_error(store, X509_V_OK)
        return 1
    }

    /// SHA-256 of the certificate; empty when it cannot be computed, which is no pin.
    private static func fingerprint(_ certificate: OpaquePointer) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        return unsafe X509_digest(certificate, EVP_sha256(), &digest, &length) == 1 ? digest : []
    }

    /// SHA-256 of the certificate's SubjectPublicKeyInfo; empty when it cannot be computed.
    private static func keyFingerprint(_ certificate: OpaquePointer) -> [UInt8] {
        let key = unsafe X509_get_X509_PUBKEY(certificate)
        let size = unsafe i2d_X509_PUBKEY(key, nil)
        guard size > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        var digest = [UInt8](repeating: 0, count: 32)
        let isDone = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            var end = buffer.baseAddress
            guard unsafe i2d_X509_PUBKEY(key, &end) == size else { return false }
            var length: UInt32 = 0
            return unsafe EVP_Digest(buffer.baseAddress, buffer.count, &digest, &length, EVP_sha256(), nil) == 1
        }
        return isDone ? digest : []
    }
}
