public import EMV
internal import EMVDictionary

/// A User Interface Request made ready for people: text, lights, sound.
public struct CustomerMessage: Sendable, Equatable {
    public var request: UserInterfaceRequest
    /// The language in which `text` is (ISO 639, two letters).
    public var language: String
    public var text: String
    public var lights: Lights
    public var sound: Sound

    /// The four lights of a contactless reader, left to right (EMV Contactless Book A, 9.2).
    public struct Lights: Sendable, Equatable {
        public enum Light: Sendable, Equatable { case off, on, blinking }
        public var first: Light
        public var others: Light
        /// A red light, where the reader has one (Book A, option for errors).
        public var alert: Bool
        public init(first: Light, others: Light, alert: Bool = false) {
            self.first = first
            self.others = others
            self.alert = alert
        }
    }
    public enum Sound: String, Sendable, Codable { case none, success, alert }

    /// - Parameter languages: the terminal's languages in order of preference; the card's own preference
    ///   (5F2D) is served first where the terminal speaks it.
    public init(_ request: UserInterfaceRequest, languages: [String]) {
        self.request = request
        let wanted = request.languagePreference.map(Self.codes) ?? []
        let language =
            wanted.first { languages.contains($0) && MessageCatalogue.languages.contains($0) }
            ?? languages.first { MessageCatalogue.languages.contains($0) } ?? "en"
        self.language = language
        var text = MessageCatalogue.text(request.message, language: language)
        if let value = request.value, let currency = request.currency {
            let amount = Money(value, currency).description
            switch request.valueQualifier {
            case .amount: text += " \(amount)"
            case .balance:
                text += " \(MessageCatalogue.available(language)) \(amount)"
            case .none: break
            }
        }
        self.text = text
        lights = Self.lights(request.status)
        sound = Self.sound(request.status)
    }

    /// Languages that messages can be shown in (ISO 639, two letters).
    public static var catalogueLanguages: [String] { MessageCatalogue.languages }

    /// The message's text in a language of the catalogue.
    public func text(in language: String) -> String {
        var request = request
        request.languagePreference = nil
        return CustomerMessage(request, languages: [language]).text
    }

    static func codes(_ preference: String) -> [String] {
        let letters = Array(preference.lowercased())
        return stride(from: 0, to: letters.count - 1, by: 2).map { String(letters[$0...($0 + 1)]) }
    }

    static func lights(_ status: UserInterfaceRequest.Status) -> Lights {
        switch status {
        case .notReady, .notApplicable: Lights(first: .off, others: .off)
        case .idle: Lights(first: .blinking, others: .off)
        case .readyToRead: Lights(first: .on, others: .off)
        case .processing: Lights(first: .on, others: .blinking)
        case .cardReadSuccessfully: Lights(first: .on, others: .on)
        case .processingError, .contactlessCollision: Lights(first: .off, others: .off, alert: true)
        }
    }

    static func sound(_ status: UserInterfaceRequest.Status) -> Sound {
        switch status {
        case .cardReadSuccessfully: .success
        case .processingError, .contactlessCollision: .alert
        default: .none
        }
    }
}

/// An amount with its currency, for people: `12.50 EUR`.
public struct Money: CustomStringConvertible, Sendable, Equatable {
    public var amount: Amount
    public var currency: NumericCode
    public init(_ amount: Amount, _ currency: NumericCode) {
        self.amount = amount
        self.currency = currency
    }
    public var description: String {
        let known = CodeTable.currency(Int(currency.value))
        let letters = known?.alpha ?? currency.description
        let exponent = Int(CodeTable.minorUnits(of: currency))
        let digits = String(amount.minorUnits)
        guard exponent > 0 else { return "\(digits) \(letters)" }
        let padded = String(repeating: "0", count: max(0, exponent + 1 - digits.count)) + digits
        return "\(padded.dropLast(exponent)).\(padded.suffix(exponent)) \(letters)"
    }

    /// Reads an amount and its currency's letters, such as `12.50 EUR` or `1250 JPY`, as `description` writes them.
    /// Nil for an unknown currency and as `parse(_:exponent:)`.
    public init?(parsing text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2, let known = CodeTable.currency(String(words[1])),
            let currency = NumericCode(known.numeric),
            let amount = Self.parse(String(words[0]), exponent: Int(CodeTable.minorUnits(of: currency)))
        else { return nil }
        self.init(amount, currency)
    }

    /// Reads an amount as people write it, such as `12.50` or `12`, in a currency of `exponent` decimals.
    /// Nil for a sign, more decimals than the currency has, or more than twelve digits.
    public static func parse(_ text: String, exponent: Int) -> Amount? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let decimals = parts.count == 2 ? String(parts[1]) : ""
        guard let whole = parts.first, !whole.isEmpty, decimals.count <= exponent,
            parts.count == 1 || !decimals.isEmpty,
            (whole + decimals).allSatisfy({ $0.isASCII && $0.isNumber }),
            let units = UInt64(
                whole + decimals + String(repeating: "0", count: exponent - decimals.count))
        else { return nil }
        return Amount(minorUnits: units)
    }
}
