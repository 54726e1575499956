internal import NIOConcurrencyHelpers

/// Asks sources one after the other for the same data: the next one as soon as one fails, or does not get on.
///
/// What comes first is taken and the other sources are let go. So a source that drips holds up nobody while another one has
/// the data, and sources that get on are not asked for the same twice.
struct SourceRace: Sendable {
    /// Counts what one source has given so far.
    final class Progress: Sendable {
        private let steps = NIOLockedValueBox(0)

        var count: Int { steps.withLockedValue { $0 } }

        func step() { steps.withLockedValue { $0 += 1 } }
    }

    enum Outcome<Value: Sendable>: Sendable {
        case value(Value, LedgerClient.Source)
        /// Why each source gave nothing, in their order.
        case nothing([(source: LedgerClient.Source, refusal: LedgerRefusal)])
    }

    private enum Event<Value: Sendable>: Sendable {
        case ended(Int, Result<Value, any Error>)
        case stalled(Int)
    }

    /// Time without a step after which the next source is asked, too; nil asks it only after a failure.
    let patience: Duration?
    let clock: any Clock<Duration>

    /// - Parameter attempt: what one source gives; refusals of kind `.refused` and `.unreachable` send the race on, any
    ///   other error ends it.
    func first<Value: Sendable>(
        of sources: [LedgerClient.Source],
        _ attempt: @escaping @Sendable (LedgerClient.Source, Progress) async throws -> Value
    ) async throws -> Outcome<Value> {
        try await withThrowingTaskGroup(of: Event<Value>.self) { group in
            defer { group.cancelAll() }
            var failures: [Int: LedgerRefusal] = [:]
            var started = 0
            while failures.count < sources.count {
                if failures.count == started {
                    start(started, of: sources, in: &group, attempt)
                    started += 1
                }
                switch try await group.next() {
                case .ended(let index, let result):
                    do {
                        return .value(try result.get(), sources[index])
                    } catch let refusal as LedgerRefusal where refusal.kind == .refused || refusal.kind == .unreachable
                    {
                        try Task.checkCancellation()
                        failures[index] = refusal
                    }
                case .stalled(let index):
                    guard failures[index] == nil, started < sources.count else { continue }
                    start(started, of: sources, in: &group, attempt)
                    started += 1
                case nil:
                    throw CancellationError()
                }
            }
            return .nothing(sources.indices.compactMap { index in failures[index].map { (sources[index], $0) } })
        }
    }

    private func start<Value: Sendable>(
        _ index: Int,
        of sources: [LedgerClient.Source],
        in group: inout ThrowingTaskGroup<Event<Value>, any Error>,
        _ attempt: @escaping @Sendable (LedgerClient.Source, Progress) async throws -> Value
    ) {
        let (source, progress) = (sources[index], Progress())
        group.addTask {
            do {
                return .ended(index, .success(try await attempt(source, progress)))
            } catch {
                return .ended(index, .failure(error))
            }
        }
        guard let patience, index + 1 < sources.count else { return }
        group.addTask { [clock] in
            var last = 0
            repeat {
                last = progress.count
                // A cancelled race looks at no event any more.
                try? await clock.sleep(for: patience)
            } while progress.count > last && !Task.isCancelled
            return .stalled(index)
        }
    }
}

/// The value of the body; nil when it gives none, throws, or takes longer.
func value<Value: Sendable>(
    within time: Duration,
    _ clock: any Clock<Duration>,
    _ body: @escaping @Sendable () async throws -> Value?
) async -> Value? {
    await withTaskGroup(of: Value?.self) { group in
        group.addTask { try? await body() }
        group.addTask {
            try? await clock.sleep(for: time)
            return nil
        }
        defer { group.cancelAll() }
        return await group.next() ?? nil
    }
}
