/// Late answers for one listener (`AcquirerBackend.answersOutOfTime`); those before it listens are kept, some hundreds
/// at most.
public actor LateAnswers {
    private var listener: AsyncStream<LateAnswer>.Continuation?
    private var kept: [LateAnswer] = []
    private var isFinished = false

    public init() {}

    public func add(_ answer: LateAnswer) {
        if let listener {
            listener.yield(answer)
        } else if kept.count < 500 {
            kept.append(answer)
        }
    }

    /// An earlier listener's stream ends.
    public func stream() -> AsyncStream<LateAnswer> {
        listener?.finish()
        let (stream, continuation) = AsyncStream.makeStream(of: LateAnswer.self)
        for answer in kept { continuation.yield(answer) }
        kept = []
        listener = continuation
        if isFinished { continuation.finish() }
        return stream
    }

    public func finish() {
        isFinished = true
        listener?.finish()
    }
}
