public import Acquiring
internal import BERTLV
internal import EMV
public import ISO8583

/// Writes a host's answers.
public struct AnswerBuilder: Sendable {
    public let interface: HostInterface
    private var dialect: Dialect { interface.dialect }

    public init(_ interface: HostInterface) { self.interface = interface }

    /// Fields that come back as they went (ISO 8583:1987, table of message formats, "ME").
    private static let echoed = [3, 4, 7, 11, 12, 13, 24, 25, 32, 33, 37, 41, 42, 49, 50, 70]

    /// An answer of the given code and nothing else of its own.
    public func answer(to request: Message, code: String, text: String? = nil) -> Message {
        var message = Message(request.type.response)
        message.header = interface.framing.answerHeader(to: request.header)
        for field in Self.echoed {
            // Reason and function codes of 1993 are the request's own.
            if field == 25, dialect.version == .v1993 { continue }
            if let value = request[field] { message.set(field, value) }
        }
        let messageClass = request.type.responseClass ?? .authorization
        put(&message, 39, interface.responseCodeTable.code(for: code, in: messageClass))
        if let text, let place = dialect[44] {
            message.set(44, dialect.characters.encoded(text).bytes.prefix(place.most))
        }
        if interface.retrievalReference == .host, dialect[37] != nil, !message.contains(37),
            message.contains(11),
            messageClass == .authorization,
            let reference = RequestReader(interface).assignedReference(request)
        {
            message.set(37, reference)
        }
        return message
    }

    public func authorization(to request: Message, _ response: AuthorizationResponse) -> Message {
        var message = answer(to: request, code: response.responseCode, text: response.message)
        if let code = response.authorizationCode { put(&message, 38, code) }
        if let part = response.approvedAmount { put(&message, 4, MessageBuilder.digits(part.minorUnits, 12)) }
        var chip: [UInt8] = []
        if let data = response.issuerAuthenticationData, !data.isEmpty {
            var writer = BERTLVWriter()
            writer.append(0x91, data)
            chip += writer.bytes
        }
        chip += response.issuerScripts
        if !chip.isEmpty, dialect[55] != nil { message.set(55, chip) }
        if let charge = response.accountCharge {
            put(&message, 6, MessageBuilder.digits(charge.amount.minorUnits, 12))
            put(&message, 51, charge.currency.description)
            if let rate = Self.rate(charge.rate) { put(&message, 10, rate) }
        }
        if let balance = response.availableBalance {
            put(
                &message, 54,
                "0002" + balance.currency.description + "C"
                    + MessageBuilder.digits(balance.amount.minorUnits, 12))
        }
        return message
    }

    public func reconciliation(to request: Message, _ answer: ReconciliationAnswer) -> Message {
        switch answer {
        case .balanced:
            var message = self.answer(to: request, code: "00")
            settlementCode(&message, "1")
            return message
        case .outOfBalance(let totals):
            var message = self.answer(to: request, code: "95")
            settlementCode(&message, "2")
            guard let totals else { return message }
            put(&message, 74, MessageBuilder.digits(UInt64(max(0, totals.credits)), 10))
            put(&message, 76, MessageBuilder.digits(UInt64(max(0, totals.debits)), 10))
            put(&message, 86, MessageBuilder.digits(totals.creditAmount, 16))
            put(&message, 88, MessageBuilder.digits(totals.debitAmount, 16))
            return message
        }
    }

    /// Field 66 of 1987. In 1993 field 66 has original fees (LLL 204), and field 39 says it all: 500, 501.
    private func settlementCode(_ message: inout Message, _ code: String) {
        if dialect.version == .v1987 { put(&message, 66, code) }
    }

    private func put(_ message: inout Message, _ field: Int, _ text: String) {
        if dialect[field] != nil { message.set(field, text) }
    }

    /// Field 10 of a decimal number: as many places as seven digits hold.
    public static func rate(_ text: String) -> String? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = parts.first, (1...2).contains(parts.count), UInt64(whole) != nil else { return nil }
        let digits = whole.drop { $0 == "0" }
        var places = parts.count == 2 ? String(parts[1]) : ""
        guard digits.utf8.count <= 7, places.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        places = String(places.prefix(7 - digits.utf8.count))
        guard let number = UInt64(digits + places) ?? (places.isEmpty ? 0 : nil) else { return nil }
        return String(places.utf8.count) + MessageBuilder.digits(number, 7)
    }
}
