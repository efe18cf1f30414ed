internal import BERTLV
public import CardReaders
public import EMV
internal import EMVCryptography
internal import EMVDictionary
internal import Foundation
public import Kernels
public import ProfileFile

/// What a terminal is and may do: a documented YAML file (`Profiles/default.yaml` is the annotated
/// example) read into values.
public struct TerminalProfile: Sendable {
    /// Where the profile came from, for errors and traces.
    public var source: String
    /// Of the sections that a replay depends on, as they mean and not as they are written: tells whether a trace was
    /// recorded with a profile that decides the same. 16 hexadecimal digits of a SHA-256.
    public var digest: String
    public var terminalID: String
    public var merchant: Merchant
    public var country: NumericCode
    public var currency: NumericCode
    /// Decimals of its amounts: those of the currency (ISO 4217).
    public var currencyExponent: UInt8
    /// The combinations, and with them the limits, are those of the built-in profile, in this terminal's currency.
    public var hasBuiltInLimits: Bool
    /// ISO 639 codes in order of preference.
    public var languages: [String]
    public var configuration: EntryPointConfiguration
    public var acceptance: AcceptancePolicy
    /// What online PINs are enciphered with; nil is for the test keys.
    public var pinKeys: PINKeys?
    public var timing: Timing
    /// Answers to kernels that exchange data with the terminal; nil where the profile gives none.
    public var dataExchange: FixedDataExchange?
    /// What the reader sends while it waits for a card, for phones to see what the terminal is for; nil leaves it to the
    /// reader.
    public var polling: PollingSchedule?
    /// Path of the acquirer file (key `acquirer-file`, relative to the profile's folder); nil is the built-in host.
    public var acquirerFile: String?
    /// Days after which final transactions are deleted from the journal, at each settlement; nil keeps them.
    public var retentionDays: Int?

    public struct Merchant: Sendable, Equatable {
        public var id: String
        public var name: String
        public var location: String
        public var categoryCode: String
        public var acquirerID: String
    }

    public struct Timing: Sendable, Equatable {
        /// How long to wait for a card.
        public var cardWait: Duration = .seconds(30)
        /// How long to wait for the host.
        public var authorization: Duration = .seconds(20)
        /// How long a customer may take to bring the card back for the issuer's answer.
        public var secondPresentment: Duration = .seconds(15)
        public init() {}
    }

    /// All that card and kernel see of a terminal, and what the merchant refuses. Times, keys, files and polling change
    /// no answer.
    private static let decidingSections = [
        "terminal", "merchant", "combinations", "ca-keys", "revoked-certificates", "exception-file",
        "data-exchange", "acceptance",
    ]

    /// Reads a profile file.
    /// - Throws: `ProfileFileError` naming file, line and what was expected.
    public init(path: String) throws(ProfileFileError) {
        let file = try ProfileFile(path: path)
        try self.init(file, source: path)
    }

    /// - Parameter files: which files the text may name; none unless its author may.
    public init(text: String, source: String, files: FileAccess = .noFiles) throws(ProfileFileError) {
        try self.init(ProfileFile(file: source, text: text, files: files), source: source)
    }

    /// The profile that the program carries: the test merchant of the documentation.
    public static func builtIn() throws(ProfileFileError) -> TerminalProfile {
        try TerminalProfile(text: builtInText, source: "built-in default.yaml")
    }

    /// The text of the built-in profile, to start one's own from.
    public static var builtInText: String {
        String(decoding: PackageResources.default_yaml, as: UTF8.self)
    }

    /// The same terminal under another identifier.
    /// - Parameter id: 1...8 characters; padded with spaces in 9F1C.
    public func renamed(_ id: String) -> TerminalProfile {
        guard id != terminalID else { return self }
        var result = self
        result.terminalID = id
        result.configuration.terminal.data.set(
            0x9F1C, Array(id.padding(toLength: 8, withPad: " ", startingAt: 0).utf8))
        return result
    }

