internal import COpenSSL

/// Which end of a TLS connection this process is.
enum TLSRole: Sendable {
    case server
    case client
}

/// TLS settings of the tunnel: TLS 1.3 only, one ALPN name, Ed25519 identities on both sides, no tickets, no early data.
///
/// The peer must present exactly one certificate with an Ed25519 key and, where a key is pinned, that key; there is no
/// other verification (no chain, name or date).
@safe final class TLSContext: Sendable {
    static let tunnelProtocol = "webgw-tunnel/1"

    let role: TLSRole
    /// The protocol that both sides have to agree on; nil where none is asked for.
    let agreedProtocol: String?
    // OpenSSL counts references and locks inside; the object is not changed after the initializer.
    nonisolated(unsafe) let context: OpaquePointer
    private let identity: TLSIdentity?
    /// How a workload's certificate is judged; nil for other peers.
    let trust: WorkloadTrust?

    /// Settings for the tunnel. The gateway (server) prefers AES-128-GCM, whatever the agent's order is.
    init(tunnel role: TLSRole, identity: TLSIdentity) throws(TLSError) {
        guard let library = unsafe RecordCipherProvider.context,
            let context = unsafe SSL_CTX_new_ex(library, RecordCipherProvider.preference, TLS_method())
        else { throw TLSError("context") }
        unsafe self.context = context
        self.role = role
        self.identity = identity
        trust = nil
        agreedProtocol = Self.tunnelProtocol
        unsafe SSL_CTX_set_options(context, webgw_option_flags())
        let isSet =
            unsafe webgw_ctx_min_version(context, TLS1_3_VERSION) == 1
            && webgw_ctx_max_version(context, TLS1_3_VERSION) == 1
            && SSL_CTX_set_ciphersuites(
                context,
                "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
            ) == 1
            && webgw_ctx_signature_algorithms(context, "ed25519") == 1
            && webgw_ctx_groups(context, "X25519:P-256") == 1
            && SSL_CTX_use_certificate(context, identity.certificate) == 1
            && SSL_CTX_use_PrivateKey(context, identity.key) == 1
            && SSL_CTX_set_num_tickets(context, 0) == 1
            && SSL_CTX_set_max_early_data(context, 0) == 1
        guard isSet else {
            let error = TLSError("settings")
            unsafe SSL_CTX_free(context)
            throw error
        }
        _ = unsafe webgw_ctx_sessions_off(context)
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        unsafe SSL_CTX_set_cert_verify_callback(context, { store, _ in unsafe TLSEngine.verify(store) }, nil)
        switch role {
        case .client:
            var names = [UInt8(Self.tunnelProtocol.utf8.count)]
            names.append(contentsOf: Self.tunnelProtocol.utf8)
            unsafe SSL_CTX_set_alpn_protos(context, names, UInt32(names.count))
        case .server:
            unsafe SSL_CTX_set_alpn_select_cb(
                context,
                { _, out, length, offered, count, _ in unsafe TLSContext.select(out, length, offered, count) },
                nil
            )
        }
    }

    /// Settings of a client that takes any server certificate, as of a workload that is asked for a proof in the body: TLS 1.2 or 1.3, no
    /// certificate of its own, no sessions.
    init(anyServer: Void) throws(TLSError) {
        guard let context = unsafe SSL_CTX_new(TLS_method()) else { throw TLSError("context") }
        unsafe self.context = context
        role = .client
        identity = nil
        trust = nil
        agreedProtocol = nil
        guard unsafe webgw_ctx_min_version(context, TLS1_2_VERSION) == 1 else {
            let error = TLSError("settings")
            unsafe SSL_CTX_free(context)
            throw error
        }
        _ = unsafe webgw_ctx_sessions_off(context)
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
    }

    /// Settings of a client of workloads, whose certificates are judged: TLS 1.2 or 1.3, no certificate of its own, no sessions, no ALPN.
    init(workload trust: WorkloadTrust) throws(TLSError) {
        unsafe context = try unsafe Self.workloadContext(trust)
        role = .client
        identity = nil
        self.trust = trust
        agreedProtocol = nil
    }

    deinit { unsafe SSL_CTX_free(context) }

    /// Picks `webgw-tunnel/1` out of the client's list of length-prefixed names; anything else ends the handshake.
    private static func select(
        _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ length: UnsafeMutablePointer<UInt8>?,
        _ offered: UnsafePointer<UInt8>?,
        _ count: UInt32
    ) -> Int32 {
        let names = unsafe UnsafeBufferPointer(start: offered, count: Int(count))
        var offset = 0
        while offset < names.count {
            let size = unsafe Int(names[offset])
            guard offset + 1 + size <= names.count else { break }
            if unsafe names[(offset + 1)..<(offset + 1 + size)].elementsEqual(tunnelProtocol.utf8) {
                unsafe out?.pointee = names.baseAddress! + offset + 1
                unsafe length?.pointee = UInt8(size)
                return SSL_TLSEXT_ERR_OK
            }
            offset += 1 + size
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
}
