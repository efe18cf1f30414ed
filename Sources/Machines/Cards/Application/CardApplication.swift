import SmartCard

/// One application of an emulated card: its answers once it is selected. A scheme's application is added with
/// its class and one line in `EmulatedCard.makeApplication`.
protocol CardApplication: AnyObject {
    /// The ADF Name.
    var identifier: [UInt8] { get }
    /// Directory Entry (61) for the PPSE.
    var directoryEntry: [UInt8] { get }
    var state: ApplicationState { get }
    /// Answers a SELECT that chose this application; earlier volatile state is gone.
    func select() -> [UInt8]
    /// The field went off.
    func reset()
    /// Answers any command but SELECT.
    func process(_ command: CardCommand, device: DeviceState) -> [UInt8]
}

/// What the applications of one card or phone share.
final class DeviceState {
    let phone: PhoneBehaviour?
    /// The owner unlocked the phone for the next payment.
    var unlocked = false
    /// The phone asked its owner to unlock it.
    var asksToUnlock = false
    /// The reader announced itself as a transit gate.
    var transitReader = false
    var cardBlocked = false
    /// Payment keys of the phone that were used since its wallet last fetched new ones.
    var keysUsed = 0
    var random: any RandomNumberGenerator

    init(phone: PhoneBehaviour?, random: any RandomNumberGenerator) {
        self.phone = phone
        self.random = random
    }

    /// Whether this payment waits for the owner to unlock the phone.
    func mustUnlock(amount: UInt64, verificationRequired: Bool) -> Bool {
        guard let phone, !unlocked else { return false }
        // Keys are for one payment each; an unlocked phone fetches new ones.
        if let keys = phone.limitedUseKeys, keysUsed >= keys { return true }
        if phone.expressTransit, transitReader { return false }
        return switch phone.unlock {
        case .always: true
        case .above(let limit): amount > limit || verificationRequired
        case .whenRequired: verificationRequired
        }
    }

    /// A payment is made: its key is used up, and the phone is locked again.
    func finishPayment() {
        unlocked = false
        asksToUnlock = false
        if phone?.limitedUseKeys != nil { keysUsed += 1 }
    }

    func randomBytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
}
