import BERTLV
import EMV

/// Book C-2's rules for updating the TLV database (4.1.7, 4.7 and the update conditions, templates and lengths of Annex
/// A.1): what a card's answer (RA signal) and the terminal's data (DET signal) may set.
enum MChipDictionary {
    /// Templates that a data object of the card may be in.
    struct Templates: OptionSet {
        let rawValue: UInt8
        static let fileControlInformation = Self(rawValue: 1)
        static let proprietary = Self(rawValue: 2)
        static let issuerDiscretionary = Self(rawValue: 4)
        /// Template 70.
        static let record = Self(rawValue: 8)
        /// Template 77.
        static let response = Self(rawValue: 16)
        /// The response to GET DATA, which has none.
        static let none = Self(rawValue: 32)

        init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The template of this tag; nothing for any other.
        init(_ tag: Tag) {
            switch tag.rawValue {
            case 0x6F: self = .fileControlInformation
            case 0xA5: self = .proprietary
            case 0xBF0C: self = .issuerDiscretionary
            case 0x70: self = .record
            case 0x77: self = .response
            default: self = []
            }
        }
    }

    /// Data objects of the dictionary that no response of a card sets.
    static func belongsToTerminal(_ tag: Tag) -> Bool {
        switch tag.rawValue {
        case 0x9F02, 0x9F03, 0x5F2A, 0x5F36, 0x9A, 0x9F21, 0x9C, 0x9F37, 0x9F1A, 0x9F33, 0x9F35, 0x9F40, 0x95,
            0x9F34, 0x9F09, 0x9F1E, 0x9F15, 0x9F16, 0x9F1C, 0x9F4E, 0x9F01, 0x9F06, 0x9F6D, 0x9F7E, 0x9F1D,
            0x9F53, 0x9F5C, 0x9F7C, 0x9F6A, 0x5F57, 0xDF60, 0xDF61, 0xDF62, 0xDF63:
            true
        default:
            (0xDF8101...0xDF8137).contains(tag.rawValue) || (0xDF8301...0xDF8307).contains(tag.rawValue)
                || (0xFF8101...0xFF8106).contains(tag.rawValue)
        }
    }

    /// Private class: bits 8 and 7 of the tag's first byte (EMV Book 3, B1).
    static func isPrivate(_ tag: Tag) -> Bool {
        var first = tag.rawValue
        while first > 0xFF { first >>= 8 }
        return first & 0xC0 == 0xC0
    }

    /// Bytes that a data object of the card may have, and the templates that it may be in; nil for tags that the dictionary
    /// does not know.
    static func rule(_ tag: Tag) -> (length: ClosedRange<Int>, templates: Templates)? {
        switch tag.rawValue {
        // File control information.
        case 0x84: (5...16, .fileControlInformation)
        case 0xA5: (0...240, .fileControlInformation)
        case 0xBF0C: (0...220, .proprietary)
        case 0x50, 0x9F12: (0...16, .proprietary)
        case 0x9F38: (0...240, .proprietary)
        case 0x5F2D: (2...8, .proprietary)
        case 0x87, 0x9F11: (1...1, .proprietary)
        case 0x9F4D: (2...2, .issuerDiscretionary)
        case 0x9F5D: (3...3, .issuerDiscretionary)
        case 0x9F5E: (8...11, .issuerDiscretionary)
        case 0x9F6E: (5...32, [.issuerDiscretionary, .record])
        // GET PROCESSING OPTIONS, GENERATE AC, COMPUTE CRYPTOGRAPHIC CHECKSUM.
        case 0x82: (2...2, .response)
        case 0x94: (4...248, .response)
        case 0x9F27: (1...1, .response)
        case 0x9F36: (2...2, .response)
        case 0x9F26: (8...8, .response)
        case 0x9F10: (0...32, .response)
        case 0x9F4B: (0...248, .response)
        case 0x9F4C: (2...8, .response)
        case 0x9F5F, 0x9F6F: (1...1, .response)
        case 0x9F7D: (8...16, .response)
        case 0x9F7F: (4...4, .response)
        case 0x9F54: (0...160, .response)
        case 0x9F60, 0x9F61: (2...2, .response)
        case 0xDF4B: (3...3, .response)
        // Records, of which GET PROCESSING OPTIONS may bring a part.
        case 0x5A: (0...10, [.record, .response])
        case 0x57: (0...19, [.record, .response])
        case 0x9F6B: (0...19, .record)
        case 0x56: (0...76, .record)
        case 0x5F24, 0x5F25: (3...3, [.record, .response])
        case 0x5F28, 0x5F30, 0x9F07, 0x9F08, 0x9F42: (2...2, [.record, .response])
        case 0x5F34, 0x8F, 0x9F44: (1...1, [.record, .response])
        case 0x9F64, 0x9F67: (1...1, .record)
        case 0x8C, 0x9F4A: (0...250, [.record, .response])
        case 0x9F51, 0x9F5B, 0x9F69: (0...250, .record)
        case 0x8E: (10...250, [.record, .response])
        case 0x90, 0x92, 0x9F46, 0x9F48: (0...248, [.record, .response])
        case 0x9F32, 0x9F47: (1...3, [.record, .response])
        case 0x9F0D, 0x9F0E, 0x9F0F: (5...5, [.record, .response])
        case 0x9F1F: (0...54, [.record, .response])
        case 0x9F20: (0...16, [.record, .response])
        case 0x9F24: (29...29, [.record, .response])
        case 0x9F62, 0x9F63: (6...6, .record)
        case 0x9F65, 0x9F66: (2...2, .record)
        // GET DATA.
        case 0x9F50: (6...6, .none)
        case 0x9F70...0x9F79: (0...192, .none)
        default: nil
        }
    }

