internal import Acquiring
internal import BERTLV
internal import EMV
internal import EMVCryptography
internal import EMVDictionary
internal import Foundation
internal import Kernels
internal import SmartCard
internal import Synchronization
internal import Terminal
internal import Traces

/// What an event tells, as it happened: it becomes JSON when the first client asks for it.
enum EventContent: Sendable {
    case payment(PaymentView)
    case display(CustomerMessage)
    case terminal(TerminalView)
    case card(answerToReset: [UInt8], activation: ContactlessActivation?)
    case command([UInt8], DictionaryContext?, hint: EMVDecoder.Hint = EMVDecoder.Hint())
    case response(
        [UInt8], StatusWord, microseconds: UInt32, DictionaryContext?,
        hint: EMVDecoder.Hint = EMVDecoder.Hint())
    case readerError(String)
    case fieldOff
    case unpredictableNumber(UInt32)
    case kernel(KernelIdentifier, state: String)
    case dataExchange(DataExchange, DictionaryContext?)
    case dataExchanged(DataObjects, DictionaryContext?)
    case outcome(FinalOutcome)
    case refused(String)
    case pinRequested
    case pinEntered(String)
    case authorizationSent(
        stan: UInt32, amount: UInt64, entryMode: String, chipData: [UInt8], DictionaryContext?)
    case authorizationAnswered(
        responseCode: String, authorizationCode: String?, approved: Bool, microseconds: UInt64, text: String?)
    case authorizationFailed(String)
    /// A message to or from the host as its line has it, explained.
    case hostMessage(direction: String, hex: String, text: String)
    case reversal(reason: String, transmission: Int, delivered: Bool)
    case finished(PaymentView)
    case tap([String])
    case removed([String])

    var type: String {
        switch self {
        case .payment: "payment"
        case .display: "display"
        case .terminal: "terminal"
        case .card: "card"
        case .command: "command"
        case .response: "response"
        case .readerError: "readerError"
        case .fieldOff: "fieldOff"
        case .unpredictableNumber: "unpredictableNumber"
        case .kernel: "kernel"
        case .dataExchange: "dataExchange"
        case .dataExchanged: "dataExchanged"
        case .outcome: "outcome"
        case .refused: "refused"
        case .pinRequested: "pinRequested"
        case .pinEntered: "pinEntered"
        case .authorizationSent: "authorizationSent"
        case .authorizationAnswered: "authorizationAnswered"
        case .authorizationFailed: "authorizationFailed"
        case .hostMessage: "hostMessage"
        case .reversal: "reversal"
        case .finished: "finished"
        case .tap: "tap"
        case .removed: "removed"
        }
    }
}

/// One event of the daemon's stream.
final class ServiceEvent: Sendable {
    let id: UInt64
    let type: String
    let at: Date
    /// Microseconds since the payment began; nil outside of payments.
    let elapsed: UInt64?
    let terminal: String?
    let payment: String?
    private enum State {
        case content(EventContent)
        case encoded(Data)
    }
    private let state: Mutex<State>

    init(
        id: UInt64, _ content: EventContent, at: Date = Date(), elapsed: UInt64?, terminal: String?,
        payment: String?
    ) {
        self.id = id
        self.at = at
        self.elapsed = elapsed
        self.terminal = terminal
        self.payment = payment
        type = content.type
        state = Mutex(.content(content))
    }

    /// The event's data, made once. Afterwards the card's bytes are there in their masked form only.
    var data: Data {
        state.withLock { state in
            switch state {
            case .encoded(let data): return data
            case .content(let content):
                let data =
                    (try? JSON.encode(Envelope(event: self, content: content)))
                    ?? Data("{\"id\":\(id),\"type\":\"\(type)\"}".utf8)
                state = .encoded(data)
                return data
            }
        }
    }

    private struct Envelope: Encodable {
        let event: ServiceEvent
        let content: EventContent
        func encode(to encoder: any Encoder) throws {
            var object = encoder.container(keyedBy: AnyKey.self)
            try object.encode(event.id, forKey: "id")
            try object.encode(event.type, forKey: "type")
            try object.encode(event.at, forKey: "at")
            try object.encodeIfPresent(event.elapsed, forKey: "elapsed")
            // Events that bring the whole terminal or payment have it in place of its id.
            if event.type != "terminal" { try object.encodeIfPresent(event.terminal, forKey: "terminal") }
            if event.type != "payment", event.type != "finished" {
                try object.encodeIfPresent(event.payment, forKey: "payment")
            }
            try content.encode(into: &object)
        }
    }
}

