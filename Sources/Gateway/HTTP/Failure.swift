/// An answer that the gateway gives by itself: a status and one sentence with the next step, never a word of internals.
enum Failure: UInt8, CaseIterable, Sendable {
    case malformed
    case grace
    case forbidden
    case notFound
    case method
    case timeout
    case expectation
    case tooLarge
    case legal
    case coding
    case refused
    case badAnswer
    case suspended
    case noAgent
    case limit
    case quota
    case draining
    case overloaded
    case stale
    case silent
    case version

    init(_ failure: HeadFailure) {
        switch failure {
        case .malformed: self = .malformed
        case .tooLarge: self = .tooLarge
        case .version: self = .version
        case .coding: self = .coding
        case .method: self = .method
        case .expectation: self = .expectation
        }
    }

    var status: Int {
        switch self {
        case .malformed: 400
        case .grace: 402
        case .forbidden: 403
        case .notFound: 404
        case .method: 405
        case .timeout: 408
        case .expectation: 417
        case .tooLarge: 431
        case .legal: 451
        case .coding: 501
        case .refused, .badAnswer: 502
        case .suspended, .noAgent, .limit, .quota, .draining, .overloaded, .stale: 503
        case .silent: 504
        case .version: 505
        }
    }

    /// The reason phrase of RFC 9110.
    var reason: String {
        switch self {
        case .malformed: "Bad Request"
        case .grace: "Payment Required"
        case .forbidden: "Forbidden"
        case .notFound: "Not Found"
        case .method: "Method Not Allowed"
        case .timeout: "Request Timeout"
        case .expectation: "Expectation Failed"
        case .tooLarge: "Request Header Fields Too Large"
        case .legal: "Unavailable For Legal Reasons"
        case .coding: "Not Implemented"
        case .refused, .badAnswer: "Bad Gateway"
        case .suspended, .noAgent, .limit, .quota, .draining, .overloaded, .stale: "Service Unavailable"
        case .silent: "Gateway Timeout"
        case .version: "HTTP Version Not Supported"
        }
    }

    /// One sentence for a person, with what to do next.
    var sentence: String {
        switch self {
        case .malformed: "This request is not valid HTTP; check the program that sent it."
        case .grace: "This service is paused until its owner pays for it; please come back later."
        case .forbidden: "Your network address may not use this service; ask its owner for access."
        case .notFound: "No contract serves this address here; check the address for typing mistakes."
        case .method: "This method is not offered here; use another one."
        case .timeout: "The request took too long to arrive; please send it again."
        case .expectation: "Only the expectation 100-continue is offered; send the request without Expect."
        case .tooLarge:
            "The header of this request is too large; delete cookies or shorten the address, then try again."
        case .legal: "This service is not available here for legal reasons; ask its owner for details."
        case .coding: "Only the transfer coding chunked is offered; send the body chunked or with its length."
        case .refused: "The service behind this address refused the connection; please try again in a moment."
        case .badAnswer: "The service behind this address gave an answer that is not valid HTTP; tell its owner."
        case .suspended: "This service is suspended here; please come back later or ask its owner."
        case .noAgent: "The service behind this address is not connected right now; please try again in a moment."
        case .limit: "This service has too many visitors right now; please try again in a moment."
        case .quota: "This service has used up its traffic for now; please come back later or ask its owner."
        case .overloaded: "This gateway has more visitors than it can serve right now; please try again in a moment."
        case .draining: "This gateway is going down for a moment; please try again."
        case .stale: "This gateway has lost touch with the ledger of its services; please try again later."
        case .silent: "The service behind this address did not answer in time; please try again later."
        case .version: "Only HTTP/1.1 and HTTP/1.0 are offered here; use one of them."
        }
    }

    /// Seconds for Retry-After; nil where trying again does not help.
    var retryAfter: Int? {
        switch self {
        case .noAgent: 2
        case .limit: 1
        case .quota: 3600
        case .draining, .overloaded: 5
        case .stale: 60
        case .suspended: 300
        default: nil
        }
    }

    /// Appends the whole answer; without body for HEAD.
    func append(toHead: Bool, keepsAlive: Bool, minor: UInt8, to output: inout [UInt8]) {
        output.append(contentsOf: "HTTP/1.1 \(status) \(reason)\r\n".utf8)
        output.append(contentsOf: "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n".utf8)
        output.append(contentsOf: "Content-Length: \(sentence.utf8.count + 1)\r\n".utf8)
        if let retryAfter { output.append(contentsOf: "Retry-After: \(retryAfter)\r\n".utf8) }
        if self == .method { output.append(contentsOf: "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n".utf8) }
        if !keepsAlive {
            output.append(contentsOf: "Connection: close\r\n".utf8)
        } else if minor == 0 {
            output.append(contentsOf: "Connection: keep-alive\r\n".utf8)
        }
        output.append(contentsOf: "\r\n".utf8)
        if !toHead {
            output.append(contentsOf: sentence.utf8)
            output.append(0x0A)
        }
    }
}
