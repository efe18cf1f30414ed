public import EMV

/// What a terminal does on a host's response.
public enum ApprovalDecision: Sendable, Equatable {
    case approved
    case declined
    /// The host has authorized what the terminal does not take, or may have: nothing is given, and it is reversed.
    case reversed(ReversalRequest.Reason, because: String)
}

extension AuthorizationResponse {
    /// The one place that decides which of a host's approvals are taken. An approval that is not taken is reversed, never
    /// merely declined: the host has booked it.
    ///
    /// Taken are approvals of the whole amount. Those that ask to update track 3 (16, 004) or name an account type (005)
    /// authorize the whole amount, too: a contactless card has no track 3 to be updated, and the account is the host's
    /// business. The update of 007 goes to the card with the issuer's scripts.
    /// - Parameters:
    ///   - identifiesCardholders: somebody is there who asks for identification where the host wants it (08, 001).
    public func decision(
        on request: AuthorizationRequest, identifiesCardholders: Bool = false
    ) -> ApprovalDecision {
        decision(
            amount: request.amount, acceptsPartialApproval: request.acceptsPartialApproval,
            identifiesCardholders: identifiesCardholders)
    }

    /// The same by what a request asked for.
    /// - Parameters:
    ///   - amount: minor units, as asked for.
    ///   - acceptsPartialApproval: an approval for a part of it is taken.
    public func decision(
        amount: Amount, acceptsPartialApproval: Bool, identifiesCardholders: Bool = false
    ) -> ApprovalDecision {
        let named =
            "response code \(responseCode)\(ResponseCodeTable.text(responseCode).map { ": \($0)" } ?? "")"
        switch meaning {
        case .approvedWithIdentification where !identifiesCardholders:
            return .reversed(
                .approvalNotTaken,
                because: "the host wants the cardholder identified, which is not done here (\(named))")
        case .approvedOtherwise:
            return .reversed(
                .approvalNotTaken, because: "the host approved under a condition that is not known (\(named))"
            )
        case .approvedInPart where approvedAmount == nil:
            return .reversed(
                .malformedResponse, because: "the host approved a part of the amount and does not say which")
        case .approved, .approvedWithIdentification, .approvedInPart:
            guard let part = approvedAmount, part != amount else { return .approved }
            guard part < amount, part != .zero else {
                return .reversed(
                    .malformedResponse, because: "the host approved another amount than was asked for")
            }
            guard acceptsPartialApproval else {
                return .reversed(
                    .approvalNotTaken,
                    because: "the host approved a part of the amount, which was not asked for")
            }
            return .approved
        case .declined, .referral, .pickUp, .formatError, .tryAgain, .notFound, .duplicate:
            return .declined
        case .unknown:
            guard hasApprovalEvidence else { return .declined }
            return .reversed(
                .malformedResponse,
                because:
                    "the host gives an authorization code, and a response code that is not known (\(named))")
        case .inProgress:
            return .reversed(.malformedResponse, because: "the host has not decided yet (\(named))")
        case .outOfBalance, .invalid:
            return .reversed(
                .malformedResponse, because: "the host's response code does not answer a payment (\(named))")
        }
    }

    /// Whether the host may have booked the transaction, whatever the terminal makes of the response.
    public var mayBeBooked: Bool { isApproved || !meaning.isRefusal && hasApprovalEvidence }

    /// What comes with approvals only: an authorization code (not blank, not zeros) or an issuer's code of approval for the
    /// card.
    var hasApprovalEvidence: Bool {
        if let authorizationCode, authorizationCode.utf8.contains(where: { $0 != 0x20 && $0 != 0x30 }) {
            return true
        }
        if ResponseCodeTable.meaning(of: authorisationResponseCode).isApproval { return true }
        // Tag 91 of method 1: eight bytes of cryptogram, and the response code that it covers (EMV Book 2, 8.2.1).
        guard let data = issuerAuthenticationData, data.count == 10 else { return false }
        return ResponseCodeTable.meaning(of: String(decoding: data.suffix(2), as: UTF8.self)).isApproval
    }
}