    init(_ file: ProfileFile, source: String) throws(ProfileFileError) {
        self.source = source
        let top = try file.mapping()
        // A profile may take whole sections from the built-in one.
        var base: ProfileMapping?
        if let place = top.optional("extends") {
            guard try place.string() == "built-in" else { throw place.error("expected \"built-in\"") }
            base = try ProfileFile(file: "built-in default.yaml", text: Self.builtInText).mapping()
        }
        func optional(_ section: String) -> ProfileFile? { top.optional(section) ?? base?.optional(section) }
        let meaning = Self.decidingSections.map { "\($0)=\(optional($0)?.canonicalText ?? "")" }
        digest = Hex.string(SHA256.hash(Array(meaning.joined(separator: "\n").utf8).span).prefix(8))
        func required(_ section: String) throws(ProfileFileError) -> ProfileFile {
            if let own = optional(section) { return own }
            return try top.required(section)
        }

        let terminal = try required("terminal").mapping()
        terminalID = try terminal.required("id").text(8...8)
        country = try terminal.required("country").numericCode()
        currency = try terminal.required("currency").numericCode()
        currencyExponent = CodeTable.minorUnits(of: currency)
        if let place = terminal.optional("currency-exponent"),
            try place.integer(in: 0...4) != Int(currencyExponent)
        {
            let name = CodeTable.currency(Int(currency.value))?.alpha
            throw place.error(
                "amounts in currency \(currency) have \(currencyExponent) decimals"
                    + (name.map { " (\($0), ISO 4217): leave the key out" }
                        ?? ", as it is not in ISO 4217's list"))
        }
        var data = DataObjects(reservingObjects: 64, bytes: 512)
        data.set(0x9F35, try terminal.required("type").hex(count: 1...1))
        data.set(0x9F33, try terminal.required("capabilities").hex(count: 3...3))
        data.set(0x9F40, try terminal.required("additional-capabilities").hex(count: 5...5))
        data.set(0x9F1A, country.bytes)
        data.set(0x9F1C, Array(terminalID.utf8))
        data.set(0x9F1E, Array(try terminal.required("serial-number").text(8...8).utf8))
        var languages: [String] = []
        for item in try terminal.optional("languages")?.list() ?? [] {
            languages.append(try item.text(2...2))
        }
        self.languages = languages.isEmpty ? ["en"] : languages
        for entry in try terminal.optional("data")?.mapping().entries() ?? [] {
            data.set(try entry.key.tag(), try entry.value.hex(count: 0...255))
        }
        try terminal.finish()

        let merchantKeys = try required("merchant").mapping()
        merchant = Merchant(
            id: try merchantKeys.required("id").text(1...15),
            name: try merchantKeys.required("name").text(1...40),
            location: try merchantKeys.optional("location")?.text(0...40) ?? "",
            categoryCode: try merchantKeys.required("category-code").digits(4...4),
            acquirerID: try merchantKeys.optional("acquirer")?.digits(6...11) ?? "00000000001")
        try merchantKeys.finish()
        data.set(0x9F16, Array(merchant.id.padding(toLength: 15, withPad: " ", startingAt: 0).utf8))
        data.set(0x9F4E, Array(merchant.name.utf8))
        data.set(0x9F15, BCD.bytes(UInt64(merchant.categoryCode) ?? 0, count: 2))
        data.set(0x9F01, BCD.bytes(UInt64(merchant.acquirerID) ?? 0, count: 6))

        var combinations: [CombinationConfiguration] = []
        hasBuiltInLimits = top.optional("combinations") == nil
        for item in try required("combinations").list() {
            combinations.append(
                try Self.combination(item, exponent: Int(currencyExponent), isBuiltIn: hasBuiltInLimits))
        }
        guard !combinations.isEmpty else {
            throw try required("combinations").error("expected at least one combination")
        }

        var keys = CertificationAuthorityPublicKeyStore()
        for item in try optional("ca-keys")?.list() ?? [] {
            try Self.certificationAuthorityKey(item, into: &keys)
        }
        var revocations = CertificateRevocationList()
        for item in try optional("revoked-certificates")?.list() ?? [] {
            let entry = try item.mapping()
            let serial = try entry.required("serial").hex(count: 3...3)
            guard
                let rid = RegisteredApplicationProviderIdentifier(
                    try entry.required("rid").hex(count: 5...5))
            else { throw item.error("expected a RID of 5 bytes") }
            revocations.insert(
                CertificateRevocationList.Entry(
                    rid: rid, index: try entry.required("index").hex(count: 1...1)[0],
                    serialNumber: serial.reduce(0) { $0 << 8 | UInt32($1) }))
            try entry.finish()
        }
        var exceptions = ExceptionFile()
        for item in try optional("exception-file")?.list() ?? [] {
            let entry = try item.mapping()
            let place = try entry.required("pan")
            guard let number = PrimaryAccountNumber(digits: try place.string()) else {
                throw place.error("expected a card number of 8...19 digits")
            }
            exceptions.insert(
                number,
                sequenceNumber: try entry.optional("sequence-number").map {
                    (place) throws(ProfileFileError) in UInt8(try place.integer(in: 0...99))
                })
            try entry.finish()
        }
        configuration = EntryPointConfiguration(
            combinations: combinations,
            terminal: TerminalConfiguration(
                data: data, exceptionFile: exceptions, certificationAuthorityKeys: keys,
                revocationList: revocations))

        if let entries = try optional("data-exchange")?.mapping().entries() {
            var answers = DataObjects()
            for entry in entries { answers.set(try entry.key.tag(), try entry.value.hex(count: 0...255)) }
            dataExchange = FixedDataExchange(answers)
        }

        acceptance = AcceptancePolicy()
        if let place = optional("acceptance") {
            acceptance = try AcceptancePolicy(place)
        }

        pinKeys = try optional("pin-pad").map { (place) throws(ProfileFileError) in try PINKeys(place) }

        polling = try optional("polling").map { (place) throws(ProfileFileError) in
            guard let schedule = PollingSchedule(words: try place.string()) else {
                throw place.error(
                    "expected standard, payment, transit:TTTTTT or transit:TTTTTT:MMMMMMMMMM (agency and mask of schemes in hexadecimal), with +f for FeliCa"
                )
            }
            return schedule
        }

        timing = Timing()
        if let keys = try optional("timing")?.mapping() {
            if let value = try keys.optional("card-wait")?.integer(in: 1...3600) {
                timing.cardWait = .seconds(value)
            }
            if let value = try keys.optional("authorization")?.integer(in: 1...300) {
                timing.authorization = .seconds(value)
            }
            if let value = try keys.optional("second-presentment")?.integer(in: 1...300) {
                timing.secondPresentment = .seconds(value)
            }
            try keys.finish()
        }
        acquirerFile = try top.optional("acquirer-file")?.namedFile().path
        if let keys = try optional("journal")?.mapping() {
            retentionDays = try keys.optional("retention-days")?.integer(in: 1...36_500)
            try keys.finish()
        }
        try top.finish()
    }

