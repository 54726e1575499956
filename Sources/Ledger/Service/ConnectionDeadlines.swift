internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// Ends connections whose client is too slow: with its request head, its body, or with taking the answer.
///
/// Loop-bound: every method runs on the channel's event loop. An answer with `Connection: close` ends the connection
/// a second after it is written, however long the rest of a refused body is.
final class ConnectionDeadlines: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let head: TimeAmount
    private let body: TimeAmount
    private let answer: TimeAmount
    private var deadline = MovingDeadline()
    private var closesAfterAnswer = false

    init(limits: ServiceLimits) {
        head = TimeAmount(limits.headTime)
        // The responder answers 408 first; this is for a client that does not even read that.
        body = TimeAmount(limits.bodyTime + .seconds(2))
        answer = TimeAmount(limits.answerTime)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { expire(after: head, context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline.cancel()
    }

    func channelActive(context: ChannelHandlerContext) {
        expire(after: head, context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: expire(after: body, context)
        case .body: break
        // From here the server takes its own time, bounded by the wait of a submission or a long poll.
        case .end: deadline.clear()
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            closesAfterAnswer = head.headerFields[.connection] == "close"
            expire(after: answer, context)
            context.write(data, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            let written = promise ?? context.eventLoop.makePromise(of: Void.self)
            let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            written.futureResult.whenComplete { _ in
                let (handler, context) = loopBound.value
                handler.answerWritten(context)
            }
            context.write(data, promise: written)
        }
    }

    private func answerWritten(_ context: ChannelHandlerContext) {
        if closesAfterAnswer {
            // Closing with unread bytes would reset the connection, and the client might never see the answer.
            context.close(mode: .output, promise: nil)
            expire(after: .seconds(1), context)
        } else {
            expire(after: head, context)
        }
    }

    private func expire(after time: TimeAmount, _ context: ChannelHandlerContext) {
        deadline.move(to: .now() + time, on: context.eventLoop, check(context))
    }

    private func check(_ context: ChannelHandlerContext) -> @Sendable () -> Void {
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        return {
            let (handler, context) = loopBound.value
            if handler.deadline.isOver(on: context.eventLoop, handler.check(context)) { context.close(promise: nil) }
        }
    }
}

@available(*, unavailable)
extension ConnectionDeadlines: Sendable {}
