public import BERTLV

/// How offline data authentication ended, as the kernel knows it. Outcomes carry it beside the books' own data, which tell a
/// bit at most, so that people see what exactly was wrong with a card.
public enum DataAuthenticationResult: Equatable, Sendable {
    /// The method with which the card is authenticated (EMV Book 2, 5 and 6; Book C-3, Annex C).
    public enum Method: String, Sendable, Codable {
        case sda = "SDA"
        case fastDDA = "fast DDA"
        case cda = "CDA"
    }

    /// Nobody asked for it, or the card offers no method for this transaction.
    case notPerformed
    case succeeded(Method)
    case failed(DataAuthenticationFailure)
}

/// Why offline data authentication failed.
public enum DataAuthenticationFailure: Error, Equatable, Sendable {
    /// A certificate, key or signature is wrong.
    case recovery(OfflineDataAuthenticationError)
    /// The card did not give this data object, or not in its length.
    case missing(Tag)
    /// The Application Interchange Profile offers no method that serves this transaction.
    case notOffered
    /// Track 2 Equivalent Data, unsigned, has another card number than the certificates vouch for.
    case otherNumberInTrack2
    /// The Static Data Authentication Tag List (9F4A) has something other than the AIP in it (EMV Book 2, 5.4).
    case tagList
    /// A signed record of files 11 to 30 is not in template 70 (EMV Book 3, 10.3).
    case recordWithoutTemplate
    /// Card Authentication Related Data (9F69) are not of fast DDA version 01.
    case fastDDAVersion
    /// The Data Storage Summaries in the signed data are not well-formed (Book C-2).
    case dataStorageSummaries
    /// The relay resistance data in the signature are not what was exchanged (Book C-2).
    case relayResistanceData
}

extension DataAuthenticationFailure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .recovery(let error): "\(error)"
        case .missing(let tag): "the card gave no \(tag)"
        case .notOffered: "the card offers no method for this transaction"
        case .otherNumberInTrack2: "track 2 has another card number than the certificates"
        case .tagList: "the static data authentication tag list (9F4A) has more than 82 in it"
        case .recordWithoutTemplate: "a signed record of files 11 to 30 is not in template 70"
        case .fastDDAVersion: "the card authentication related data (9F69) are not of fast DDA version 01"
        case .dataStorageSummaries: "the signed data storage summaries are not well-formed"
        case .relayResistanceData: "the signed relay resistance data are not what was exchanged"
        }
    }
}

extension DataAuthenticationResult: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notPerformed: "not performed"
        case .succeeded(let method): "\(method.rawValue) passed"
        case .failed(let failure): "failed: \(failure)"
        }
    }
}