    /// Takes online PIN out of what cards are told (TTQ byte 1 bit 3, Terminal Capabilities byte 2 bit 7, kernel 2's CVM capabilities): for
    /// a terminal whose PIN pad is missing.
    mutating func forgetOnlinePIN() {
        for index in configuration.combinations.indices {
            configuration.combinations[index].terminalTransactionQualifiers?.remove(.onlinePIN)
            // Kernel 2: CVM capabilities with and without a CVM required.
            for tag: BERTLV.Tag in [0xDF8118, 0xDF8119] {
                if let value = configuration.combinations[index].kernelData[tag]?.first {
                    configuration.combinations[index].kernelData.set(tag, [value & ~0x40])
                }
            }
        }
        if var capabilities = configuration.terminal.data[0x9F33].map({ Array($0) }), capabilities.count == 3
        {
            capabilities[1] &= ~0x40
            configuration.terminal.data.set(0x9F33, capabilities)
        }
    }

    static func combination(
        _ item: ProfileFile, exponent: Int, isBuiltIn: Bool
    ) throws(ProfileFileError) -> CombinationConfiguration {
        let keys = try item.mapping()
        func amount(_ place: ProfileFile?) throws(ProfileFileError) -> Amount? {
            try isBuiltIn ? place?.builtInAmount(exponent) : place?.amount(exponent)
        }
        var result = CombinationConfiguration(
            applicationIdentifier: try keys.required("aid").hex(count: 5...16),
            kernel: KernelIdentifier(rawValue: UInt32(try keys.required("kernel").integer(in: 1...0xFFFFFF))))
        if let place = keys.optional("transaction-types") {
            result.transactionTypes = []
            for type in try place.list() {
                result.transactionTypes.insert(try type.choice(TransactionType.self).code)
            }
        }
        result.statusCheckSupported = try keys.optional("status-check")?.bool() ?? false
        result.zeroAmountAllowed = try keys.optional("zero-amount-allowed")?.bool() ?? true
        result.zeroAmountAllowedForOfflineReader =
            try keys.optional("zero-amount-allowed-offline")?.bool() ?? false
        result.extendedSelectionSupported = try keys.optional("extended-selection")?.bool() ?? false
        if let limits = try keys.optional("limits")?.mapping() {
            result.contactlessTransactionLimit = try amount(limits.optional("transaction"))
            result.contactlessFloorLimit = try amount(limits.optional("floor"))
            result.cvmRequiredLimit = try amount(limits.optional("cvm-required"))
            result.terminalFloorLimit = try amount(limits.optional("terminal-floor"))
            try limits.finish()
        }
        if let qualifiers = try keys.optional("ttq")?.hex(count: 4...4) {
            result.terminalTransactionQualifiers = TerminalTransactionQualifiers(bytes: qualifiers)
        }
        for entry in try keys.optional("data")?.mapping().entries() ?? [] {
            result.kernelData.set(try entry.key.tag(), try entry.value.hex(count: 0...255))
        }
        for place in try keys.optional("dynamic-limits")?.list() ?? [] {
            let set = try place.mapping()
            result.dynamicLimits.append(
                DynamicReaderLimits(
                    applicationProgramIdentifier: try set.required("program-id").hex(count: 1...16),
                    statusCheckSupported: try set.optional("status-check")?.bool() ?? false,
                    zeroAmountAllowed: try set.optional("zero-amount-allowed")?.bool() ?? true,
                    contactlessTransactionLimit: try amount(set.optional("transaction")),
                    contactlessFloorLimit: try amount(set.optional("floor")),
                    cvmRequiredLimit: try amount(set.optional("cvm-required"))))
            try set.finish()
        }
        try keys.finish()
        return result
    }

