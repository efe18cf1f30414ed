package import Acquiring
internal import EMV
internal import Kernels
package import Terminal

extension PaymentResult {
    package var exitStatus: ExitStatus {
        switch status {
        case .approved: .success
        case .declined, .tryAnotherInterface, .ended, .refusedByMerchant, .timedOut: .notApproved
        case .cancelled: .interrupted
        case .failed:
            reversalOutstanding || online == nil && outcome != nil
                ? .outcomeUnknown : .reader
        }
    }

    /// One line for a list.
    package func headline(_ console: Console) -> String {
        switch status {
        case .approved:
            console.styled("✔ ", .bold, .green)
                + console.styled(online == true ? "approved online" : "approved offline", .green)
                + (response?.authorizationCode.map { ", authorization \($0)" } ?? "")
        case .declined:
            console.styled("✘ ", .bold, .red)
                + console.styled(online == true ? "declined by the host" : "declined", .red)
                + (response.map { ", code \($0.responseCode)" } ?? "")
        default:
            console.styled("– ", .bold, .yellow)
                + console.styled(status.rawValue.replacingOccurrences(of: "-", with: " "), .yellow)
        }
    }
}

/// A payment's result for programs.
package struct PaymentReport: Encodable {
    package var id: String
    package var status: String
    package var online: Bool?
    package var amount: UInt64
    package var currency: String
    package var stan: UInt32
    package var retrievalReference: String
    package var card: String?
    package var aid: String?
    package var application: String?
    package var kernel: String?
    package var cvm: String
    package var outcome: String?
    package var responseCode: String?
    package var authorizationCode: String?
    package var accountCharge: AccountCharge?
    package var tokenRequestor: String?
    package var paymentAccountReference: String?
    package var formFactor: String?
    package var reversalOutstanding: Bool
    package var reason: String?
    /// What failed after the payment, and changes nothing of it.
    package var warnings: [String]?

    package init(_ result: PaymentResult) {
        id = result.transactionID
        status = result.status.rawValue
        online = result.online
        amount = result.inputs.amount.minorUnits
        currency = result.inputs.currency.description
        stan = result.stan
        retrievalReference = result.retrievalReference
        card = result.instrument?.primaryAccountNumber?.masked
        aid = result.instrument.map { $0.applicationIdentifier.map { String(format: "%02X", $0) }.joined() }
        application = result.instrument?.applicationLabel
        kernel = result.outcome?.selected?.kernel.description
        cvm = result.cvm.rawValue
        outcome = result.outcome?.outcome.status.rawValue
        responseCode = result.response?.responseCode
        authorizationCode = result.response?.authorizationCode
        accountCharge = result.response?.accountCharge
        tokenRequestor = result.instrument?.tokenRequestorID
        paymentAccountReference = result.instrument?.paymentAccountReference
        formFactor = result.instrument?.formFactor.rawValue
        reversalOutstanding = result.reversalOutstanding
        reason = result.reason
    }
}
