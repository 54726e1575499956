internal import Contracts
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore
internal import NIOHTTPTypes

/// Answers `POST /entries` on the event loop; every other request goes on to the server's tasks.
///
/// A task, a task group for its deadline and the hops between them would cost more than the entry's place in the log.
/// Loop-bound: every method runs on the channel's event loop. While an answer is made nothing is read from the connection,
/// and what was read already waits here in its order, so that answers leave in the order of their requests.
final class SubmissionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum State {
        /// Parts go on to the next handler.
        case passing
        case receiving(SubmissionRequest)
        case answering(closes: Bool)
        /// Nothing more is read: the answer that was written is the last.
        case finished
    }

    /// What came while it could not be looked at.
    private enum Held {
        case part(HTTPRequestPart)
        case event(Any)
        case error(any Error)
    }

    private let intake: SubmissionIntake
    private var state = State.passing
    private var held = CircularBuffer<Held>()
    /// Requests that went on and are not answered yet.
    private var passed = 0
    private var wantsRead = false
    /// What the connection counts as for the limiter.
    private var address: String?
    private var bodyDeadline = MovingDeadline()

    init(intake: SubmissionIntake) {
        self.intake = intake
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        bodyDeadline.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        bodyDeadline.cancel()
        state = .finished
        held.removeAll()
        context.fireChannelInactive()
    }

    // MARK: Reading

    private var isHolding: Bool {
        if case .answering = state { return true }
        return !held.isEmpty
    }

    func read(context: ChannelHandlerContext) {
        if isHolding { wantsRead = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if isHolding { held.append(.part(part)) } else { take(part, context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The handlers behind would close the connection, as they know nothing of what is under way.
        if isHolding {
            held.append(.event(event))
        } else if case .receiving(var request) = state, event is ChannelShouldQuiesceEvent {
            request.isLast = true
            state = .receiving(request)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isHolding { held.append(.error(error)) } else { context.fireErrorCaught(error) }
    }

    private func take(_ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        switch (state, part) {
        case (.passing, .head(let head)) where SubmissionIntake.isSubmission(head):
            if passed == 0 { begin(head, context) } else { held.append(.part(part)) }
        case (.passing, _):
            if case .head = part { passed += 1 }
            context.fireChannelRead(wrapInboundOut(part))
        case (.receiving(var request), .body(var bytes)):
            // Taken out, so that the body has one owner while it grows.
            state = .passing
            if request.append(&bytes, limit: intake.limits.submissionBytes) {
                state = .receiving(request)
            } else {
                refuse(intake.tooLarge, context)
            }
        case (.receiving(let request), .end):
            hand(request, context)
        case (.receiving, .head), (.answering, _), (.finished, _):
            break
        }
    }

    private func begin(_ head: HTTPTypes.HTTPRequest, _ context: ChannelHandlerContext) {
        let address = address ?? RateLimiter.key(context.remoteAddress)
        self.address = address
        do throws(Problem) {
            state = .receiving(try intake.request(head, from: address))
            bodyDeadline.move(
                to: .now() + TimeAmount(intake.limits.bodyTime),
                on: context.eventLoop,
                checkBody(context)
            )
        } catch {
            refuse(error.document, context)
        }
    }

    private func checkBody(_ context: ChannelHandlerContext) -> @Sendable () -> Void {
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        return {
            let (handler, context) = loopBound.value
            guard handler.bodyDeadline.isOver(on: context.eventLoop, handler.checkBody(context)) else { return }
            handler.refuse(handler.intake.tooSlow, context)
        }
    }

    private func hand(_ request: SubmissionRequest, _ context: ChannelHandlerContext) {
        bodyDeadline.clear()
        state = .answering(closes: request.isLast)
        let loop = context.eventLoop
        let loopBound = NIOLoopBound((self, context), eventLoop: loop)
        intake.desk.take(
            SubmissionDesk.Arrival(body: request.body, waits: request.waits) { result in
                loop.execute {
                    let (handler, context) = loopBound.value
                    handler.answer(result, context)
                }
            }
        )
    }

    // MARK: Answering

    private func answer(_ result: SubmissionResult, _ context: ChannelHandlerContext) {
        guard case .answering(let closes) = state else { return }
        let isWritten = context.eventLoop.makePromise(of: Void.self)
        write(Answer(result), closes: closes, context, isWritten)
        state = closes ? .finished : .passing
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        // An event that ends the connection must not overtake the answer.
        isWritten.futureResult.whenSuccess {
            let (handler, context) = loopBound.value
            handler.goOn(context)
        }
    }

    /// Ends the connection with an answer: what is left of the body is not waited for.
    private func refuse(_ problem: ProblemDetails, _ context: ChannelHandlerContext) {
        bodyDeadline.clear()
        state = .finished
        write(Answer(problem), closes: true, context, nil)
    }

    private func write(
        _ answer: Answer,
        closes: Bool,
        _ context: ChannelHandlerContext,
        _ promise: EventLoopPromise<Void>?
    ) {
        var head = answer.response(isHead: false).head
        head.headerFields[.date] = intake.date.field
        if closes { head.headerFields[.connection] = "close" }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(context.channel.allocator.buffer(bytes: answer.body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let isLast = if case .end = unwrapOutboundIn(data) { true } else { false }
        context.write(data, promise: promise)
        guard isLast else { return }
        passed -= 1
        guard passed == 0, !held.isEmpty else { return }
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.execute {
            let (handler, context) = loopBound.value
            handler.goOn(context)
        }
    }

    /// Takes what was held, as far as that is possible.
    private func goOn(_ context: ChannelHandlerContext) {
        var hasPassed = false
        while let next = held.first {
            if case .answering = state { break }
            if case .part(.head(let head)) = next, passed > 0, SubmissionIntake.isSubmission(head) { break }
            held.removeFirst()
            switch next {
            case .part(let part): take(part, context)
            case .event(let event): context.fireUserInboundEventTriggered(event)
            case .error(let error): context.fireErrorCaught(error)
            }
            hasPassed = true
        }
        if hasPassed { context.fireChannelReadComplete() }
        if wantsRead, !isHolding {
            wantsRead = false
            context.read()
        }
    }
}

@available(*, unavailable)
extension SubmissionHandler: Sendable {}