    static func certificationAuthorityKey(
        _ item: ProfileFile, into store: inout CertificationAuthorityPublicKeyStore
    ) throws(ProfileFileError) {
        let keys = try item.mapping()
        let expiryPlace = try keys.required("expires")
        let digits = try expiryPlace.string().filter(\.isNumber)
        guard digits.count == 8, let number = Int(digits),
            let expiry = EMVDate(year: number / 10000, month: number / 100 % 100, day: number % 100)
        else { throw expiryPlace.error("expected a date such as 2030-12-31") }
        let rid = try keys.required("rid").hex(count: 5...5)
        let index = try keys.required("index").hex(count: 1...1)[0]
        let modulus = try keys.required("modulus").hex(count: 64...248)
        let exponent = try keys.required("exponent").hex(count: 1...3)
        let checksum = try keys.optional("checksum")?.hex(count: 20...20)
        try keys.finish()
        do {
            try store.add(
                CertificationAuthorityPublicKey(
                    rid: rid, index: index, modulus: modulus, exponent: exponent, expiry: expiry,
                    checksum: checksum))
        } catch {
            throw item.error("\(error)")
        }
    }
}

/// Transaction types by name (ISO 8583 processing code, first two digits; tag 9C).
public enum TransactionType: String, Sendable, Codable, CaseIterable {
    case purchase, cash, cashback, refund
    public var code: UInt8 {
        switch self {
        case .purchase: 0x00
        case .cash: 0x01
        case .cashback: 0x09
        case .refund: 0x20
        }
    }
    public init?(code: UInt8) {
        guard let type = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = type
    }
}

extension ProfileFile {
    /// Text of so many characters.
    func text(_ count: ClosedRange<Int>) throws(ProfileFileError) -> String {
        let text = try string()
        guard count.contains(text.count), text.allSatisfy({ $0.isASCII || count.upperBound > 15 }) else {
            let wanted =
                count.lowerBound == count.upperBound
                ? "\(count.lowerBound)" : "\(count.lowerBound)...\(count.upperBound)"
            throw error("expected \(wanted) characters, found \(text.count): \"\(text.prefix(40))\"")
        }
        guard !text.unicodeScalars.contains(where: PlainText.isControl) else {
            throw error("expected text without control characters")
        }
        return text
    }

    func digits(_ count: ClosedRange<Int>) throws(ProfileFileError) -> String {
        let text = try text(count)
        guard text.allSatisfy({ $0.isASCII && $0.isNumber }) else {
            throw error("expected digits, found \"\(text)\"")
        }
        return text
    }

    func numericCode() throws(ProfileFileError) -> NumericCode {
        guard let code = NumericCode(try integer(in: 0...999)) else {
            throw error("expected a three-digit ISO code")
        }
        return code
    }

    func amount(_ exponent: Int) throws(ProfileFileError) -> Amount {
        guard let amount = Money.parse(try string(), exponent: exponent) else {
            throw error(
                exponent == 0
                    ? "expected an amount such as 50: the terminal's currency has no decimals"
                    : "expected an amount such as 50.00, with at most \(exponent) decimals")
        }
        return amount
    }

    /// An amount of the built-in profile, read in the currency of the profile that takes it over: as many whole units. The
    /// user's file is not where the decimals stand, so that zeros beyond those of the currency are no error.
    func builtInAmount(_ exponent: Int) throws(ProfileFileError) -> Amount {
        let parts = try string().split(separator: ".", maxSplits: 1)
        guard parts.count == 2, parts[1].allSatisfy({ $0 == "0" }), let whole = parts.first,
            let amount = Money.parse(String(whole), exponent: exponent)
        else { return try amount(exponent) }
        return amount
    }
}
