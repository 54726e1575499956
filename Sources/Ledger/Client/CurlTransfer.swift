internal import CCurl
internal import Foundation

/// One easy handle with its request, on the thread of its `CurlLoop`.
///
/// It owns the handle, the header list and the error buffer, and frees them in `deinit`. Body and header bytes are
/// counted as they arrive: what goes over a limit ends the transfer before it is stored.
@safe final class CurlTransfer {
    /// Called once, on the curl thread.
    typealias Completion = @Sendable (Result<HTTPResponse, LedgerClientError>) -> Void

    /// Bytes on the wire may exceed the decoded body only by this much: gzip's overhead on data that does not shrink.
    private static let wireSlack = 64 * 1024

    let id: UInt64
    let handle: UnsafeMutableRawPointer
    private let request: HTTPRequest
    private let completion: Completion
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private let errorText: UnsafeMutablePointer<CChar>

    private var body: [UInt8] = []
    private var headers: [String: String] = [:]
    private var headerBytes = 0
    /// The limit that was broken, in words.
    private var violation: String?

    init?(id: UInt64, request: HTTPRequest, completion: @escaping Completion) {
        guard let handle = unsafe curl_easy_init() else { return nil }
        self.id = id
        unsafe self.handle = unsafe handle
        self.request = request
        self.completion = completion
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        unsafe headerList = nil
        configure()
    }

    deinit {
        unsafe curl_easy_cleanup(handle)
        unsafe curl_slist_free_all(headerList)
        unsafe errorText.deallocate()
    }

