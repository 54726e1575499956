import Ledger
import NIOCore
import NIOPosix

/// The address of an HTTP server as operators write it: HOST:PORT.
enum ListenAddress {
    static func read(_ listen: String) throws(CommandFailure) -> HTTPService.Listen {
        let text = listen.utf8
        let colon = text.lastIndex(of: UInt8(ascii: ":"))
        guard let colon, let port = UInt16(String(listen[listen.index(after: colon)...])), colon > listen.startIndex
        else {
            throw CommandFailure(.usage, "--listen \(listen) is not HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
        }
        var host = String(listen[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            throw CommandFailure(.usage, "--listen \(listen): an IPv6 address stands in brackets, such as [::1]:8080")
        }
        guard (try? SocketAddress.makeAddressResolvingHost(host, port: Int(port))) != nil else {
            throw unavailable(listen, "\(host) is no address and no known name")
        }
        return HTTPService.Listen(host: host, port: Int(port))
    }

    static func text(_ host: String, _ port: Int) -> String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    static func unavailable(_ listen: String, _ error: IOError) -> CommandFailure {
        unavailable(
            listen,
            error.errnoCode == 0 ? "\(error)" : PosixError(call: "bind", number: error.errnoCode).reason
        )
    }

    private static func unavailable(_ listen: String, _ reason: String) -> CommandFailure {
        CommandFailure(
            .configuration,
            "nothing can listen on \(listen): \(reason); choose another --listen address"
        )
    }
}
