internal import Acquiring
internal import EMV
internal import EMVDictionary
internal import Foundation

/// The answer to every message.
struct WireAnswer: Codable {
    struct Money: Codable {
        var amount: UInt64
        var currency: String
        var currencyExponent: UInt8
        var rate: String?

        /// The currency, whose decimals are those that were meant.
        func code(_ member: String) throws(HTTPMessageError) -> NumericCode {
            let code = try CodeText.code(currency, member + ".currency")
            let digits = CodeTable.minorUnits(of: code)
            guard currencyExponent == digits else {
                throw wrong(member + ".currencyExponent", "currency \(code) has \(digits) decimals")
            }
            return code
        }
    }

    var version: Int
    var message: HTTPMessage.Kind
    var transactionId: String?
    var responseCode: String
    var authorizationCode: String?
    var issuerAuthenticationData: String?
    var issuerScripts: String?
    var approvedAmount: UInt64?
    var accountCharge: Money?
    var availableBalance: Money?
    var displayText: String?
    var reason: String?
    var totals: WireTotals?

    init(_ answer: HTTPAnswer) {
        let response = answer.response
        version = WireHead.version
        message = answer.kind
        transactionId = answer.transactionID
        responseCode = response.responseCode
        authorizationCode = response.authorizationCode
        issuerAuthenticationData = response.issuerAuthenticationData.map { HexText.text($0) }
        issuerScripts = response.issuerScripts.isEmpty ? nil : HexText.text(response.issuerScripts)
        approvedAmount = response.approvedAmount?.minorUnits
        accountCharge = response.accountCharge.map {
            Money(
                amount: $0.amount.minorUnits, currency: $0.currency.description,
                currencyExponent: $0.currencyExponent, rate: $0.rate)
        }
        availableBalance = response.availableBalance.map {
            Money(
                amount: $0.amount.minorUnits, currency: $0.currency.description,
                currencyExponent: $0.currencyExponent)
        }
        displayText = response.message
        reason = response.reason
        totals = answer.totals.map { WireTotals($0) }
    }

    func answer() throws(HTTPMessageError) -> HTTPAnswer {
        guard version == WireHead.version else {
            throw wrong("version", "expected \(WireHead.version), found \(version)")
        }
        guard
            responseCode.utf8.count == 2,
            responseCode.utf8.allSatisfy({ IdempotencyKey.isPart($0) && $0 > 0x2F && $0 != 0x5F })
        else { throw wrong("responseCode", "expected two letters or digits") }
        if let authorizationCode {
            guard authorizationCode.utf8.count == 6,
                authorizationCode.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
            else { throw wrong("authorizationCode", "expected six characters") }
        }
        var response = AuthorizationResponse(
            responseCode: responseCode, authorizationCode: authorizationCode, message: displayText,
            reason: reason)
        if let issuerAuthenticationData {
            // Tag 91 (EMV Book 3, annex A).
            let bytes = try HexText.bytes(issuerAuthenticationData, "issuerAuthenticationData")
            guard (8...16).contains(bytes.count) else {
                throw wrong("issuerAuthenticationData", "expected 8 to 16 bytes")
            }
            response.issuerAuthenticationData = bytes
        }
        if let issuerScripts {
            response.issuerScripts = try HexText.bytes(issuerScripts, "issuerScripts")
        }
        if let approvedAmount {
            response.approvedAmount = try AmountNumber.amount(approvedAmount, "approvedAmount")
        }
        if let charge = accountCharge {
            guard let rate = charge.rate else { throw wrong("accountCharge.rate", "missing") }
            response.accountCharge = AccountCharge(
                amount: try AmountNumber.amount(charge.amount, "accountCharge.amount"),
                currency: try charge.code("accountCharge"), currencyExponent: charge.currencyExponent,
                rate: rate)
        }
        if let balance = availableBalance {
            response.availableBalance = AccountBalance(
                amount: try AmountNumber.amount(balance.amount, "availableBalance.amount"),
                currency: try balance.code("availableBalance"), currencyExponent: balance.currencyExponent)
        }
        return HTTPAnswer(
            kind: message, transactionID: transactionId, response: response, totals: totals?.totals)
    }
}

/// The body of every refusal. Key and amount are those of the message: by them the terminal knows that the refusal is
/// the host's and of this message, where it cannot be signed.
struct WireRefusal: Codable {
    struct Reason: Codable {
        var code: String
        var message: String
    }
    var error: Reason
    var idempotencyKey: String?
    var amount: UInt64?

    /// Whether it names the message.
    func isOf(_ message: HTTPMessage, _ idempotencyKey: String) -> Bool {
        self.idempotencyKey == idempotencyKey && amount == message.amount?.minorUnits
    }
}

/// What a refusal repeats of a message that may not even be one.
struct RefusedMessage: Sendable {
    var idempotencyKey: String?
    var amount: UInt64?

    private struct WithAmount: Decodable {
        var amount: UInt64
    }
    /// Longer bodies are not looked into.
    private static let longest = 65_536

    /// - Parameter keys: values of the header; two are none.
    init(keys: [String], body: [UInt8]) {
        idempotencyKey = keys.count == 1 && IdempotencyKey.isValid(keys[0]) ? keys[0] : nil
        guard body.count <= Self.longest else { return }
        amount = (try? JSONDecoder().decode(WithAmount.self, from: Data(body)))?.amount
        if let units = amount, Amount(minorUnits: units) == nil { amount = nil }
    }
}
