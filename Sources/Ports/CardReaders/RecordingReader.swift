internal import SmartCard
public import Traces

/// Any reader, with everything that passes written to a trace.
public struct RecordingReader: CardReader {
    let base: any CardReader
    public let recorder: TraceRecorder
    public var information: ReaderInformation { base.information }

    public init(_ base: any CardReader, recorder: TraceRecorder) {
        self.base = base
        self.recorder = recorder
        recorder.set("reader", "\(base.information.name) (\(base.information.kind.rawValue))")
    }

    public func activateCard(
        deadline: ContinuousClock.Instant?
    ) async throws(ReaderError) -> any CardChannel {
        do throws(ReaderError) {
            let channel = try await base.activateCard(deadline: deadline)
            recorder.append(.activated(answerToReset: channel.card.answerToReset))
            return RecordingChannel(base: channel, recorder: recorder)
        } catch {
            if let event = error.traceEvent { recorder.append(.event(event)) }
            throw error
        }
    }

    public func awaitRemoval(deadline: ContinuousClock.Instant?) async throws(ReaderError) -> Bool {
        try await base.awaitRemoval(deadline: deadline)
    }

    public func mayHoldLastCard() async -> Bool { await base.mayHoldLastCard() }

    public func fieldOff() async {
        await base.fieldOff()
        recorder.append(.event(.fieldOff))
    }

    public func close() async { await base.close() }

    public func usePolling(_ schedule: PollingSchedule) async throws(ReaderError) {
        try await base.usePolling(schedule)
    }

    struct RecordingChannel: CardChannel {
        let base: any CardChannel
        let recorder: TraceRecorder
        var card: CardInformation { base.card }

        nonisolated(nonsending) func transmit(
            _ command: [UInt8], timeout: Duration?
        ) async throws(ReaderError) -> CardAnswer {
            recorder.append(.command(command))
            do throws(ReaderError) {
                let answer = try await base.transmit(command, timeout: timeout)
                recorder.append(.response(answer.bytes, microseconds: answer.microseconds))
                return answer
            } catch {
                recorder.append(.event(error.traceEvent ?? .removed))
                throw error
            }
        }
    }
}

extension ReaderError {
    /// How a trace writes it; nil for what is not the card's doing.
    var traceEvent: Trace.Event? {
        switch self {
        case .noCard: .noCard
        case .collision: .collision
        case .activationFailed: .activationFailed
        case .cardRemoved: .removed
        case .cardTimeout: .timeout
        case .transmission: .transmission
        case .protocolViolation: .protocolViolation
        case .cancelled: .cancelled
        case .readerUnavailable: nil
        }
    }
}

extension Trace.Event {
    /// The error that a replay gives for it.
    var readerError: ReaderError {
        switch self {
        case .noCard: .noCard
        case .collision: .collision
        case .activationFailed: .activationFailed("as recorded")
        case .removed, .fieldOff: .cardRemoved
        case .timeout: .cardTimeout
        case .transmission: .transmission("as recorded")
        case .protocolViolation: .protocolViolation("as recorded")
        case .cancelled: .cancelled
        }
    }
}
