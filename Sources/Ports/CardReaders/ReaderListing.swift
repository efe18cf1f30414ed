/// A reader as PC/SC or libnfc lists it.
public struct ReaderListing: Sendable, Equatable {
    public enum Interface: String, Sendable, Codable, CaseIterable {
        case contactless, contact, sam
        /// The name does not tell, as with virtual readers.
        case unknown
    }
    public var name: String
    public var interface: Interface
    /// The Answer To Reset of the card in it; nil without a card, empty for a mute one.
    public var answerToReset: [UInt8]?
    /// Another program holds the card exclusively.
    public var isExclusivelyUsed: Bool

    public init(name: String, answerToReset: [UInt8]? = nil, isExclusivelyUsed: Bool = false) {
        self.name = name
        interface = Self.interface(of: name)
        self.answerToReset = answerToReset
        self.isExclusivelyUsed = isExclusivelyUsed
    }

    /// What the manufacturers' names say: "ACS ACR1252 Dual Reader [PICC] 00 00", "HID Global OMNIKEY 5422
    /// Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 01 00", "... Contactless Reader", "... SAM 00 01".
    package static func interface(of name: String) -> Interface {
        let words = name.uppercased().split { !$0.isLetter && !$0.isNumber }
        if words.contains("SAM") { return .sam }
        if words.contains(where: {
            $0 == "PICC" || $0 == "CONTACTLESS" || $0 == "NFC" || $0 == "CL" || $0 == "RFID"
                || $0.hasPrefix("ACR122") || $0.hasPrefix("PN53")
                || ($0.hasSuffix("CL") && $0.first?.isNumber == true)
        }) {
            return .contactless
        }
        if words.contains("ICC") || words.contains("CONTACT") { return .contact }
        return .unknown
    }
}

/// What happens around the readers of a service.
public enum ReaderEvent: Sendable, Equatable {
    case readerAdded(ReaderListing)
    case readerRemoved(name: String)
    case cardInserted(reader: String, answerToReset: [UInt8])
    case cardRemoved(reader: String)
    /// The service cannot be used; the text says what to do. Comes once until it is back.
    case serviceLost(reason: String)
    case serviceFound
}
