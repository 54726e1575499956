import Foundation
import Glibc
import Synchronization

/// A name server that answers nothing and counts the questions; on a loopback address of its own.
final class CountingResolver: Sendable {
    let address = Loopback.address()
    private let descriptor: Int32
    private let questions = Atomic<Int>(0)

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        self.descriptor = descriptor
        guard unsafe BlockingSocket.withAddress(address, 53, { unsafe bind(descriptor, $0, $1) }) == 0 else {
            throw NeverHappened(description: "port 53 of \(address) cannot be bound: errno \(errno)")
        }
        Thread.detachNewThread { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 2048)
            while unsafe recv(descriptor, &buffer, buffer.count, 0) > 0 {
                guard let self else { return }
                self.questions.add(1, ordering: .relaxed)
            }
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    var count: Int { questions.load(ordering: .relaxed) }
}
