public import EMV
public import Kernels
internal import ProfileFile

/// What a merchant does not take, though the terminal could: schemes, wallets, form factors. Looked at
/// after the card was read and before anything is authorized.
public struct AcceptancePolicy: Sendable, Equatable {
    /// One refusal: everything that the rule gives must match.
    public struct Rule: Sendable, Equatable {
        public var name: String
        /// Starts of AIDs, 5...16 bytes each.
        public var applicationIdentifiers: [[UInt8]] = []
        /// Token Requestor IDs (9F19), 11 digits each.
        public var tokenRequestors: [String] = []
        public var formFactors: [FormFactor] = []
        /// Whether the number read is a token (true) or a card number (false), as far as the data shows.
        public var tokenized: Bool?
        /// What the customer is told.
        public var text: String

        public init(
            name: String, applicationIdentifiers: [[UInt8]] = [], tokenRequestors: [String] = [],
            formFactors: [FormFactor] = [], tokenized: Bool? = nil, text: String
        ) {
            self.name = name
            self.applicationIdentifiers = applicationIdentifiers
            self.tokenRequestors = tokenRequestors
            self.formFactors = formFactors
            self.tokenized = tokenized
            self.text = text
        }
    }
    public var refuse: [Rule] = []
    /// Somebody asks cardholders for identification where the host approves on that condition. Without it such an approval
    /// is reversed.
    public var identifiesCardholders = false

    public init() {}

    init(_ place: ProfileFile) throws(ProfileFileError) {
        let keys = try place.mapping()
        for item in try keys.optional("refuse")?.list() ?? [] {
            let entry = try item.mapping()
            var rule = Rule(name: try entry.required("name").text(1...40), text: "")
            rule.text = try entry.optional("text")?.text(1...80) ?? "\(rule.name) is not accepted here"
            for aid in try entry.optional("aids")?.list() ?? [] {
                rule.applicationIdentifiers.append(try aid.hex(count: 5...16))
            }
            for requestor in try entry.optional("token-requestors")?.list() ?? [] {
                rule.tokenRequestors.append(try requestor.digits(11...11))
            }
            for factor in try entry.optional("form-factors")?.list() ?? [] {
                rule.formFactors.append(try factor.choice(FormFactor.self))
            }
            rule.tokenized = try entry.optional("tokenized")?.bool()
            guard
                !rule.applicationIdentifiers.isEmpty || !rule.tokenRequestors.isEmpty
                    || !rule.formFactors.isEmpty || rule.tokenized != nil
            else {
                throw item.error(
                    "a refusal needs at least one of aids, token-requestors, form-factors, tokenized")
            }
            try entry.finish()
            refuse.append(rule)
        }
        identifiesCardholders = try keys.optional("identifies-cardholders")?.bool() ?? false
        try keys.finish()
    }

    /// The first rule that refuses what was presented.
    public func refusal(of instrument: PaymentInstrument) -> Rule? {
        refuse.first { rule in
            (rule.applicationIdentifiers.isEmpty
                || rule.applicationIdentifiers.contains {
                    instrument.applicationIdentifier.starts(with: $0)
                })
                && (rule.tokenRequestors.isEmpty
                    || instrument.tokenRequestorID.map(rule.tokenRequestors.contains) ?? false)
                && (rule.formFactors.isEmpty || rule.formFactors.contains(instrument.formFactor))
                && (rule.tokenized == nil || rule.tokenized == instrument.isTokenized)
        }
    }
}

/// Consumer device form factors of the Form Factor Indicator 9F6E (Book C-3).
public enum FormFactor: String, Sendable, Codable, CaseIterable {
    case card
    case miniCard = "mini-card"
    case nonCard = "non-card"
    case phone
    case wristWorn = "wrist-worn"
    case unknown
}

/// What was presented, as far as the Data Record tells.
public struct PaymentInstrument: Sendable, Equatable {
    public var applicationIdentifier: [UInt8]
    public var applicationLabel: String?
    public var primaryAccountNumber: PrimaryAccountNumber?
    public var panSequenceNumber: UInt8?
    public var expiry: EMVDate?
    public var track2: Track2EquivalentData?
    /// Token Requestor ID 9F19: 11 digits; present for tokens.
    public var tokenRequestorID: String?
    /// Last four digits of the funding PAN, 9F25.
    public var lastFourOfFundingPAN: String?
    /// Payment Account Reference, 9F24: 29 characters.
    public var paymentAccountReference: String?
    public var formFactor: FormFactor
    /// Read in mag-stripe mode (POS Entry Mode 91).
    public var isMagStripe: Bool

    /// Whether the card data says that the number is a payment token (EMV tokenisation: 9F19 or 9F25
    /// present).
    public var isTokenized: Bool { tokenRequestorID != nil || lastFourOfFundingPAN != nil }

    public init(dataRecord: DataObjects, selected: SelectedCombination?) {
        applicationIdentifier = selected?.applicationIdentifier ?? dataRecord[0x84].map(Array.init) ?? []
        applicationLabel = selected?.applicationLabel
        // Mag-stripe mode has the track that the kernel filled in (9F6B) and no chip data of its own.
        isMagStripe = dataRecord[0x9F39].map { $0.elementsEqual([0x91]) } ?? false
        track2 = (isMagStripe ? dataRecord[0x9F6B] : dataRecord[0x57]).flatMap { Track2EquivalentData($0) }
        primaryAccountNumber =
            dataRecord[0x5A].flatMap { PrimaryAccountNumber(compressedNumeric: $0) }
            ?? track2?.primaryAccountNumber
        panSequenceNumber = dataRecord.decimal(0x5F34).flatMap { UInt8(exactly: $0) }
        expiry =
            dataRecord[0x5F24].flatMap { EMVDate(bytes: $0) }
            ?? track2.flatMap { EMVDate(endOfMonthYYMM: $0.expiry) }
        tokenRequestorID = dataRecord[0x9F19].flatMap(Self.digits)
        lastFourOfFundingPAN = dataRecord[0x9F25].flatMap(Self.digits).map { String($0.suffix(4)) }
        paymentAccountReference = dataRecord[0x9F24].map { String(decoding: $0, as: UTF8.self) }
        formFactor = .unknown
        if let indicator = dataRecord[0x9F6E], indicator.count == 4, let first = indicator.first {
            // Form Factor Indicator byte 1, bits 5-1: consumer payment device form factor.
            switch first & 0x1F {
            case 0: formFactor = .card
            case 1: formFactor = .miniCard
            case 2: formFactor = .nonCard
            case 3: formFactor = .phone
            case 4: formFactor = .wristWorn
            default: formFactor = .unknown
            }
        }
    }

    /// Digits of a format n value, left zeros and F padding taken away where the field has a fixed length.
    static func digits(_ bytes: ArraySlice<UInt8>) -> String? {
        let nibbles = bytes.flatMap { [$0 >> 4, $0 & 0x0F] }.filter { $0 != 0x0F }
        guard nibbles.allSatisfy({ $0 <= 9 }) else { return nil }
        let text = String(decoding: nibbles.map { $0 + UInt8(ascii: "0") }, as: UTF8.self)
        // 9F19 is n 11 in six bytes: one leading zero nibble.
        return text.count == 12 && text.first == "0" ? String(text.dropFirst()) : text
    }
}
