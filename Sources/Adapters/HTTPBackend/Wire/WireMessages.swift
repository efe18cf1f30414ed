internal import Acquiring
internal import EMV

/// Authorization and advice, and the request as it was sent in messages about it (`original`).
struct WireTransaction: Codable {
    var version: Int?
    var message: HTTPMessage.Kind?
    var transactionId: String
    var terminalId: String
    var merchantId: String
    var merchantName: String
    var merchantCategoryCode: String
    var acquirerId: String
    var stan: UInt32
    var retrievalReference: String
    var amount: UInt64
    var amountOther: UInt64
    var currency: String
    var country: String
    var transactionType: String
    var purpose: AuthorizationPurpose
    var date: String
    var time: String
    var entryMode: WireEntryMode
    var card: WireCard
    var chipData: String?
    var cardholderVerification: WireCardholderVerification
    var onlinePin: WirePIN?
    var acceptsPartialApproval: Bool
    var offlineDecision: OfflineDecision?

    /// - Parameter message: nil for an original, which names neither version nor message.
    init(_ request: AuthorizationRequest, _ message: HTTPMessage.Kind?) {
        version = message == nil ? nil : WireHead.version
        self.message = message
        transactionId = request.transactionID
        terminalId = request.terminalID
        merchantId = request.merchantID
        merchantName = request.merchantName
        merchantCategoryCode = request.merchantCategoryCode
        acquirerId = request.acquirerID
        stan = request.stan
        retrievalReference = request.retrievalReference
        amount = request.amount.minorUnits
        amountOther = request.amountOther.minorUnits
        currency = request.currency.description
        country = request.country.description
        transactionType = TransactionTypeText.text(request.transactionType)
        purpose = request.purpose
        date = request.date.description
        time = TimeText.text(request.hhmmss)
        entryMode = WireEntryMode(request.entryMode)
        card = WireCard(request)
        chipData = request.chipData.isEmpty ? nil : HexText.text(request.chipData)
        cardholderVerification = WireCardholderVerification(request.cvm)
        onlinePin = request.onlinePIN.map {
            WirePIN(block: HexText.text($0.block), keySerialNumber: HexText.text($0.keySerialNumber))
        }
        acceptsPartialApproval = request.acceptsPartialApproval
    }

    /// An original holds neither track nor PIN block, whatever the caller kept.
    init(original request: AuthorizationRequest) {
        var request = request
        request.track2 = nil
        request.onlinePIN = nil
        self.init(request, nil)
    }

    func request() throws(HTTPMessageError) -> AuthorizationRequest {
        var pin: EncipheredPIN?
        if let onlinePin {
            let block = try HexText.bytes(onlinePin.block, "onlinePin.block")
            guard block.count == 8 || block.count == 16 else {
                throw wrong("onlinePin.block", "expected 8 or 16 bytes")
            }
            pin = EncipheredPIN(
                block: block,
                keySerialNumber: try HexText.bytes(
                    onlinePin.keySerialNumber, "onlinePin.keySerialNumber"))
        }
        var expiry: EMVDate?
        if let expires = card.expires { expiry = try DateText.date(expires, "card.expires") }
        return AuthorizationRequest(
            transactionID: transactionId, terminalID: terminalId, merchantID: merchantId,
            merchantName: merchantName, merchantCategoryCode: merchantCategoryCode,
            acquirerID: acquirerId, stan: stan, retrievalReference: retrievalReference,
            amount: try AmountNumber.amount(amount, "amount"),
            amountOther: try AmountNumber.amount(amountOther, "amountOther"),
            currency: try CodeText.code(currency, "currency"),
            country: try CodeText.code(country, "country"),
            transactionType: try TransactionTypeText.type(transactionType, "transactionType"),
            date: try DateText.date(date, "date"), hhmmss: try TimeText.hhmmss(time, "time"),
            entryMode: entryMode.mode, primaryAccountNumber: try card.primaryAccountNumber(),
            panSequenceNumber: card.sequenceNumber, expiry: expiry, track2: try card.track(),
            chipData: try HexText.bytes(chipData ?? "", "chipData"),
            cvm: cardholderVerification.method, onlinePIN: pin,
            acceptsPartialApproval: acceptsPartialApproval, purpose: purpose)
    }
}

struct WireReversal: Codable {
    var version = WireHead.version
    var message = HTTPMessage.Kind.reversal
    var transactionId: String
    var terminalId: String
    var stan: UInt32
    var retrievalReference: String
    var amount: UInt64
    var currency: String
    var reason: WireReversalReason
    var transmission: Int
    var authorizationCode: String?
    var original: WireTransaction?

    init(_ request: ReversalRequest) {
        transactionId = request.transactionID
        terminalId = request.terminalID
        stan = request.stan
        retrievalReference = request.retrievalReference
        amount = request.amount.minorUnits
        currency = request.currency.description
        reason = WireReversalReason(request.reason)
        transmission = request.transmission
        authorizationCode = request.authorizationCode
        original = request.original.map { WireTransaction(original: $0) }
    }

