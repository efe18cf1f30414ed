internal import Acquiring
internal import BERTLV
internal import EMV
internal import Kernels
public import Traces

/// Writes what the terminal itself contributes to a trace: inputs, unpredictable numbers, the host's
/// answers, outcomes. Commands and answers are written by `RecordingReader`.
public struct SessionRecorder: Sendable {
    public let recorder: TraceRecorder

    /// - Parameter hasPINPad: whether the terminal takes online PINs; a replay then does, too.
    public init(recorder: TraceRecorder, profile: TerminalProfile, hasPINPad: Bool) {
        self.recorder = recorder
        recorder.set("pin-pad", hasPINPad ? "yes" : "no")
        recorder.set("profile", profile.source)
        recorder.set("profile-digest", profile.digest)
    }

    public func observe(_ event: TerminalEvent) {
        switch event {
        case .transaction(_, let inputs):
            recorder.set("amount", String(inputs.amount.minorUnits))
            recorder.set("amount-other", String(inputs.amountOther.minorUnits))
            recorder.set("type", Hex.string([inputs.transactionType]))
            recorder.set("currency", inputs.currency.description)
            recorder.set("date", Hex.string(inputs.date.bytes))
            recorder.set("time", Hex.string(BCD.bytes(UInt64(max(0, inputs.hhmmss)), count: 3)))
            recorder.set("sequence", String(inputs.sequenceCounter))
        case .unpredictableNumber(let number):
            recorder.append(.unpredictableNumber(number))
        case .kernelMemory(let memory):
            for (kernel, data) in memory {
                recorder.set("kernel-memory-\(kernel)", Hex.string(data.encoded()))
            }
        case .dataExchanged(let data):
            recorder.append(.terminalData(data.encoded()))
        case .authorizationAnswered(let response):
            recorder.append(.host("answer", Self.fields(response)))
        case .authorizationFailed(let error):
            recorder.append(.host("failed", [Trace.Field("error", Self.word(error))]))
        case .outcome(let final):
            recorder.append(.outcome(final.outcome.status.rawValue, Self.fields(final)))
        case .finished(let result):
            var fields = [Trace.Field("status", result.status.rawValue)]
            if let online = result.online { fields.append(Trace.Field("online", online ? "yes" : "no")) }
            recorder.append(.outcome("result", fields))
        default: break
        }
    }

    static func fields(_ final: FinalOutcome) -> [Trace.Field] {
        let outcome = final.outcome
        var fields: [Trace.Field] = []
        if let selected = final.selected {
            fields.append(Trace.Field("aid", Hex.string(selected.applicationIdentifier)))
            fields.append(Trace.Field("kernel", selected.kernel.description))
        }
        fields.append(Trace.Field("cvm", outcome.cvm.rawValue))
        if let start = outcome.start { fields.append(Trace.Field("start", start.rawValue)) }
        if let request = outcome.uiRequestOnOutcome {
            fields.append(Trace.Field("message", Hex.string([request.message.rawValue])))
        }
        // What the card has left: read after GENERATE AC (Kernel 2), or told with it.
        let read = outcome.discretionaryData?.decimal(0xDF8105)
        let shown = outcome.uiRequestOnOutcome.flatMap { $0.valueQualifier == .balance ? $0.value : nil }
        if let balance = read ?? shown?.minorUnits { fields.append(Trace.Field("balance", String(balance))) }
        if let error = outcome.discretionaryData?[0xDF8115] {
            fields.append(Trace.Field("error", Hex.string(error)))
        }
        return fields
    }

    static func fields(_ response: AuthorizationResponse) -> [Trace.Field] {
        var fields = [Trace.Field("code", response.responseCode)]
        // A host's own meaning of a code is not told by the code.
        if response.meaning != ResponseCodeTable.meaning(of: response.responseCode) {
            fields.append(Trace.Field("meaning", response.meaning.rawValue))
        }
        if let code = response.authorizationCode { fields.append(Trace.Field("authorization", code)) }
        if let data = response.issuerAuthenticationData { fields.append(Trace.Field("91", Hex.string(data))) }
        if !response.issuerScripts.isEmpty {
            fields.append(Trace.Field("scripts", Hex.string(response.issuerScripts)))
        }
        return fields
    }

    static func word(_ error: AcquirerError) -> String {
        switch error {
        case .unreachable: "unreachable"
        case .notReady: "not-ready"
        case .timeout: "timeout"
        case .malformedResponse: "malformed"
        case .connectionLost: "connection-lost"
        case .rejected: "rejected"
        case .notProcessed: "not-processed"
        }
    }

    static func error(_ word: String) -> AcquirerError {
        switch word {
        case "timeout": .timeout
        case "not-ready": .notReady("as recorded")
        case "malformed": .malformedResponse("as recorded")
        case "connection-lost": .connectionLost("as recorded")
        case "rejected": .rejected("as recorded")
        case "not-processed": .notProcessed("as recorded")
        default: .unreachable("as recorded")
        }
    }
}
