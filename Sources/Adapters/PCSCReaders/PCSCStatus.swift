internal import CardReaders
internal import CPCSC
internal import Glibc

/// A return code of the PC/SC functions (pcsclite.h). libpcsclite's macros carry casts, hence the numbers.
struct PCSCStatus: RawRepresentable, Equatable, Error {
    var rawValue: UInt32
    init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ code: LONG) { rawValue = UInt32(truncatingIfNeeded: code) }

    static let success = Self(rawValue: 0)
    static let cancelled = Self(rawValue: 0x8010_0002)
    static let invalidHandle = Self(rawValue: 0x8010_0003)
    static let insufficientBuffer = Self(rawValue: 0x8010_0008)
    static let unknownReader = Self(rawValue: 0x8010_0009)
    static let timeout = Self(rawValue: 0x8010_000A)
    static let sharingViolation = Self(rawValue: 0x8010_000B)
    static let noSmartcard = Self(rawValue: 0x8010_000C)
    static let protocolMismatch = Self(rawValue: 0x8010_000F)
    static let systemCancelled = Self(rawValue: 0x8010_0012)
    static let communicationError = Self(rawValue: 0x8010_0013)
    static let notTransacted = Self(rawValue: 0x8010_0016)
    static let readerUnavailable = Self(rawValue: 0x8010_0017)
    static let noService = Self(rawValue: 0x8010_001D)
    static let serviceStopped = Self(rawValue: 0x8010_001E)
    static let noReaders = Self(rawValue: 0x8010_002E)
    static let communicationDataLost = Self(rawValue: 0x8010_002F)
    static let unsupportedCard = Self(rawValue: 0x8010_0065)
    static let unresponsiveCard = Self(rawValue: 0x8010_0066)
    static let unpoweredCard = Self(rawValue: 0x8010_0067)
    static let resetCard = Self(rawValue: 0x8010_0068)
    static let removedCard = Self(rawValue: 0x8010_0069)
    static let securityViolation = Self(rawValue: 0x8010_006A)

    /// The card is gone, for whatever reason: wait for it to come (back).
    var meansNoCard: Bool { self == .noSmartcard || self == .removedCard }
    /// The daemon is gone: the context is worth nothing any more.
    var meansNoService: Bool {
        [.noService, .serviceStopped, .communicationError, .invalidHandle, .systemCancelled].contains(self)
    }

    /// The code in words, as libpcsclite gives them.
    var words: String {
        let digits = String(rawValue, radix: 16, uppercase: true)
        return "\(String(cString: pcsc_stringify_error(LONG(rawValue)))) (0x\(digits))"
    }

    /// The error that the caller of a reader gets.
    /// - Parameter reader: its name, or "PC/SC" where no reader is concerned.
    func error(reader: String) -> ReaderError {
        switch self {
        case .noSmartcard, .removedCard, .resetCard: .cardRemoved
        case .timeout: .cardTimeout
        case .cancelled: .cancelled
        case .unresponsiveCard, .unpoweredCard, .unsupportedCard, .protocolMismatch:
            .activationFailed(words)
        case .notTransacted, .communicationDataLost: .transmission(words)
        case .insufficientBuffer: .protocolViolation("the answer is longer than any APDU may be")
        case .sharingViolation:
            .readerUnavailable(
                reader: reader,
                reason: "another program uses the card: end it, or open the reader in shared mode")
        case .securityViolation:
            .readerUnavailable(reader: reader, reason: Self.policy)
        case .unknownReader, .readerUnavailable, .noReaders:
            .readerUnavailable(reader: reader, reason: "it is not connected any more: plug it in again")
        case let status where status.meansNoService:
            .readerUnavailable(reader: reader, reason: Self.serviceReason())
        default: .readerUnavailable(reader: reader, reason: words)
        }
    }

    private static let policy =
        "pcscd refuses this user: allow org.debian.pcsc-lite.access_pcsc and .access_card in polkit, or run as a user at the console"

    static var socketPath: String {
        getenv("PCSCLITE_CSOCK_NAME").map { String(cString: $0) } ?? "/run/pcscd/pcscd.comm"
    }

    /// Why the daemon cannot be talked to, and what to do.
    private static func serviceReason() -> String {
        if access(socketPath, F_OK) != 0 {
            return
                "the PC/SC daemon does not run: install it (apt install pcscd) and start it (systemctl start pcscd.socket)"
        }
        // The socket is there: the daemon died without removing it, or it hung up on us.
        return
            "the PC/SC daemon does not answer on \(socketPath): start it again (systemctl restart pcscd); where it runs, \(policy)"
    }
}
