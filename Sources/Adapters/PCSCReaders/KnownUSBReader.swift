/// USB contactless readers that libnfc (1.8.0: pn53x_usb, acr122_usb) or the CCID driver (its list of supported readers)
/// knows. The same list is in `udev/60-tapbridge-readers.rules`.
public struct KnownUSBReader: Sendable, Equatable {
    /// What drives it.
    public enum Kind: String, Sendable, Codable, CaseIterable {
        case libnfc, ccid, both
    }
    public var device: USBIdentifier
    public var kind: Kind
    /// The name under `/dev/tapbridge`.
    public var shortName: String
    public var name: String

    public static func reader(_ device: USBIdentifier) -> KnownUSBReader? {
        all.first { $0.device == device }
    }

    public static let all: [KnownUSBReader] = [
        KnownUSBReader(0x04CC, 0x0531, .libnfc, "pn531", "Philips PN531"),
        KnownUSBReader(0x04CC, 0x2533, .libnfc, "pn533", "NXP PN533"),
        KnownUSBReader(0x04E6, 0x5591, .libnfc, "scl3711", "SCM SCL3711"),
        KnownUSBReader(0x04E6, 0x5594, .libnfc, "scl3712", "SCM SCL3712"),
        KnownUSBReader(0x054C, 0x0193, .libnfc, "pasori-pn531", "Sony PN531"),
        KnownUSBReader(0x054C, 0x02E1, .libnfc, "pasori-rcs360", "Sony RC-S360 PaSoRi"),
        KnownUSBReader(0x1FD3, 0x0608, .libnfc, "ask-logo", "ASK LoGO"),
        KnownUSBReader(0x072F, 0x2200, .both, "acr122u", "ACS ACR122U"),
        KnownUSBReader(0x072F, 0x90CC, .both, "touchatag", "ACS ACR122U (Touchatag)"),
        KnownUSBReader(0x072F, 0x2214, .libnfc, "acr1222", "ACS ACR1222"),
        KnownUSBReader(0x072F, 0x221A, .ccid, "acr1251", "ACS ACR1251 Dual Reader"),
        KnownUSBReader(0x072F, 0x2224, .ccid, "acr1281u", "ACS ACR1281U"),
        KnownUSBReader(0x072F, 0x223B, .ccid, "acr1252", "ACS ACR1252 Dual Reader"),
        KnownUSBReader(0x072F, 0x223E, .ccid, "acr1252", "ACS ACR1252 Reader"),
        KnownUSBReader(0x072F, 0x223F, .ccid, "acr1255u", "ACS ACR1255U-J1"),
        KnownUSBReader(0x072F, 0x2259, .ccid, "acr1252imp", "ACS ACR1252IMP Reader"),
        KnownUSBReader(0x072F, 0x226B, .ccid, "walletmate", "ACS WalletMate 1S CL Reader"),
        KnownUSBReader(0x072F, 0x2301, .ccid, "acr1581", "ACS ACR1581 1S Dual Reader"),
        KnownUSBReader(0x072F, 0x2303, .ccid, "acr1552", "ACS ACR1552 1S CL Reader"),
        KnownUSBReader(0x072F, 0x2308, .ccid, "acr1552", "ACS ACR1552 CL Reader"),
        KnownUSBReader(0x076B, 0x5022, .ccid, "omnikey5022", "HID Global OMNIKEY 5022"),
        KnownUSBReader(0x076B, 0x5127, .ccid, "omnikey5127", "HID OMNIKEY 5127 CK"),
        KnownUSBReader(0x076B, 0x5321, .ccid, "omnikey5321", "OMNIKEY CardMan 5321"),
        KnownUSBReader(0x076B, 0x532A, .ccid, "omnikey5321", "OMNIKEY 5321 CLi USB"),
        KnownUSBReader(0x076B, 0x5326, .ccid, "omnikey5326", "HID OMNIKEY 5326 DFR"),
        KnownUSBReader(0x076B, 0x5340, .ccid, "omnikey5021", "HID OMNIKEY 5021 CL"),
        KnownUSBReader(0x076B, 0x5412, .ccid, "omnikey5122", "HID Global OMNIKEY 5122"),
        KnownUSBReader(0x076B, 0x5422, .ccid, "omnikey5422", "HID Global OMNIKEY 5422"),
        KnownUSBReader(0x076B, 0x5427, .ccid, "omnikey5427", "HID OMNIKEY 5427 CK"),
        KnownUSBReader(0x076B, 0x5432, .ccid, "omnikey5122", "HID Global OMNIKEY 5122 Dual"),
        KnownUSBReader(0x076B, 0x5A27, .ccid, "omnikey5027", "HID Global OMNIKEY 5027CK"),
        KnownUSBReader(0x04E6, 0x512B, .ccid, "sdi011", "SCM SDI011 Contactless Reader"),
        KnownUSBReader(0x04E6, 0x512C, .ccid, "sdi011", "SCM SDI011 Contactless Reader"),
        KnownUSBReader(0x04E6, 0x5291, .ccid, "scl010", "SCM SCL010 Contactless Reader"),
        KnownUSBReader(0x04E6, 0x5292, .ccid, "scl01x", "SCM SCL01x Contactless Reader"),
        KnownUSBReader(0x04E6, 0x5293, .ccid, "scl01x", "SCM SCL01x Contactless Reader"),
        KnownUSBReader(0x04E6, 0x5612, .ccid, "utrust3720", "Identiv uTrust 3720 Contactless Reader"),
        KnownUSBReader(0x04E6, 0x5613, .ccid, "utrust3721", "Identiv uTrust 3721 Contactless Reader"),
        KnownUSBReader(0x04E6, 0x5720, .ccid, "cloud4500", "Identive CLOUD 4500 F Dual Interface Reader"),
        KnownUSBReader(0x04E6, 0x5721, .ccid, "cloud4510", "Identive CLOUD 4510 F Contactless + SAM Reader"),
        KnownUSBReader(0x04E6, 0x5724, .ccid, "utrust4701", "Identiv uTrust 4701 F Dual Interface Reader"),
        KnownUSBReader(0x04E6, 0x5725, .ccid, "utrust4711", "Identiv uTrust 4711 F CL + SAM Reader"),
        KnownUSBReader(0x04E6, 0x5790, .ccid, "utrust3700", "Identiv uTrust 3700 F CL Reader"),
        KnownUSBReader(0x04E6, 0x5791, .ccid, "utrust3701", "Identiv uTrust 3701 F CL Reader"),
        KnownUSBReader(0x08E6, 0x5503, .ccid, "prox-dual", "Gemalto Prox Dual USB PC Link Reader"),
        KnownUSBReader(0x096E, 0x0608, .ccid, "feitian502", "Feitian 502-CL"),
        KnownUSBReader(
            0x096E, 0x0622, .ccid, "feitianvr504", "Feitian VR504 Contactless & Contact Card Reader"),
        KnownUSBReader(0x09D8, 0x0427, .ccid, "twn4", "Elatec TWN4 SmartCard NFC"),
        KnownUSBReader(0x09D8, 0x0428, .ccid, "twn4", "Elatec TWN4"),
        KnownUSBReader(0x0C4B, 0x0500, .ccid, "cyberjack-rfid", "REINER SCT cyberJack RFID standard"),
        KnownUSBReader(0x0C4B, 0x9102, .ccid, "cyberjack-rfid", "REINER SCT cyberJack RFID basis"),
        KnownUSBReader(0x0DB5, 0x0160, .ccid, "access-is-nfc", "Access IS NFC Smart Module"),
        KnownUSBReader(0x0DB5, 0x0164, .ccid, "access-is-nfc", "Access IS NFC Smart Module"),
        KnownUSBReader(0x1403, 0x7531, .ccid, "mcore", "mCore Contactless-Reader"),
        KnownUSBReader(0x1667, 0x0053, .ccid, "giga-tms", "GIGA-TMS NFC CCID Reader"),
        KnownUSBReader(0x1B0E, 0x5A02, .ccid, "taurus", "BLUTRONICS TAURUS NFC"),
        KnownUSBReader(0x1C34, 0x7141, .ccid, "proxnroll", "SpringCard Prox'N'Roll"),
        KnownUSBReader(0x1C34, 0x8141, .ccid, "nfcroll", "SpringCard NFC'Roll"),
        KnownUSBReader(0x1C34, 0x91B1, .ccid, "h663", "SpringCard H663 Series"),
        KnownUSBReader(0x1C34, 0xA1A1, .ccid, "h512", "SpringCard H512 Series"),
        KnownUSBReader(0x1DB2, 0x0600, .ccid, "de-abcm6", "DUALi DE-ABCM6"),
        KnownUSBReader(0x1DB2, 0x0801, .ccid, "de-620", "DUALi DE-620 Combi"),
        KnownUSBReader(0x1DB2, 0x080C, .ccid, "de-abcm6", "DUALi DE-ABCM6 RFRW"),
        KnownUSBReader(0x1DB2, 0x088B, .ccid, "dragon", "DUALi DRAGON NFC READER"),
        KnownUSBReader(0x1FFA, 0x0002, .ccid, "elyctis", "ELYCTIS CL reader"),
        KnownUSBReader(0x21AB, 0x0010, .ccid, "rc700", "Planeta RC700-NFC CCID"),
        KnownUSBReader(0x25DD, 0x3403, .ccid, "minilector", "BIT4ID miniLector AIR NFC v3"),
        KnownUSBReader(0x31AA, 0x2000, .ccid, "cir215", "Circle CIR215 PICC"),
        KnownUSBReader(0x31AA, 0x3000, .ccid, "cir315", "Circle CIR315 Dual & 1S"),
        KnownUSBReader(0x31AA, 0x4000, .ccid, "cir415", "Circle CIR415 CL & 1S"),
        KnownUSBReader(0x31AA, 0x6000, .ccid, "cir615", "Circle CIR615 CL & 1S"),
        KnownUSBReader(0x349E, 0x0430, .ccid, "token2", "TOKEN2 MFA NFC Reader"),
        KnownUSBReader(0x356F, 0x22FC, .ccid, "sensyl", "Sensyl SSC-NFC Reader"),
    ]

    private init(_ vendor: UInt16, _ product: UInt16, _ kind: Kind, _ shortName: String, _ name: String) {
        device = USBIdentifier(vendor: vendor, product: product)
        self.kind = kind
        self.shortName = shortName
        self.name = name
    }
}
