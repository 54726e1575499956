import Logging
import ServiceLifecycle
import UnixSignals

/// Turns the process' signals into calls: SIGHUP reloads, the first SIGTERM or SIGINT drains, and another one ends the
/// process at once.
///
/// The service ends when draining has ended, which then ends its service group.
struct Signals: Service {
    let logger: Logger
    /// Called for each SIGHUP, one at a time.
    let reload: @Sendable () async -> Void
    /// Called once, at the first SIGTERM or SIGINT; a second signal is still heard while it runs.
    let drain: @Sendable () async -> Void
    private let sequence: UnixSignalsSequence

    /// Hears signals from here on, so that none ends the process the hard way that comes before `run`.
    init(
        logger: Logger,
        reload: @escaping @Sendable () async -> Void,
        drain: @escaping @Sendable () async -> Void
    ) async {
        self.logger = logger
        self.reload = reload
        self.drain = drain
        sequence = await UnixSignalsSequence(trapping: .sighup, .sigterm, .sigint)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            let (firstSignal, continuation) = AsyncStream<Never>.makeStream()
            await withTaskGroup { group in
                group.addTask {
                    var isEnding = false
                    for await signal in sequence {
                        if signal == .sighup {
                            await reload()
                        } else if isEnding {
                            logger.warning("\(signal) again: ending at once")
                            Posix.exitNow(ExitStatus.tryAgain.rawValue)
                        } else {
                            isEnding = true
                            logger.notice("\(signal): draining; send it again to end at once")
                            continuation.finish()
                        }
                    }
                    continuation.finish()
                }
                group.addTask {
                    for await _ in firstSignal {}
                    if !Task.isCancelled { await drain() }
                }
                await group.next()
                group.cancelAll()
            }
        }
    }
}
