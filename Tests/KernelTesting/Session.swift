internal import EMV
public import Kernels
public import SmartCard

/// A transaction with a card behind a closure; what was sent and answered is kept.
public struct Session {
    public var entryPoint: EntryPoint
    public var exchanges: [(command: [UInt8], answer: [UInt8]?)] = []
    /// Presentments left; afterwards the terminal stops.
    public var taps = 3
    public var powerOn: () -> Void = {}
    /// What the reader tells where the card gives no answer.
    public var silence = CommunicationError.timeout
    public var unpredictableNumber: UInt32 = 0x1234_5678
    /// How long each answer takes.
    public var microseconds: () -> UInt32 = { 100 }
    /// The partner of data exchange: what it does with what the kernel sends, and what comes while the kernel waits.
    public var exchangeData: (DataExchange) -> KernelEvent = { _ in .done }
    public var waitForData: () -> KernelEvent = { .timeout }
    let card: ([UInt8]) -> [UInt8]?

    public init(_ configuration: EntryPointConfiguration, _ card: @escaping ([UInt8]) -> [UInt8]?) {
        entryPoint = EntryPoint(configuration: configuration, kernels: .all)
        self.card = card
    }
    public init(_ reader: TestReader, _ card: @escaping ([UInt8]) -> [UInt8]?) {
        self.init(reader.configuration, card)
    }
    public init(_ reader: TestReader, _ card: any VirtualCard) {
        self.init(reader) { card.process($0) }
        powerOn = { card.powerOn() }
    }

    /// The final outcome; nil where none came in `steps` steps, or where an outcome of the kernel reached the driver.
    public mutating func run(_ first: EntryPointAction, steps: Int = 3000) -> FinalOutcome? {
        var action = first
        for _ in 0..<steps {
            let event: EntryPointEvent
            switch action {
            case .outcome(let final): return final
            case .activateCard:
                if taps > 0 {
                    taps -= 1
                    powerOn()
                    event = .cardActivated
                } else {
                    event = .kernel(.stop)
                }
            case .fieldOff: event = .kernel(.done)
            case .kernel(.transmit(let command)):
                let answer = card(command.bytes)
                exchanges.append((command.bytes, answer))
                if let response = answer.flatMap({ try? ResponseAPDU(bytes: $0) }) {
                    event = .kernel(.response(response, microseconds: microseconds()))
                } else {
                    event = .kernel(.communicationError(answer == nil ? silence : .protocol))
                }
            case .kernel(.display): event = .kernel(.done)
            case .kernel(.sendDataExchange(let data)): event = .kernel(exchangeData(data))
            case .kernel(.drawUnpredictableNumber):
                event = .kernel(.unpredictableNumber(unpredictableNumber))
            case .kernel(.waitForData): event = .kernel(waitForData())
            case .kernel(.outcome): return nil
            }
            action = entryPoint.handle(event)
        }
        return nil
    }
}
