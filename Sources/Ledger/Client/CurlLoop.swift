internal import CCurl
internal import Foundation
internal import NIOConcurrencyHelpers

/// A libcurl multi handle on a thread of its own.
///
/// libcurl blocks while it waits, and the cooperative pool is only as wide as the cores, so no task ever waits inside
/// it: a request is queued, the thread is woken, and the caller's continuation is resumed from the thread. Connections
/// are kept and reused. `shutdown` ends the thread; requests that are still open fail as `client.closed`.
@safe final class CurlLoop: Sendable {
    private enum Command: Sendable {
        case start(UInt64, HTTPRequest, CurlTransfer.Completion)
        case cancel(UInt64)
    }

    private struct Inbox: Sendable {
        var commands: [Command] = []
        var nextID: UInt64 = 0
        var isClosing = false
        /// Set by the thread before it frees the multi handle: from then on nobody may touch it.
        var isClosed = false
    }

    /// Idle connections kept open; a client has a handful of sources.
    private static let keptConnections = 8

    private static let isGloballyReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    private let inbox = NIOLockedValueBox(Inbox())
    /// Used by the thread; others only call curl_multi_wakeup on it, under the lock and while it is not closed.
    private nonisolated(unsafe) let multi: UnsafeMutableRawPointer

    init?() {
        guard Self.isGloballyReady, let multi = unsafe curl_multi_init() else { return nil }
        unsafe self.multi = unsafe multi
        _ = unsafe webgw_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.keptConnections)
        // The thread holds the loop until shutdown.
        let thread = Thread { self.run() }
        thread.name = "ledger-client"
        thread.start()
    }

    /// Carries out one request. Cancelling the task ends the transfer at once.
    func perform(_ request: HTTPRequest) async throws(LedgerClientError) -> HTTPResponse {
        let id = inbox.withLockedValue { inbox in
            inbox.nextID += 1
            return inbox.nextID
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<_, Never>) in
                let accepted = post(.start(id, request, { continuation.resume(returning: $0) }))
                guard accepted else {
                    let message = "\(request.method.rawValue) \(request.url) was not sent: the client is shut down"
                    let error = LedgerClientError(.closed, source: request.source, retry: .never, message: message)
                    continuation.resume(returning: Result<HTTPResponse, LedgerClientError>.failure(error))
                    return
                }
                // The handler below may have run before the start was queued; then its cancel was for nothing.
                if Task.isCancelled { post(.cancel(id)) }
            }
        } onCancel: {
            post(.cancel(id))
        }
        return try result.get()
    }

    /// Ends the thread; safe to call more than once.
    func shutdown() {
        inbox.withLockedValue { inbox in
            inbox.isClosing = true
            if !inbox.isClosed { unsafe curl_multi_wakeup(multi) }
        }
    }

    @discardableResult
    private func post(_ command: Command) -> Bool {
        inbox.withLockedValue { inbox in
            guard !inbox.isClosing else { return false }
            inbox.commands.append(command)
            unsafe curl_multi_wakeup(multi)
            return true
        }
    }

    // MARK: The thread

    private func run() {
        var transfers: [CurlTransfer] = []
        while true {
            let (commands, isClosing) = inbox.withLockedValue { inbox in
                defer { inbox.commands.removeAll() }
                return (inbox.commands, inbox.isClosing)
            }
            for command in commands { carryOut(command, &transfers) }
            if isClosing { break }
            var running: Int32 = 0
            unsafe curl_multi_perform(multi, &running)
            collect(&transfers)
            // Returns early on activity, on curl's own timers and on a wake-up.
            unsafe curl_multi_poll(multi, nil, 0, 60_000, nil)
        }
        for transfer in transfers {
            unsafe curl_multi_remove_handle(multi, transfer.handle)
            transfer.abandon(.closed, "was given up: the client is shut down")
        }
        transfers.removeAll()
        inbox.withLockedValue { $0.isClosed = true }
        unsafe curl_multi_cleanup(multi)
    }

    private func carryOut(_ command: Command, _ transfers: inout [CurlTransfer]) {
        switch command {
        case .start(let id, let request, let completion):
            guard let transfer = CurlTransfer(id: id, request: request, completion: completion) else {
                let message = "\(request.method.rawValue) \(request.url) was not sent: out of memory"
                completion(.failure(LedgerClientError(.unreachable, source: request.source, message: message)))
                return
            }
            guard unsafe curl_multi_add_handle(multi, transfer.handle) == CURLM_OK else {
                transfer.abandon(.closed, "could not be started")
                return
            }
            transfers.append(transfer)
        case .cancel(let id):
            guard let index = transfers.firstIndex(where: { $0.id == id }) else { return }
            let transfer = transfers.remove(at: index)
            unsafe curl_multi_remove_handle(multi, transfer.handle)
            transfer.abandon(.cancelled, "was cancelled")
        }
    }

    private func collect(_ transfers: inout [CurlTransfer]) {
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE, let handle = unsafe message.pointee.easy_handle else {
                continue
            }
            // Read before the handle is removed: the message dies with it.
            let result = unsafe webgw_curl_result(message)
            unsafe curl_multi_remove_handle(multi, handle)
            guard let index = transfers.firstIndex(where: { unsafe $0.handle == handle }) else { continue }
            transfers.remove(at: index).finish(result)
        }
    }
}
