internal import AcquirerSimulator
public import Acquiring
public import CardReaders
public import Cards
public import EMV
internal import EMVCryptography
public import Journal
public import Terminal

/// A terminal with an emulated reader: cards in software are presented to it, the simulated host authorizes unless another
/// backend is given, and the journal is a file like any terminal's.
public final class EmulatedTerminal: Sendable {
    /// The terminal itself.
    public let session: TerminalSession
    /// The field that cards are presented in.
    public let reader: EmulatedReader
    public let journal: Journal
    public let backend: any AcquirerBackend

    /// - Parameters:
    ///   - profile: nil is the built-in one: test keys, all built-in kernels, EUR.
    ///   - path: the journal's file; it is made where there is none.
    ///   - backend: nil is the simulated host with the test cards' accounts.
    ///   - environment: what the terminal takes from outside: clock, random numbers, observer of its events.
    ///   - pin: what is entered where the card asks for the online PIN; nil is a terminal without PIN pad.
    /// - Throws: `ProfileFileError`, `JournalError`, or what is wrong with the profile's PIN keys.
    public init(
        profile: TerminalProfile? = nil, journal path: String, backend: (any AcquirerBackend)? = nil,
        environment: TerminalEnvironment = TerminalEnvironment(), pin: String? = nil
    ) async throws {
        let profile = try profile ?? .builtIn()
        let backend =
            backend
            ?? SimulatedAcquirer(issuer: .testWorld, answerTimeout: profile.timing.authorization)
        reader = EmulatedReader()
        journal = try await Journal.open(at: path)
        self.backend = backend
        let entered = pin.flatMap { PIN($0) }
        session = try TerminalAssembly(
            profile: profile, reader: reader, backend: backend, journal: journal, environment: environment,
            pinEntry: pin == nil ? .none : .software(counter: MemoryKeyCounter()) { _ in entered }
        ).terminal()
        // What an earlier run left unfinished is resolved before the first payment.
        _ = try await session.forwarder.recoverAll()
    }

    /// Takes one payment: presents the card, and takes it away at the end.
    /// - Parameters:
    ///   - price: in the terminal's currency.
    ///   - card: an emulated card or phone.
    /// - Throws: `EmulatedTerminalError.currency`, and `TerminalError` where no payment could begin or the journal failed.
    public func pay(
        _ price: Money, with card: sending EmulatedCard, type: TransactionType = .purchase
    ) async throws -> PaymentResult {
        let currency = session.profile.currency
        guard price.currency == currency else {
            throw EmulatedTerminalError.currency(price, terminal: currency)
        }
        reader.present(card)
        defer { reader.remove() }
        return try await session.pay(PaymentRequest(amount: price.amount, type: type))
    }

    /// Closes the journal: its file alone is whole then.
    public func close() async throws { try await journal.close() }
}

/// Why a payment did not begin.
public enum EmulatedTerminalError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The price is in another currency than the terminal's, an ISO 4217 numeric code.
    case currency(Money, terminal: NumericCode)

    public var description: String {
        switch self {
        case .currency(let price, let terminal):
            "\(price) at a terminal whose currency is \(terminal): give the price in that currency"
        }
    }
}

extension Money: ExpressibleByStringLiteral {
    /// A price in the source, such as `"12.50 EUR"`: the decimals are those of the currency, which stands by its letters.
    ///
    /// A text that is no price is the programmer's mistake and stops the program; `init(parsing:)` is for texts from outside.
    public init(stringLiteral text: StaticString) {
        guard let money = Money(parsing: "\(text)") else {
            preconditionFailure("\"\(text)\" is no price such as \"12.50 EUR\"")
        }
        self = money
    }
}

extension EmulatedCard {
    /// A fresh card by the name of a built-in profile (`CardLibrary`), such as `visa-debit` or `apple-pay-visa`.
    /// - Throws: where there is no such profile.
    public convenience init(named name: String) throws {
        try self.init(profile: try CardLibrary.profile(name))
    }
}
