internal import HTTPTypes
internal import Hummingbird

/// A request that ends with an error answer.
struct Problem: Error {
    var document: ProblemDetails

    init(_ document: ProblemDetails) {
        self.document = document
    }
}

/// An HTTP answer with its whole body, which is at most one entry bundle.
struct Answer {
    var status: HTTPTypes.HTTPResponse.Status
    var headers: HTTPFields
    var body: [UInt8]

    init(_ status: HTTPTypes.HTTPResponse.Status, headers: HTTPFields, body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    init(_ problem: ProblemDetails) {
        status = HTTPTypes.HTTPResponse.Status(code: problem.status)
        // An error is a moment's answer: the next checkpoint may have what was missing.
        headers = [
            .contentType: ProblemDetails.mediaType,
            .cacheControl: problem.code == "not.found" ? "max-age=1" : "no-store",
        ]
        if let seconds = problem.retryAfter { headers[.retryAfter] = String(seconds) }
        if let methods = problem.allow { headers[.allow] = methods }
        body = problem.body
    }

    /// A good answer whose body is gzip.
    static func gzip(_ headers: HTTPFields, _ body: [UInt8]) -> Answer {
        var answer = Answer(.ok, headers: headers, body: body)
        answer.headers[.contentEncoding] = "gzip"
        return answer
    }

    func response(isHead: Bool) -> Response {
        var headers = headers
        headers[.xContentTypeOptions] = "nosniff"
        // 204 and 304 have no body, and 204 no length either (RFC 9110 8.6).
        if status == .noContent || status == .notModified {
            var response = Response(status: status, headers: headers)
            response.headers[.contentLength] = nil
            return response
        }
        headers[.contentLength] = String(body.count)
        return Response(
            status: status,
            headers: headers,
            body: isHead ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: body))
        )
    }
}
