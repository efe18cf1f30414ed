public import EMV

/// What a terminal session takes from outside, so that a replay, a test or a benchmark can hand in its own.
public struct TerminalEnvironment: Sendable {
    /// Local date and time: (date, HHMMSS).
    public var now: @Sendable () -> (date: EMVDate, hhmmss: Int)
    public var unpredictableNumber: @Sendable () -> UInt32
    /// Told everything that happens, in order.
    public var observer: (@Sendable (TerminalEvent) -> Void)?
    /// Waits; message hold times and field resets pass through it.
    public var sleep: @Sendable (Duration) async -> Void
    /// Whether messages stay on for their hold time before the payment goes on.
    public var holdsMessages: Bool
    /// Where online PINs are entered; without one the terminal tells cards that it takes none.
    public var pinPad: PINPad?
    public var limits: TransactionDriver.Limits
    /// Who answers kernels that exchange data; nil is what the profile says.
    public var dataExchange: (any DataExchangePartner)?
    /// A card that stays on the reader is read again by the next payment, for benchmarks and soak tests; else it has to be
    /// taken away first.
    public var allowsCardToStay = false

    public init(
        now: @escaping @Sendable () -> (date: EMVDate, hhmmss: Int) = LocalTime.now,
        unpredictableNumber: @escaping @Sendable () -> UInt32 = { UInt32.random(in: 0 ... .max) },
        observer: (@Sendable (TerminalEvent) -> Void)? = nil,
        sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) },
        holdsMessages: Bool = false, pinPad: PINPad? = nil, limits: TransactionDriver.Limits = .init(),
        dataExchange: (any DataExchangePartner)? = nil
    ) {
        self.now = now
        self.unpredictableNumber = unpredictableNumber
        self.observer = observer
        self.sleep = sleep
        self.holdsMessages = holdsMessages
        self.pinPad = pinPad
        self.limits = limits
        self.dataExchange = dataExchange
    }
}