struct AnyKey: CodingKey, ExpressibleByStringLiteral {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringLiteral value: String) { stringValue = value }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension EventContent {
    func encode(into object: inout KeyedEncodingContainer<AnyKey>) throws {
        switch self {
        case .payment(let payment), .finished(let payment): try object.encode(payment, forKey: "payment")
        case .display(let message): try object.encode(DisplayView(message: message), forKey: "display")
        case .terminal(let terminal): try object.encode(terminal, forKey: "terminal")
        case .card(let answer, let activation):
            try object.encode(Hex.string(answer), forKey: "atr")
            if let activation {
                try object.encode(activation.modulation.rawValue, forKey: "technology")
                try object.encode(Hex.string(activation.identifier), forKey: "uid")
            }
        case .command(let bytes, let context, let hint):
            try object.encode(Hex.string(bytes), forKey: "hex")
            let tree = Explaining.node(bytes, .command, context, hint: hint)
            try object.encode(Self.commandName(bytes), forKey: "name")
            try object.encode(tree, forKey: "tree")
        case .response(let bytes, let status, let microseconds, let context, let hint):
            let masked = Self.masked(bytes)
            try object.encode(Hex.string(masked), forKey: "hex")
            try object.encode(Hex.string([status.sw1, status.sw2]), forKey: "sw")
            try object.encode(microseconds, forKey: "microseconds")
            try object.encode(Explaining.node(bytes, .response, context, hint: hint), forKey: "tree")
        case .readerError(let text), .authorizationFailed(let text): try object.encode(text, forKey: "text")
        case .fieldOff, .pinRequested: break
        case .unpredictableNumber(let number):
            try object.encode(
                Hex.string((0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }), forKey: "hex")
        case .kernel(let kernel, let state):
            try object.encode(kernel.description, forKey: "kernel")
            try object.encode(state, forKey: "state")
        case .dataExchange(let signal, let context):
            try object.encode(signal.dataNeeded.map { "\($0)" }, forKey: "needed")
            if !signal.dataToSend.isEmpty {
                try object.encode(Explaining.node(signal.dataToSend.encoded(), .tlv, context), forKey: "tree")
            }
        case .dataExchanged(let data, let context):
            try object.encode(Explaining.node(data.encoded(), .tlv, context), forKey: "tree")
        case .outcome(let final): try Self.encode(final, into: &object)
        case .refused(let reason): try object.encode(reason, forKey: "reason")
        case .pinEntered(let result): try object.encode(result, forKey: "result")
        case .authorizationSent(let stan, let amount, let entryMode, let chipData, let context):
            try object.encode(stan, forKey: "stan")
            try object.encode(amount, forKey: "amount")
            try object.encode(entryMode, forKey: "entryMode")
            if !chipData.isEmpty {
                try object.encode(Explaining.node(chipData, .tlv, context), forKey: "chipData")
            }
        case .authorizationAnswered(let code, let authorization, let approved, let microseconds, let text):
            try object.encode(code, forKey: "responseCode")
            try object.encodeIfPresent(authorization, forKey: "authorizationCode")
            try object.encode(approved, forKey: "approved")
            try object.encode(microseconds, forKey: "microseconds")
            try object.encodeIfPresent(text, forKey: "text")
        case .hostMessage(let direction, let hex, let text):
            try object.encode(direction, forKey: "direction")
            try object.encode(hex, forKey: "hex")
            try object.encode(text, forKey: "text")
        case .reversal(let reason, let transmission, let delivered):
            try object.encode(reason, forKey: "reason")
            try object.encode(transmission, forKey: "transmission")
            try object.encode(delivered, forKey: "delivered")
        case .tap(let cards), .removed(let cards): try object.encode(cards, forKey: "cards")
        }
    }

    private static func encode(
        _ final: FinalOutcome, into object: inout KeyedEncodingContainer<AnyKey>
    ) throws {
        let outcome = final.outcome
        let context = Explaining.context(final.selected?.kernel)
        try object.encode(outcome.status.rawValue, forKey: "status")
        try object.encodeIfPresent(outcome.start?.rawValue, forKey: "start")
        try object.encode(outcome.cvm.rawValue, forKey: "cvm")
        if let selected = final.selected {
            try object.encode(selected.kernel.description, forKey: "kernel")
            try object.encode(Hex.string(selected.applicationIdentifier), forKey: "aid")
        }
        try object.encode(Explaining.node(outcome.encoded, .tlv, context), forKey: "tree")
        let record = outcome.dataRecord
        for (tag, name): (Tag, AnyKey) in [(0x95, "tvr"), (0x9F34, "cvmResults"), (0x9F27, "cid")] {
            if let value = record?[tag] ?? outcome.discretionaryData?[tag] {
                try object.encode(Explaining.object(tag, value, context, unset: true), forKey: name)
            }
        }
        try object.encode(Verdict.of(final), forKey: "verdicts")
    }

    static func commandName(_ bytes: [UInt8]) -> String {
        let names: [UInt8: String] = [
            0xA4: "SELECT", 0xA8: "GET PROCESSING OPTIONS", 0xB2: "READ RECORD", 0xAE: "GENERATE AC",
            0xCA: "GET DATA",
            0x82: "EXTERNAL AUTHENTICATE", 0x84: "GET CHALLENGE", 0x88: "INTERNAL AUTHENTICATE",
            0xDA: "PUT DATA",
            0xDC: "UPDATE RECORD", 0xEA: "EXCHANGE RELAY RESISTANCE DATA", 0xD0: "RECOVER AC",
            0x2A: "COMPUTE CRYPTOGRAPHIC CHECKSUM", 0x1E: "APPLICATION BLOCK", 0x18: "APPLICATION UNBLOCK",
            0x16: "CARD BLOCK", 0x24: "PIN CHANGE/UNBLOCK", 0x20: "VERIFY",
        ]
        guard bytes.count > 1 else { return "command" }
        return names[bytes[1]] ?? "INS \(Hex.string([bytes[1]]))"
    }

    /// The response as a trace keeps it: blanked where it holds a card number that is no test number.
    static func masked(_ response: [UInt8]) -> [UInt8] {
        let trace = Trace(entries: [Trace.Entry(.response(response, microseconds: nil))]).masked()
        if case .response(let bytes, _)? = trace.entries.first?.content { return bytes }
        return response
    }
}