    /// What becomes of a data object in a response of the card (ParseAndStoreCardResponse; 4.7).
    enum Acceptance { case stored, passedOver, refused }

    /// - Parameter templates: the template in which the card gave it.
    static func acceptance(_ tag: Tag, length: Int, in templates: Templates) -> Acceptance {
        guard let rule = rule(tag) else {
            guard belongsToTerminal(tag) else { return isTold(tag) ? .stored : .passedOver }
            // Of the private class other schemes have tags of their own with these numbers.
            return isPrivate(tag) ? .passedOver : .refused
        }
        return rule.length.contains(length) && !rule.templates.isDisjoint(with: templates)
            ? .stored : .refused
    }

    /// Whether the dictionary has this data object.
    static func knows(_ tag: Tag) -> Bool { rule(tag) != nil || belongsToTerminal(tag) }

    /// Data objects that the kernel does not know, and that it hands on in the Data Record: Cardholder Name, Token Requestor
    /// ID, Last 4 Digits of PAN.
    static func isTold(_ tag: Tag) -> Bool { tag == 0x5F20 || tag == 0x9F19 || tag == 0x9F25 }

    /// Whether the terminal may set this data object while the transaction runs (update condition DET). Others are
    /// passed over, as are lengths that the dictionary does not know.
    ///
    /// Book C-2 lets the amounts, date and currency come so as well. Here they stay as they were at the start: the
    /// journal holds them from then on.
    static func acceptsFromTerminal(_ tag: Tag, length: Int) -> Bool {
        switch tag.rawValue {
        case 0xDF8104, 0xDF8105: length == 0 || length == 6
        case 0xDF8108, 0xDF62, 0xDF810A, 0x9F53, 0x5F57: length == 1
        case 0xDF8110: length <= 1
        case 0xDF60, 0xDF8109, 0x9F5C: length == 8
        case 0xDF63: length <= 160
        case 0x9F7C: length <= 20
        case 0x9F70...0x9F79: length <= 192
        case 0xDF8112, 0xFF8102, 0xFF8103: true
        default: false
        }
    }

    /// Data objects that GET DATA brings (Book C-2, 5.5): the balance and the data envelopes.
    static func isReadWithGetData(_ tag: Tag) -> Bool {
        tag == 0x9F50 || (0x9F70...0x9F79).contains(tag.rawValue)
    }

    /// Whether the terminal may give this data object while the transaction runs, so that one that is empty is worth waiting
    /// for (S1.12, S2.7).
    static func mayComeFromTerminal(_ tag: Tag) -> Bool {
        switch tag.rawValue {
        case 0xDF8104, 0xDF8105, 0xDF8108, 0xDF62, 0xDF810A, 0x9F53, 0x5F57, 0xDF8110, 0xDF60, 0xDF8109,
            0x9F5C,
            0xDF63, 0x9F7C, 0x9F70...0x9F79, 0xDF8112, 0xFF8102, 0xFF8103:
            true
        // A tag of the configuration's own.
        default: !knows(tag)
        }
    }

    /// Whether PUT DATA can write a data object of this length: the tag is P1 and P2 of the command (Book C-2, 5.8).
    static func isWrittenWithPutData(_ tag: Tag, length: Int) -> Bool {
        tag.rawValue <= 0xFFFF && length <= ((0x9F70...0x9F79).contains(tag.rawValue) ? 192 : 255)
    }
}

/// Application Capabilities Information, 9F5D (Annex A.1).
struct ApplicationCapabilities {
    let bytes: (UInt8, UInt8, UInt8)

    /// Nil unless 3 bytes long.
    init?(_ value: Span<UInt8>?) {
        guard let value, value.count == 3 else { return nil }
        bytes = (value[0], value[1], value[2])
    }

    /// Data Storage Version Number: 1 or 2; 0 where there is none.
    var dataStorageVersion: UInt8 { bytes.0 & 0x0F }
    /// Unconfirmed: the order of the bits of byte 2, which public lists give alike.
    var supportsFieldOffDetection: Bool { bytes.1 & 0x04 != 0 }
    var supportsBalanceReading: Bool { bytes.1 & 0x02 != 0 }
    /// "CDA supported over TC, ARQC and AAC", else over TC and ARQC only.
    var signsAAC: Bool { bytes.1 & 0x01 != 0 }
}

/// IDS Status, DF8128 (Annex A.1).
struct DataStorageStatus: OptionSet {
    let rawValue: UInt8
    static let read = Self(rawValue: 0x80)
    static let write = Self(rawValue: 0x40)
}