    func request() throws(HTTPMessageError) -> ReversalRequest {
        ReversalRequest(
            transactionID: transactionId, terminalID: terminalId, stan: stan,
            retrievalReference: retrievalReference, amount: try AmountNumber.amount(amount, "amount"),
            currency: try CodeText.code(currency, "currency"), reason: reason.reason,
            transmission: transmission, original: try Self.original(original),
            authorizationCode: authorizationCode)
    }

    static func original(
        _ wire: WireTransaction?
    ) throws(HTTPMessageError) -> AuthorizationRequest? {
        guard let wire else { return nil }
        do throws(HTTPMessageError) { return try wire.request() } catch {
            throw wrong("original." + error.member, error.reason)
        }
    }
}

struct WireAdjustment: Codable {
    var version = WireHead.version
    var message = HTTPMessage.Kind.adjustment
    var kind: AdjustmentRequest.Kind
    var transactionId: String
    var terminalId: String
    var merchantId: String
    var stan: UInt32
    var retrievalReference: String
    var authorizationCode: String?
    var approvedAmount: UInt64
    var amount: UInt64
    var currency: String
    var revision: Int
    var transmission: Int
    var original: WireTransaction?

    init(_ request: AdjustmentRequest) {
        kind = request.kind
        transactionId = request.transactionID
        terminalId = request.terminalID
        merchantId = request.merchantID
        stan = request.stan
        retrievalReference = request.retrievalReference
        authorizationCode = request.authorizationCode
        approvedAmount = request.approvedAmount.minorUnits
        amount = request.amount.minorUnits
        currency = request.currency.description
        revision = request.revision
        transmission = request.transmission
        original = request.original.map { WireTransaction(original: $0) }
    }

    func request() throws(HTTPMessageError) -> AdjustmentRequest {
        AdjustmentRequest(
            kind: kind, transactionID: transactionId, terminalID: terminalId, merchantID: merchantId,
            stan: stan, retrievalReference: retrievalReference, authorizationCode: authorizationCode,
            approvedAmount: try AmountNumber.amount(approvedAmount, "approvedAmount"),
            amount: try AmountNumber.amount(amount, "amount"),
            currency: try CodeText.code(currency, "currency"), revision: revision,
            transmission: transmission, original: try WireReversal.original(original))
    }
}

struct WireReconciliation: Codable {
    var version = WireHead.version
    var message = HTTPMessage.Kind.reconciliation
    var terminalId: String
    var merchantId: String
    var acquirerId: String
    var batch: Int
    var stan: UInt32
    var currency: String
    var totals: WireTotals
    var isAfterUpload: Bool
    var date: String
    var time: String

    init(_ request: ReconciliationRequest) {
        terminalId = request.terminalID
        merchantId = request.merchantID
        acquirerId = request.acquirerID
        batch = request.batch
        stan = request.stan
        currency = request.currency.description
        totals = WireTotals(request.totals)
        isAfterUpload = request.isAfterUpload
        date = request.date.description
        time = TimeText.text(request.hhmmss)
    }

    func request() throws(HTTPMessageError) -> ReconciliationRequest {
        ReconciliationRequest(
            terminalID: terminalId, merchantID: merchantId, acquirerID: acquirerId, batch: batch,
            stan: stan, currency: try CodeText.code(currency, "currency"), totals: totals.totals,
            isAfterUpload: isAfterUpload, date: try DateText.date(date, "date"),
            hhmmss: try TimeText.hhmmss(time, "time"))
    }
}

struct WireBatchItem: Codable {
    var version = WireHead.version
    var message = HTTPMessage.Kind.upload
    var terminalId: String
    var batch: Int
    var index: Int
    var count: Int
    var transactionId: String
    var stan: UInt32
    var retrievalReference: String
    var authorizationCode: String?
    var amount: UInt64
    var currency: String
    var transactionType: String
    var isOffline: Bool
    var original: WireTransaction?

    init(_ item: BatchItem) {
        terminalId = item.terminalID
        batch = item.batch
        index = item.index
        count = item.count
        transactionId = item.transactionID
        stan = item.stan
        retrievalReference = item.retrievalReference
        authorizationCode = item.authorizationCode
        amount = item.amount.minorUnits
        currency = item.currency.description
        transactionType = TransactionTypeText.text(item.transactionType)
        isOffline = item.isOffline
        original = item.original.map { WireTransaction(original: $0) }
    }

    func item() throws(HTTPMessageError) -> BatchItem {
        BatchItem(
            terminalID: terminalId, batch: batch, index: index, count: count,
            transactionID: transactionId, stan: stan, retrievalReference: retrievalReference,
            authorizationCode: authorizationCode, amount: try AmountNumber.amount(amount, "amount"),
            currency: try CodeText.code(currency, "currency"),
            transactionType: try TransactionTypeText.type(transactionType, "transactionType"),
            isOffline: isOffline, original: try WireReversal.original(original))
    }
}
