internal import Acquiring
internal import BERTLV
public import CardReaders
internal import EMV
internal import Journal
internal import Kernels
public import Traces

/// Runs the whole terminal on a trace with the recorded inputs.
public enum Replay {
    public struct Report: Sendable {
        public var result: PaymentResult?
        /// The first place where replay and trace part, in words; nil where they agree to the end.
        public var difference: String?
        /// The trace that the replay itself gave.
        public var replayed: Trace
    }

    /// The inputs of a trace's header.
    /// - Throws: `TraceError` for a header field that is missing or not in its form.
    public static func request(of trace: Trace) throws(TraceError) -> PaymentRequest {
        func number(_ key: String, _ otherwise: UInt64? = nil) throws(TraceError) -> UInt64 {
            guard let text = trace[key] else {
                if let otherwise { return otherwise }
                throw TraceError(line: 1, reason: "the header lacks \"\(key)\"")
            }
            guard let value = UInt64(text) else {
                throw TraceError(line: 1, reason: "header field \(key): expected a number, found \"\(text)\"")
            }
            return value
        }
        guard let date = trace["date"].flatMap({ Hex.bytes($0) }).flatMap({ EMVDate(bytes: $0) }) else {
            throw TraceError(line: 1, reason: "the header needs \"date\" as YYMMDD")
        }
        guard let time = trace["time"].flatMap({ Hex.bytes($0) }).flatMap({ BCD.number($0) }) else {
            throw TraceError(line: 1, reason: "the header needs \"time\" as HHMMSS")
        }
        let typeCode = trace["type"].flatMap { UInt8($0, radix: 16) } ?? 0
        guard let type = TransactionType(code: typeCode) else {
            throw TraceError(line: 1, reason: "header field type: no transaction type \(typeCode)")
        }
        guard let amount = Amount(minorUnits: try number("amount")),
            let other = Amount(minorUnits: try number("amount-other", 0))
        else { throw TraceError(line: 1, reason: "header field amount: more than twelve digits") }
        return PaymentRequest(
            amount: amount, amountOther: other, type: type, date: date, hhmmss: Int(time),
            sequenceCounter: UInt32(clamping: try number("sequence", 1)))
    }

    /// What kernels had kept from earlier payments.
    static func memory(of trace: Trace) -> [KernelIdentifier: DataObjects] {
        var result: [KernelIdentifier: DataObjects] = [:]
        for field in trace.header where field.key.hasPrefix("kernel-memory-") {
            guard let kernel = UInt32(field.key.dropFirst(14)), let bytes = Hex.bytes(field.value) else {
                continue
            }
            result[KernelIdentifier(rawValue: kernel)] = DataObjects(encoded: bytes)
        }
        return result
    }

    /// Replays a trace.
    /// - Parameter profile: the terminal that recorded it; with another one the replay will differ.
    /// - Throws: `TraceError` for a trace whose header gives no inputs.
    public static func run(
        _ trace: Trace, profile: TerminalProfile, mode: ReplayReader.Mode = .strict,
        observer: (@Sendable (TerminalEvent) -> Void)? = nil
    ) async throws(TraceError) -> Report {
        let request = try request(of: trace)
        let reader = ReplayReader(trace, mode: mode)
        let recorder = TraceRecorder()
        let session = SessionRecorder(
            recorder: recorder, profile: profile, hasPINPad: trace["pin-pad"] == "yes")
        let environment = TerminalEnvironment(
            unpredictableNumber: { reader.nextUnpredictableNumber() ?? 0 },
            observer: {
                session.observe($0)
                observer?($0)
            }, sleep: { _ in },
            // Whatever was entered went to the recorded host: its answer is in the trace.
            pinPad: trace["pin-pad"] == "yes"
                ? PINPad { _ in EncipheredPIN(block: [UInt8](repeating: 0, count: 8), keySerialNumber: []) }
                : nil, dataExchange: ReplayDataExchange(reader: reader))
        let result: PaymentResult
        do {
            let terminal = TerminalSession(
                profile: profile, reader: RecordingReader(reader, recorder: recorder),
                backend: ReplayAcquirer(reader: reader), journal: try Journal.inMemory(),
                environment: environment, kernelMemory: memory(of: trace))
            result = try await terminal.pay(request)
        } catch {
            throw TraceError(line: 1, reason: "the replay cannot run: \(error)")
        }
        let replayed = recorder.recorded
        return Report(
            result: result,
            difference: reader.firstDifference ?? outcomeDifference(trace, replayed) ?? reader.unusedRest,
            replayed: replayed)
    }

    /// Compares the `=` lines.
    static func outcomeDifference(_ recorded: Trace, _ replayed: Trace) -> String? {
        func outcomes(_ trace: Trace) -> [Trace.Entry] {
            trace.entries.filter { if case .outcome = $0.content { true } else { false } }
        }
        let expected = outcomes(recorded)
        let found = outcomes(replayed)
        for (index, entry) in expected.enumerated() {
            guard index < found.count else {
                return
                    "line \(entry.line): expected \"\(Trace.line(entry.content))\", the terminal ended before it"
            }
            if entry != found[index] {
                return
                    "line \(entry.line): expected \"\(Trace.line(entry.content))\", the terminal gives \"\(Trace.line(found[index].content))\""
            }
        }
        guard !expected.isEmpty, found.count > expected.count else { return nil }
        return "the terminal gives one more outcome: \"\(Trace.line(found[expected.count].content))\""
    }
}

/// Answers as the host answered when the trace was recorded.
struct ReplayAcquirer: AcquirerBackend {
    let reader: ReplayReader
    var name: String { "replay" }

    func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
        guard let (word, fields) = reader.nextHostAnswer() else {
            throw .unreachable("the trace has no more answers of the host")
        }
        func field(_ key: String) -> String? { fields.first { $0.key == key }?.value }
        guard word == "answer", let code = field("code") else {
            throw SessionRecorder.error(field("error") ?? "unreachable")
        }
        var meaning = field("meaning").flatMap(ResponseMeaning.init) ?? ResponseCodeTable.meaning(of: code)
        // Which part was approved is not recorded, and nothing that a card sees depends on it.
        if meaning == .approvedInPart { meaning = .approved }
        return AuthorizationResponse(
            responseCode: code, meaning: meaning, authorizationCode: field("authorization"),
            issuerAuthenticationData: field("91").flatMap { Hex.bytes($0) },
            issuerScripts: field("scripts").flatMap { Hex.bytes($0) } ?? [])
    }

    func reverse(_ request: ReversalRequest) async throws(AcquirerError) {}
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {}
}
