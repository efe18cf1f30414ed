public import BERTLV

/// Why a card, a kernel or the Entry Point came to an end other than an approval or an online request. Outcomes carry reasons
/// beside the books' own data, so that people see what has to be changed: the card, the terminal's profile, or nothing.
public enum EndReason: Equatable, Sendable {
    // Before a kernel is at work (Book B, 3.1 and 3.3).
    /// No combination of the terminal takes this amount or transaction type (Book B, 3.1.1.13).
    case noCombinationAllowed
    /// SELECT of the Proximity Payment System Environment: status word.
    case directoryRefused(status: UInt16)
    /// The directory has no entry that a combination of the terminal takes (Book B, 3.3.2.5): AIDs of both, in their order.
    case noApplicationInCommon(card: [[UInt8]], terminal: [[UInt8]])
    /// SELECT of an application: ADF name and status word.
    case applicationRefused(name: [UInt8], status: UInt16)
    /// SELECT of an application was answered with 6283: it is blocked (EMV Book 1, 11.3.5).
    case applicationBlocked(name: [UInt8])

    // Commands and data.
    /// A command was refused: its name and the status word.
    case command(String, status: UInt16)
    case missingData(Tag)
    /// A data object that came before with a value (Book C-2, 4.7; Book C-3, 5.4).
    case repeatedData(Tag)
    /// A data object in a template, of a length, or from a side that its book does not allow (Book C-2, 4.7).
    case misplacedData(Tag)
    /// A response is no BER-TLV.
    case malformedData(BERTLVError)
    /// A DOL or AFL that cannot be read.
    case malformedList(DataFormatError)
    /// A value that contradicts another or the book; words say which.
    case wrongData(Tag, String)
    /// Application PAN and track 2 name different cards.
    case differentCardNumbers
    /// The field, the line or the card failed (Level 1).
    case communication(String)

    // Checks.
    /// Application Expiration Date, and it is over.
    case expired(EMVDate)
    case notYetEffective(EMVDate)
    /// Application Usage Control does not allow this transaction here.
    case usageControl
    case exceptionFile
    /// No method that card and terminal have in common, or one that failed.
    case cardholderVerification
    case dataAuthentication(DataAuthenticationFailure)
    /// Above the reader's transaction limit.
    case amountAboveLimit
    /// The distance or time of relay resistance was exceeded (Book C-2, 3.10).
    case relayResistance
    /// An online cryptogram, and a reader that cannot go online, or the other way about.
    case cannotGoOnline
    /// Bits of the Terminal Verification Results that the action codes deny and that no other reason names.
    case actionCodes(UInt64)
    /// The card gave an AAC that it was not asked for.
    case declinedByCard
    /// The card wants another interface.
    case cardWantsOtherInterface
    /// Mode or method that this terminal does not have.
    case notSupported(String)

    // The terminal's side.
    case cancelled
    case noTerminalData
}

extension EndReason: CustomStringConvertible {
    public var description: String {
        func names(_ list: [[UInt8]]) -> String {
            list.isEmpty ? "none" : list.map { Hex.string($0) }.joined(separator: ", ")
        }
        func word(_ status: UInt16) -> String {
            Hex.string([UInt8(status >> 8), UInt8(truncatingIfNeeded: status)])
        }
        switch self {
        case .noCombinationAllowed:
            return "no combination of the profile takes this amount and transaction type"
        case .directoryRefused(let status):
            return "the card has no contactless directory: SELECT of the PPSE gave \(word(status))"
        case .noApplicationInCommon(let card, let terminal):
            return "no application in common: the card has \(names(card)), the profile has \(names(terminal))"
        case .applicationRefused(let name, let status):
            return "the card refused to select \(Hex.string(name)): \(word(status))"
        case .applicationBlocked(let name): return "the application \(Hex.string(name)) is blocked: 6283"
        case .command(let name, let status): return "\(name) gave \(word(status))"
        case .missingData(let tag): return "the card gave no \(tag)"
        case .repeatedData(let tag): return "\(tag) came twice"
        case .misplacedData(let tag): return "\(tag) is not allowed there, or not in this length"
        case .malformedData(let error): return "the response is no BER-TLV: \(error)"
        case .malformedList(let error): return "\(error)"
        case .wrongData(let tag, let words): return "\(tag): \(words)"
        case .differentCardNumbers: return "5A and track 2 have different card numbers"
        case .communication(let words): return words
        case .expired(let date): return "the application expired on \(date)"
        case .notYetEffective(let date): return "the application is effective from \(date)"
        case .usageControl:
            return "the application's usage control (9F07) does not allow this transaction here"
        case .exceptionFile: return "the card is on the exception file"
        case .cardholderVerification:
            return "cardholder verification: no method that is required, supported and successful"
        case .dataAuthentication(let failure): return "offline data authentication failed: \(failure)"
        case .amountAboveLimit: return "the amount is above the reader's transaction limit"
        case .relayResistance: return "relay resistance: the times are outside the limits"
        case .cannotGoOnline: return "the card and this reader do not agree about going online"
        case .actionCodes(let bits):
            let bytes = (0..<5).map { UInt8(truncatingIfNeeded: bits >> UInt64(32 - 8 * $0)) }
            return "terminal or issuer action codes deny the verification results \(Hex.string(bytes))"
        case .declinedByCard: return "the card declined"
        case .cardWantsOtherInterface: return "the card asks for another interface"
        case .notSupported(let words): return words
        case .cancelled: return "cancelled"
        case .noTerminalData: return "the terminal did not give the data that it had promised"
        }
    }
}
