package import Acquiring
internal import BERTLV
internal import EMV
internal import Foundation

/// An authorization request as the journal keeps it, enciphered, until it is settled, reversed or declined. It holds the
/// card number in clear and never a PIN block or track (what comes after an authorization needs neither).
package struct KeptRequest: Codable {
    private var transactionID, terminalID, merchantID, merchantName, merchantCategoryCode, acquirerID: String
    private var merchantLocation: String?
    private var stan: UInt32
    private var retrievalReference: String
    private var amount, amountOther: UInt64
    private var currency, country: UInt16
    private var transactionType: UInt8
    /// YYMMDD as three bytes, hexadecimal.
    private var date: String
    private var hhmmss: Int
    private var entryMode: PointOfServiceEntryMode
    private var number: String
    private var panSequenceNumber: UInt8?
    private var expiry: String?
    private var chipData: String
    private var cvm: Outcome.CVM
    private var purpose: AuthorizationPurpose?
    private var acceptsPartialApproval: Bool?

    package init(_ request: AuthorizationRequest) {
        transactionID = request.transactionID
        terminalID = request.terminalID
        merchantID = request.merchantID
        merchantName = request.merchantName
        merchantLocation = request.merchantLocation.isEmpty ? nil : request.merchantLocation
        merchantCategoryCode = request.merchantCategoryCode
        acquirerID = request.acquirerID
        stan = request.stan
        retrievalReference = request.retrievalReference
        amount = request.amount.minorUnits
        amountOther = request.amountOther.minorUnits
        currency = UInt16(clamping: request.currency.value)
        country = UInt16(clamping: request.country.value)
        transactionType = request.transactionType
        date = Hex.string(request.date.bytes)
        hhmmss = request.hhmmss
        entryMode = request.entryMode
        number = request.primaryAccountNumber.clearDigits
        panSequenceNumber = request.panSequenceNumber
        expiry = request.expiry.map { Hex.string($0.bytes) }
        chipData = Hex.string(request.chipData)
        cvm = request.cvm
        purpose = request.purpose
        acceptsPartialApproval = request.acceptsPartialApproval
    }

    package var bytes: [UInt8]? { (try? JSONEncoder().encode(self)).map { Array($0) } }

    /// The request again; nil where the bytes are none.
    package static func request(_ bytes: [UInt8]) -> AuthorizationRequest? {
        guard let kept = try? JSONDecoder().decode(KeptRequest.self, from: Data(bytes)),
            let amount = Amount(minorUnits: kept.amount), let other = Amount(minorUnits: kept.amountOther),
            let currency = NumericCode(Int(kept.currency)), let country = NumericCode(Int(kept.country)),
            let date = Hex.bytes(kept.date).flatMap({ EMVDate(bytes: $0) }),
            let number = PrimaryAccountNumber(digits: kept.number), let chip = Hex.bytes(kept.chipData)
        else { return nil }
        return AuthorizationRequest(
            transactionID: kept.transactionID, terminalID: kept.terminalID, merchantID: kept.merchantID,
            merchantName: kept.merchantName, merchantLocation: kept.merchantLocation ?? "",
            merchantCategoryCode: kept.merchantCategoryCode,
            acquirerID: kept.acquirerID, stan: kept.stan, retrievalReference: kept.retrievalReference,
            amount: amount, amountOther: other, currency: currency, country: country,
            transactionType: kept.transactionType, date: date, hhmmss: kept.hhmmss,
            entryMode: kept.entryMode, primaryAccountNumber: number,
            panSequenceNumber: kept.panSequenceNumber,
            expiry: kept.expiry.flatMap { Hex.bytes($0) }.flatMap { EMVDate(bytes: $0) }, chipData: chip,
            cvm: kept.cvm, acceptsPartialApproval: kept.acceptsPartialApproval ?? false,
            purpose: kept.purpose ?? .sale)
    }
}
