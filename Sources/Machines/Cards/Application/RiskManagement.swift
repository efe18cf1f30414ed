import EMV

/// Card risk management of a contactless Visa application: from what the reader says in GPO to the card's
/// answer. Pure.
struct RiskManagement {
    var qualifiers: TerminalTransactionQualifiers
    var transactionType: UInt8
    var amount: UInt64
    var currency: UInt64
    var risk: RiskProfile
    var verificationMethods: [VerificationMethod]
    /// Application Currency Code: amounts in it may be approved offline.
    var cardCurrency: NumericCode
    var cumulativeLimit: UInt64
    var consecutiveLimit: UInt8
    var cumulativeOffline: UInt64
    var consecutiveOffline: UInt8
    var goOnlineNextTime: Bool
    var pinTries: UInt8
    /// The device knows that its owner unlocked it for this transaction.
    var consumerDeviceVerified: Bool

    enum Decision: Equatable {
        /// 6984: the reader may try another interface.
        case switchInterface
        /// A cryptogram, the CTQ bits that come from this transaction, and whether a limit was exceeded.
        case cryptogram(
            CryptogramInformationData.CryptogramType, CardTransactionQualifiers, limitExceeded: Bool)
    }

    func decide() -> Decision {
        var card: CardTransactionQualifiers = []
        // Unconfirmed: that cards answer a refund (9C = 20) with an AAC; readers finish it on card data alone.
        if transactionType == 0x20 || risk.decision == .decline {
            return .cryptogram(.aac, card, limitExceeded: false)
        }
        var online = false
        if consumerDeviceVerified { card.insert(.consumerDeviceCVMPerformed) }
        if qualifiers.contains(.cvmRequired) {
            switch commonMethod() {
            case .consumerDevice?: break
            case .onlinePIN?:
                card.insert(.onlinePINRequired)
                online = true
            case .signature?: card.insert(.signatureRequired)
            case nil:
                if risk.switchesInterface, qualifiers.contains(.emvContactChip) {
                    return .switchInterface
                }
                return .cryptogram(.aac, card, limitExceeded: false)
            }
        }
        let exceeded = limitsExceeded()
        if qualifiers.contains(.onlineCryptogramRequired) || risk.decision == .online
            || goOnlineNextTime || exceeded
        {
            online = true
        }
        guard online else { return .cryptogram(.tc, card, limitExceeded: false) }
        let type: CryptogramInformationData.CryptogramType =
            qualifiers.contains(.offlineOnlyReader) ? .aac : .arqc
        return .cryptogram(type, card, limitExceeded: exceeded && risk.decision == .byLimits)
    }

    /// The card's first method that the reader supports.
    private func commonMethod() -> VerificationMethod? {
        verificationMethods.first { method in
            switch method {
            case .onlinePIN:
                qualifiers.contains(.onlinePIN) && !qualifiers.contains(.offlineOnlyReader) && pinTries > 0
            case .signature: qualifiers.contains(.signature)
            case .consumerDevice: qualifiers.contains(.consumerDeviceCVM) && consumerDeviceVerified
            }
        }
    }

    /// Velocity checks; amounts in another currency than the card's are never approved offline.
    private func limitsExceeded() -> Bool {
        guard currency == UInt64(cardCurrency.value) else { return true }
        let (sum, overflow) = cumulativeOffline.addingReportingOverflow(amount)
        return overflow || amount > risk.singleLimit || sum > cumulativeLimit
            || consecutiveOffline >= consecutiveLimit
    }
}
