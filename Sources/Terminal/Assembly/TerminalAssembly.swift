public import Acquiring
public import CardReaders
public import EMVCryptography
public import Journal
public import Traces

/// What one terminal is made of. Programs put their terminals together here and nowhere else, so that each has the PIN pad that
/// its profile describes and a trace has all that a replay needs.
public struct TerminalAssembly: Sendable {
    /// How online PINs are entered.
    public enum PINEntry: Sendable {
        /// A terminal without PIN pad: cards are told so.
        case none
        /// A PIN pad in software.
        /// - Parameters:
        ///   - keys: what PIN blocks are enciphered with; nil takes the profile's, or the test keys where it has none.
        ///   - counter: numbers the transactions of keys that change with each.
        ///   - ask: gives the PIN, nil where the cardholder gives up.
        case software(
            keys: PINKeys? = nil, counter: any KeyCounter, ask: @Sendable (PINPad.Request) async -> PIN?)
    }

    public var profile: TerminalProfile
    public var reader: any CardReader
    public var backend: any AcquirerBackend
    public var journal: Journal
    /// Its PIN pad is what `pinEntry` says.
    public var environment: TerminalEnvironment
    public var pinEntry: PINEntry
    /// Gets all that reader, card, host and terminal do, as a trace.
    public var trace: TraceRecorder?

    public init(
        profile: TerminalProfile, reader: any CardReader, backend: any AcquirerBackend, journal: Journal,
        environment: TerminalEnvironment = TerminalEnvironment(), pinEntry: PINEntry = .none,
        trace: TraceRecorder? = nil
    ) {
        self.profile = profile
        self.reader = reader
        self.backend = backend
        self.journal = journal
        self.environment = environment
        self.pinEntry = pinEntry
        self.trace = trace
    }

    /// The terminal, ready for its first payment.
    /// - Throws: `PINKeysError` where the profile's PIN keys cannot be used.
    public func terminal() throws -> TerminalSession {
        var environment = environment
        switch pinEntry {
        case .none: environment.pinPad = nil
        case .software(let keys, let counter, let ask):
            environment.pinPad = .software(
                keys: try keys ?? profile.pinKeys ?? .test(), counter: counter, ask: ask)
        }
        var reader = reader
        if let trace {
            let recorder = SessionRecorder(
                recorder: trace, profile: profile, hasPINPad: environment.pinPad != nil)
            let observer = environment.observer
            environment.observer = { event in
                recorder.observe(event)
                observer?(event)
            }
            reader = RecordingReader(reader, recorder: trace)
        }
        return TerminalSession(
            profile: profile, reader: reader, backend: backend, journal: journal, environment: environment)
    }
}
