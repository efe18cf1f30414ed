package import EMV

/// What a kernel's final outcome means for the payment: the parameters of Book A, 6.2 that decide on its way, without the data.
package struct CardOutcome: Equatable, Sendable {
    /// Whether the issuer's response goes to the card, and when (Online Response Data; Book A, 6.3).
    package enum SecondPresentment: Equatable, Sendable {
        case never
        /// If the response has issuer authentication data or scripts.
        case withIssuerData
        case always
    }

    package var status: Outcome.Status
    package var cvm: Outcome.CVM
    /// UI Request on Outcome Present and on Restart Present.
    package var message: UserInterfaceRequest?
    package var restartMessage: UserInterfaceRequest?
    package var secondPresentment: SecondPresentment
    /// The card gave a valid number: without one nothing can be authorized.
    package var hasCardNumber: Bool
    /// There is a Data Record, and so a reading for the journal.
    package var hasReading: Bool
    /// The number is not the one that paid what is to be refunded.
    package var isOtherCard = false
    /// What the merchant's rule says that does not take this card.
    package var merchantRefusal: String?
    /// Type of the application cryptogram (9F27, bits 8 and 7): 0 AAC, 1 TC, 2 ARQC.
    package var cryptogramType: UInt8?
    /// What was wrong with certificates or signature.
    package var authenticationFailure: String?
    package var asksForSwipe: Bool
    /// What kernel and Entry Point give as reasons; nil where they give none.
    package var reasons: String?

    package init(
        _ status: Outcome.Status, cvm: Outcome.CVM = .notApplicable, message: UserInterfaceRequest? = nil,
        restartMessage: UserInterfaceRequest? = nil, secondPresentment: SecondPresentment = .never,
        hasCardNumber: Bool = true, hasReading: Bool = true, cryptogramType: UInt8? = nil,
        authenticationFailure: String? = nil, asksForSwipe: Bool = false, reasons: String? = nil
    ) {
        self.status = status
        self.cvm = cvm
        self.message = message
        self.restartMessage = restartMessage
        self.secondPresentment = secondPresentment
        self.hasCardNumber = hasCardNumber
        self.hasReading = hasReading
        self.cryptogramType = cryptogramType
        self.authenticationFailure = authenticationFailure
        self.asksForSwipe = asksForSwipe
        self.reasons = reasons
    }

    /// - Parameter hasCardNumber: a valid number was found in the Data Record.
    package init(_ outcome: Outcome, hasCardNumber: Bool) {
        // Only where Entry Point is to be started again for the issuer's response (Start B, and Start D for Kernel 2).
        let restarts = outcome.start == .b || outcome.start == .d
        let secondPresentment: SecondPresentment =
            switch outcome.onlineResponse {
            case .emvData where restarts: .withIssuerData
            case .any where restarts: .always
            case .notApplicable, .emvData, .any: .never
            }
        var failure: String?
        if case .failed(let result) = outcome.dataAuthentication { failure = "\(result)" }
        self.init(
            outcome.status, cvm: outcome.cvm, message: outcome.uiRequestOnOutcome,
            restartMessage: outcome.uiRequestOnRestart, secondPresentment: secondPresentment,
            hasCardNumber: hasCardNumber, hasReading: outcome.dataRecord != nil,
            cryptogramType: outcome.dataRecord?[0x9F27]?.first.map { $0 >> 6 },
            authenticationFailure: failure, asksForSwipe: outcome.alternateInterfacePreference == .magStripe,
            reasons: outcome.reasons.isEmpty ? nil : outcome.reasons.map { "\($0)" }.joined(separator: "; "))
    }

    /// Whether the cardholder enters a PIN for the host before anything is sent.
    var asksForPIN: Bool { cvm == .onlinePIN || status == .requestOnlinePIN }

    /// What was wrong with the card's certificates or signature; nil where nothing was.
    var failedAuthentication: String? {
        authenticationFailure.map { "offline data authentication failed: \($0)" }
    }

    /// Why card and terminal declined, as far as the outcome tells.
    var declineReason: String {
        if let reasons { return reasons }
        if let failedAuthentication { return failedAuthentication }
        return switch cryptogramType {
        case 0: "the card declined"
        case nil: "declined by card and terminal"
        default: "the terminal declined: processing restrictions or cardholder verification"
        }
    }
}

/// Why no card was read.
package enum CardFailure: Equatable, Sendable {
    /// Nobody presented a card in time.
    case noCard
    case cancelled
    /// The card of the payment before was not taken away: in time, or before the payment was cancelled.
    case lastCardStayed(isCancelled: Bool)
    /// The reader cannot go on.
    case readerFailed(String)
    /// After this number of activations.
    case tooManyAttempts(Int)
}
