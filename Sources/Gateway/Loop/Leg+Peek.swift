internal import CLinux
internal import Glibc

extension Leg {
    /// What lies at the head of a plain socket, which keeps it.
    enum Peek: Equatable {
        case byte(UInt8)
        /// Nothing yet.
        case nothing
        /// The peer ended its direction, and nothing lies before the end.
        case end
        case failed
    }

    /// Looks at the next byte of a plain socket without taking it.
    func peek() -> Peek {
        guard isOpen else { return .failed }
        var byte: UInt8 = 0
        while true {
            let count = unsafe recv(descriptor, &byte, 1, Int32(MSG_PEEK))
            if count > 0 { return .byte(byte) }
            if count == 0 { return .end }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .nothing : .failed
        }
    }
}
