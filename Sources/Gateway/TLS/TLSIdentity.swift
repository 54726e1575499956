internal import COpenSSL

/// An Ed25519 key and the self-signed certificate that carries it, made at run time.
///
/// Peers look at the key alone; name and dates say nothing.
@safe final class TLSIdentity: Sendable {
    // OpenSSL counts references and locks inside; neither is changed after the initializer.
    nonisolated(unsafe) let key: OpaquePointer
    nonisolated(unsafe) let certificate: OpaquePointer

    /// From the 32-byte seed of RFC 8032.
    init(seed: [UInt8]) throws(TLSError) {
        guard seed.count == 32,
            let key = unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count)
        else { throw TLSError("private key") }
        guard let certificate = unsafe Self.selfSigned(key) else {
            unsafe EVP_PKEY_free(key)
            throw TLSError("certificate")
        }
        unsafe self.key = key
        unsafe self.certificate = certificate
    }

    deinit {
        unsafe X509_free(certificate)
        unsafe EVP_PKEY_free(key)
    }

    /// A certificate signed by its own key; `digest` is nil for Ed25519.
    static func selfSigned(_ key: OpaquePointer, digest: OpaquePointer? = nil) -> OpaquePointer? {
        guard let certificate = unsafe X509_new() else { return nil }
        let name = unsafe X509_NAME_new()
        defer { unsafe X509_NAME_free(name) }
        let isBuilt =
            unsafe X509_set_version(certificate, 2) == 1
            && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1
            && ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "20200101000000Z") == 1
            && ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z") == 1
            && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, "webgw", -1, -1, 0) == 1
            && X509_set_subject_name(certificate, name) == 1
            && X509_set_issuer_name(certificate, name) == 1
            && X509_set_pubkey(certificate, key) == 1
            && X509_sign(certificate, key, digest) > 0
        guard isBuilt else {
            unsafe X509_free(certificate)
            return nil
        }
        return unsafe certificate
    }
}

/// A TLS step that failed: the step, and OpenSSL's reason.
struct TLSError: Error, CustomStringConvertible {
    let step: String
    let reason: String

    @inline(never)
    init(_ step: String, reason: String? = nil) {
        self.step = step
        self.reason = reason ?? Self.takeReason()
    }

    /// The first reason in this thread's error queue, which is emptied.
    static func takeReason() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0, let text = unsafe ERR_reason_error_string(code) else { return "no reason given" }
        return unsafe String(cString: text)
    }

    var description: String { "TLS \(step): \(reason)" }
}
