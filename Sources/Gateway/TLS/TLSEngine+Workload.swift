internal import COpenSSL
internal import Contracts

extension TLSEngine {
    /// A connection to a workload.
    ///
    /// - Parameter name: a host name, which is asked for by SNI, or a numeric address without brackets, which is not (RFC 6066, 3). The certificate
    ///   has to name it as a subject alternative name, unless it is pinned.
    convenience init(workload context: TLSContext, name: String, loop: Loop) throws(TLSError) {
        try self.init(context, loop: loop)
        let isAddress = SocketAddress(host: name, port: 0) != nil
        unsafe SSL_set_hostflags(
            connection,
            UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)
        )
        let isSet =
            isAddress
            ? unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), name) == 1
            : unsafe SSL_set1_host(connection, name) == 1 && webgw_server_name(connection, name) == 1
        guard isSet else { throw TLSError("name") }
    }

    /// What is wrong with a workload whose handshake failed, to follow "its" or stand alone, and what to do.
    func complaint(_ error: TLSError, name: String) -> String {
        let result = unsafe Int32(truncatingIfNeeded: SSL_get_verify_result(connection))
        switch result {
        case X509_V_OK: return Self.complaint(error)
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "its certificate does not name \(name); say which name it has, or pin it"
        case X509_V_ERR_CERT_HAS_EXPIRED: return "its certificate, or that of an issuer, has expired; renew it"
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return "its certificate, or that of an issuer, is not valid yet; look at the clocks"
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return "nobody who is trusted issued its certificate; name the issuer's certificate, or pin this one"
        case X509_V_ERR_CERT_REJECTED where !strangeCertificate.isEmpty:
            return "its certificate is not the pinned one but sha256:\(Hex.encode(strangeCertificate)); find out why"
        default: return unsafe "its certificate fails: \(String(cString: X509_verify_cert_error_string(Int(result))))"
        }
    }

    private static func complaint(_ error: TLSError) -> String {
        switch error.reason {
        case "wrong version number", "http request", "packet length too long":
            "it does not speak TLS; use a target without tls://"
        case "unsupported protocol", "tlsv1 alert protocol version": "it speaks no TLS 1.2 and nothing newer; update it"
        case "connection closed": "it ended the connection during the TLS handshake"
        default: "its TLS fails: \(error.reason)"
        }
    }
}