    private func configure() {
        set(CURLOPT_URL, request.url)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        set(CURLOPT_USERAGENT, request.userAgent)
        set(CURLOPT_CONNECTTIMEOUT_MS, request.connect.milliseconds)
        set(CURLOPT_TIMEOUT_MS, max(1, request.deadline.milliseconds))
        set(CURLOPT_LOW_SPEED_LIMIT, request.slowBytesPerSecond)
        set(CURLOPT_LOW_SPEED_TIME, max(1, request.slowTime.milliseconds / 1000))
        if request.acceptsGzip { set(CURLOPT_ACCEPT_ENCODING, "gzip") }
        if let authority = request.authority { set(CURLOPT_CAINFO, authority) }
        if let certificate = request.certificate { set(CURLOPT_SSLCERT, certificate) }
        if let key = request.certificateKey { set(CURLOPT_SSLKEY, key) }
        _ = unsafe webgw_curl_set_offset(handle, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(request.bodyLimit))

        for (name, value) in request.headers {
            unsafe headerList = unsafe curl_slist_append(headerList, "\(name): \(value)")
        }
        if request.method == .post {
            // Without this line curl asks "Expect: 100-continue" and waits a second for servers that do not know it.
            unsafe headerList = unsafe curl_slist_append(headerList, "Expect:")
            _ = unsafe webgw_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.count))
            unsafe request.body.withUnsafeBytes { bytes in
                _ = unsafe webgw_curl_set_pointer(
                    handle,
                    CURLOPT_COPYPOSTFIELDS,
                    UnsafeMutableRawPointer(mutating: bytes.baseAddress ?? UnsafeRawPointer(handle))
                )
            }
        }
        _ = unsafe webgw_curl_set_list(handle, CURLOPT_HTTPHEADER, headerList)
        _ = unsafe webgw_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)

        // The transfer outlives its handle's registration: the loop holds it until after curl_multi_remove_handle.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        _ = unsafe webgw_curl_set_pointer(handle, CURLOPT_WRITEDATA, context)
        _ = unsafe webgw_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
            guard let data = unsafe data, let context = unsafe context else { return 0 }
            let transfer = unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
            let bytes = unsafe UnsafeRawBufferPointer(start: data, count: size * count)
            return unsafe transfer.receive(body: bytes) ? size * count : 0
        }
        _ = unsafe webgw_curl_set_pointer(handle, CURLOPT_HEADERDATA, context)
        _ = unsafe webgw_curl_set_write(handle, CURLOPT_HEADERFUNCTION) { data, size, count, context in
            guard let data = unsafe data, let context = unsafe context else { return 0 }
            let transfer = unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
            let bytes = unsafe UnsafeRawBufferPointer(start: data, count: size * count)
            return unsafe transfer.receive(header: bytes) ? size * count : 0
        }
        _ = unsafe webgw_curl_set_pointer(handle, CURLOPT_XFERINFODATA, context)
        set(CURLOPT_NOPROGRESS, 0)
        _ = unsafe webgw_curl_set_progress(handle) { context, _, received, _, _ in
            guard let context = unsafe context else { return 1 }
            let transfer = unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
            return transfer.allows(wireBytes: Int(received)) ? 0 : 1
        }
    }

    // MARK: Callbacks, on the curl thread

    private func receive(body bytes: UnsafeRawBufferPointer) -> Bool {
        guard body.count + bytes.count <= request.bodyLimit else {
            violation = "the body is larger than \(request.bodyLimit) bytes"
            return false
        }
        unsafe body.append(contentsOf: bytes)
        return true
    }

    private func receive(header bytes: UnsafeRawBufferPointer) -> Bool {
        headerBytes += bytes.count
        guard headerBytes <= request.headerLimit else {
            violation = "the header is larger than \(request.headerLimit) bytes"
            return false
        }
        let line = unsafe String(decoding: bytes, as: UTF8.self)
        if line.hasPrefix("HTTP/") {
            // A new status line: what came before belongs to an interim response.
            headers.removeAll()
            return true
        }
        guard let colon = line.firstIndex(of: ":") else { return true }
        let name = line[..<colon].lowercased()
        headers[name] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespacesAndNewlines)
        return true
    }

    /// Bounds what an encoded body may cost that never decodes to anything.
    private func allows(wireBytes: Int) -> Bool {
        guard wireBytes <= request.bodyLimit + Self.wireSlack else {
            violation = "more than \(request.bodyLimit) bytes came over the wire"
            return false
        }
        return true
    }

    // MARK: The end

    /// Reports the end of the transfer. Call once, after the handle left the multi handle.
    func finish(_ result: CURLcode) {
        guard result == CURLE_OK else {
            completion(.failure(failure(result)))
            return
        }
        var status = 0
        _ = unsafe webgw_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        let timing = HTTPTiming(
            nameLookup: time(CURLINFO_NAMELOOKUP_TIME_T),
            connected: time(CURLINFO_CONNECT_TIME_T),
            secured: time(CURLINFO_APPCONNECT_TIME_T),
            firstByte: time(CURLINFO_STARTTRANSFER_TIME_T),
            total: time(CURLINFO_TOTAL_TIME_T)
        )
        completion(.success(HTTPResponse(status: status, headers: headers, body: body, timing: timing)))
    }

    func abandon(_ code: LedgerClientError.Code, _ reason: String) {
        completion(
            .failure(
                LedgerClientError(
                    code,
                    source: request.source,
                    retry: .never,
                    message: "\(request.method.rawValue) \(request.url) \(reason)"
                )
            )
        )
    }

    private func failure(_ result: CURLcode) -> LedgerClientError {
        let what = "\(request.method.rawValue) \(request.url) failed: "
        if let violation {
            return LedgerClientError(.tooLarge, source: request.source, message: what + violation)
        }
        var text = unsafe String(cString: errorText)
        if text.isEmpty { text = unsafe String(cString: curl_easy_strerror(result)) }
        let code: LedgerClientError.Code =
            switch result {
            case CURLE_URL_MALFORMAT: .url
            case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT: .unreachable
            case CURLE_OPERATION_TIMEDOUT: .timeout
            case CURLE_FILESIZE_EXCEEDED: .tooLarge
            case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
                CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
                .tls
            case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING: .unreachable
            default: .malformed
            }
        return LedgerClientError(
            code,
            source: request.source,
            retry: code == .url ? .never : .later(nil),
            message: what + text
        )
    }

    // MARK: Options

    private func set(_ option: CURLoption, _ value: Int) {
        _ = unsafe webgw_curl_set_long(handle, option, value)
    }

    private func set(_ option: CURLoption, _ value: String) {
        _ = unsafe webgw_curl_set_string(handle, option, value)
    }

    private func time(_ info: CURLINFO) -> Int64 {
        var value: curl_off_t = 0
        _ = unsafe webgw_curl_get_offset(handle, info, &value)
        return Int64(value)
    }
}
