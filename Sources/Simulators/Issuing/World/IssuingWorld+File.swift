internal import EMV
internal import EMVCryptography
internal import EMVDictionary
public import ProfileFile

extension IssuingWorld {
    /// The built-in test world, `Worlds/test-world.yaml`.
    public static let test: IssuingWorld = {
        do {
            return try IssuingWorld(ProfileFile(file: "test-world.yaml", text: testText))
        } catch {
            // The file is compiled in: this cannot depend on anything outside.
            fatalError("\(error)")
        }
    }()

    /// The text of the built-in test world.
    package static var testText: String {
        String(decoding: PackageResources.test_world_yaml, as: UTF8.self)
    }

    /// Reads a world from a file like the built-in `Worlds/test-world.yaml`, which explains its keys.
    /// - Throws: `ProfileFileError` with file, line and what was expected.
    public init(_ file: ProfileFile) throws(ProfileFileError) {
        let top = try file.mapping()
        let rates = try top.optional("rates").items { (place) throws(ProfileFileError) in
            try ExchangeRate(place)
        }
        for (key, value) in try top.optional("exponents")?.mapping().entries() ?? [] {
            try value.checkExponent(of: try key.numericCode())
        }
        let issuers = try top.required("issuers").items { (place) throws(ProfileFileError) in
            try Issuer(place)
        }
        let accounts = try top.required("accounts").items { (place) throws(ProfileFileError) in
            try Account(place)
        }
        let cards = try top.required("cards").items { (place) throws(ProfileFileError) in try Card(place) }
        let tokens = try top.optional("tokens").items { (place) throws(ProfileFileError) in try Token(place) }
        try top.finish()
        self.init(
            issuers: issuers, accounts: accounts, cards: cards, tokens: tokens, rates: rates)
        do throws(IssuingWorldError) { try validate() } catch { throw file.error("\(error)") }
    }
}

extension ProfileFile {
    fileprivate func items<Value>(
        _ read: (ProfileFile) throws(ProfileFileError) -> Value
    ) throws(ProfileFileError) -> [Value] {
        var values: [Value] = []
        for place in try list() { values.append(try read(place)) }
        return values
    }

    fileprivate func numericCode() throws(ProfileFileError) -> NumericCode {
        guard let code = NumericCode(try integer(in: 0...999)) else {
            throw error("expected a three-digit ISO code")
        }
        return code
    }

    /// Decimals follow the currency: where a file gives them, they are the currency's.
    fileprivate func checkExponent(of currency: NumericCode) throws(ProfileFileError) {
        let digits = CodeTable.minorUnits(of: currency)
        guard try integer(in: 0...4) == Int(digits) else {
            throw error("amounts in currency \(currency) have \(digits) decimals (ISO 4217)")
        }
    }

    fileprivate func digits(_ count: ClosedRange<Int>) throws(ProfileFileError) -> String {
        let text = try string()
        guard count.contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw error("expected \(count.lowerBound)...\(count.upperBound) decimal digits")
        }
        return text
    }

    fileprivate func number() throws(ProfileFileError) -> PrimaryAccountNumber {
        // The text itself is not repeated: it may be a card number with a slip in it.
        guard let number = PrimaryAccountNumber(digits: try string()) else {
            throw error("expected a card number of 8...19 digits")
        }
        return number
    }

    fileprivate func key() throws(ProfileFileError) -> SecretKey {
        let text = try string()
        guard let key = SecretKey(hex: text), key.count == 16 else {
            throw error("expected a key of 16 bytes as 32 hexadecimal digits")
        }
        return key
    }

    /// `2031-12` as 3112.
    fileprivate func expiry() throws(ProfileFileError) -> Int {
        let parts = try string().split(separator: "-")
        guard parts.count == 2, parts[0].utf8.count == 4, let year = Int(parts[0]), let month = Int(parts[1]),
            EMVDate(year: year, month: month, day: 1) != nil
        else { throw error("expected year and month such as 2031-12") }
        return year % 100 * 100 + month
    }

    fileprivate func minorUnits() throws(ProfileFileError) -> UInt64 {
        UInt64(try integer(in: 0...Int(Amount.greatest)))
    }

    fileprivate func responseCode() throws(ProfileFileError) -> IssuerResponseCode {
        guard let code = IssuerResponseCode(rawValue: try string()) else {
            let known = IssuerResponseCode.allCases.map(\.rawValue).joined(separator: ", ")
            throw error("expected a response code in quotes, one of \(known)")
        }
        return code
    }

    fileprivate func mask(_ count: Int) throws(ProfileFileError) -> UInt64 {
        try hex(count: count...count).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension Optional where Wrapped == ProfileFile {
    fileprivate func items<Value>(
        _ read: (ProfileFile) throws(ProfileFileError) -> Value
    ) throws(ProfileFileError) -> [Value] {
        guard case .some(let place) = self else { return [] }
        return try place.items(read)
    }

    fileprivate func read<Value>(
        _ read: (ProfileFile) throws(ProfileFileError) -> Value
    ) throws(ProfileFileError) -> Value? {
        guard case .some(let place) = self else { return nil }
        return try read(place)
    }
}

extension ExchangeRate {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        let from = try map.required("from").numericCode()
        let to = try map.required("to").numericCode()
        let rate = try map.required("rate")
        try map.finish()
        guard let value = ExchangeRate(from: from, to: to, rate: try rate.string()) else {
            throw rate.error("expected a decimal number such as 7.80, up to nine digits on each side")
        }
        self = value
    }
}

/// Names of cryptogram versions in world files.
enum CryptogramVersionName: String, CaseIterable {
    case visaCVN10 = "visa-cvn10"
    case visaCVN17 = "visa-cvn17"
    case visaCVN18 = "visa-cvn18"
    case visaCVN22 = "visa-cvn22"
    case mChipCVN16 = "mchip-cvn16"
    case mChipCVN17 = "mchip-cvn17"
    case mChipCVN20 = "mchip-cvn20"
    case mChipCVN21 = "mchip-cvn21"

    var version: CryptogramVersion {
        switch self {
        case .visaCVN10: .visaCVN10
        case .visaCVN17: .visaCVN17
        case .visaCVN18: .visaCVN18
        case .visaCVN22: .visaCVN22
        case .mChipCVN16: .mChipCVN16
        case .mChipCVN17: .mChipCVN17
        case .mChipCVN20: .mChipCVN20
        case .mChipCVN21: .mChipCVN21
        }
    }
}

private enum DerivationName: String, CaseIterable {
    case optionA = "option-a"
    case optionB = "option-b"
}

extension IssuingWorld.Issuer {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        let id = try map.required("id").string()
        let name = try map.optional("name").read { (p) throws(ProfileFileError) in try p.string() }
        let status = try map.optional("status").read { (p) throws(ProfileFileError) in
            try p.choice(Status.self)
        }
        func prefix(_ p: ProfileFile) throws(ProfileFileError) -> String { try p.digits(1...19) }
        let prefixes = try map.required("prefixes").items(prefix)
        let tokenPrefixes = try map.optional("token_prefixes").items(prefix)
        let versions = try map.required("cryptograms").items { (p) throws(ProfileFileError) in
            try p.choice(CryptogramVersionName.self).version
        }
        let keys = try map.required("keys").items { (p) throws(ProfileFileError) in
            try IssuingWorld.MasterKeys(p)
        }
        let entry = try map.optional("entry").items { (p) throws(ProfileFileError) in
            try p.choice(EntryMode.self)
        }
        let window = try map.optional("counter_window").read { (p) throws(ProfileFileError) in
            UInt16(try p.integer(in: 0...63))
        }
        let gap = try map.optional("counter_gap").read { (p) throws(ProfileFileError) in
            UInt16(try p.integer(in: 1...65535))
        }
        let refusals = try map.optional("refuse").items { (p) throws(ProfileFileError) in
            try IssuingWorld.RefusalRule(p)
        }
        try map.finish()
        self.init(
            id: id, name: name ?? id, status: status ?? .available, prefixes: prefixes,
            tokenPrefixes: tokenPrefixes, keys: keys, cryptogramVersions: versions,
            entryModes: entry.isEmpty ? [.contactlessChip, .contactChip] : Set(entry),
            counterWindow: window ?? 32, counterGap: gap ?? 100, refusals: refusals)
    }
}

extension IssuingWorld.MasterKeys {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        let index = UInt8(try map.required("derivation_index").integer(in: 0...255))
        let derivation = try map.optional("derivation").read { (p) throws(ProfileFileError) in
            try p.choice(DerivationName.self)
        }
        let cryptogram = try map.required("application_cryptogram").key()
        let integrity = try map.required("script_integrity").key()
        let confidentiality = try map.required("script_confidentiality").key()
        let code = try map.optional("cvc3").read { (p) throws(ProfileFileError) in try p.key() }
        try map.finish()
        self.init(
            derivationKeyIndex: index, derivation: derivation == .optionB ? .optionB : .optionA,
            applicationCryptogram: cryptogram, scriptIntegrity: integrity,
            scriptConfidentiality: confidentiality, cardVerificationCode: code)
    }
}

extension IssuingWorld.RefusalRule {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        let terminal = try map.optional("tvr").items { (p) throws(ProfileFileError) in
            TerminalVerificationResults(rawValue: try p.mask(5))
        }
        let card = try map.optional("cvr").items { (p) throws(ProfileFileError) in
            UInt32(truncatingIfNeeded: try p.mask(3))
        }
        let code = try map.required("code").responseCode()
        let reason = try map.required("reason").string()
        try map.finish()
        guard !terminal.isEmpty || !card.isEmpty else { throw place.error("expected \"tvr\" or \"cvr\"") }
        guard !code.isApproval else { throw place.error("\(code.rawValue) is an approval") }
        self.init(
            terminalVerificationResults: terminal, cardVerificationResults: card, code: code, reason: reason)
    }
}

extension IssuingWorld.Account {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        func amount(_ key: String) throws(ProfileFileError) -> UInt64? {
            try map.optional(key).read { (p) throws(ProfileFileError) in try p.minorUnits() }
        }
        let id = try map.required("id").string()
        let kind = try map.required("kind").choice(Kind.self)
        let currency = try map.required("currency").numericCode()
        try map.optional("exponent")?.checkExponent(of: currency)
        let balance = try amount("balance")
        let credit = try amount("credit_limit")
        if credit != nil, kind == .storedValue {
            throw place.error("a stored-value account has no credit limit")
        }
        let status = try map.optional("status").read { (p) throws(ProfileFileError) in
            try p.choice(IssuingWorld.Status.self)
        }
        let single = try amount("single_limit")
        let daily = try amount("daily_limit")
        let count = try map.optional("daily_count").read { (p) throws(ProfileFileError) in
            try p.integer(in: 0...1_000_000)
        }
        try map.finish()
        self.init(
            id: id, kind: kind, currency: currency, balance: balance ?? 0,
            creditLimit: credit ?? 0, status: status ?? .active, singleLimit: single, dailyLimit: daily,
            dailyCount: count)
    }
}

extension IssuingWorld.Card {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        let id = try map.required("id").string()
        let number = try map.required("number").number()
        let sequence = UInt8(try map.required("sequence").integer(in: 0...99))
        let expiry = try map.required("expires").expiry()
        let account = try map.required("account").string()
        let status = try map.optional("status").read { (p) throws(ProfileFileError) in
            try p.choice(IssuingWorld.Status.self)
        }
        let version = try map.optional("cryptogram").read { (p) throws(ProfileFileError) in
            try p.choice(CryptogramVersionName.self).version
        }
        let scripts = try map.optional("scripts").items { (p) throws(ProfileFileError) in
            try ScriptProfile(p)
        }
        let magStripe = try map.optional("mag_stripe").read { (p) throws(ProfileFileError) in
            try IssuingWorld.MagStripeLayout(p)
        }
        try map.finish()
        self.init(
            id: id, number: number, sequence: sequence, expiry: expiry, account: account,
            status: status ?? .active, cryptogramVersion: version, scripts: scripts, magStripe: magStripe)
    }
}

extension IssuingWorld.MagStripeLayout {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        func bitmap(_ key: String) throws(ProfileFileError) -> UInt64 {
            try map.required(key).hex(count: 1...6).reduce(0) { $0 << 8 | UInt64($1) }
        }
        let checksum = try bitmap("pcvc3")
        let mixed = try bitmap("punatc")
        let counter = try map.required("natc")
        let digits = try counter.integer(in: 0...5)
        guard digits <= mixed.nonzeroBitCount else {
            throw counter.error("\(digits) digits of the counter do not fit into punatc")
        }
        try map.finish()
        self.init(checksumPositions: checksum, numberAndCounterPositions: mixed, counterDigits: digits)
    }
}

extension IssuingWorld.Token {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        let id = try map.required("id").string()
        let number = try map.required("number").number()
        let sequence = UInt8(try map.required("sequence").integer(in: 0...99))
        let expiry = try map.required("expires").expiry()
        let account = try map.required("account").string()
        let card = try map.optional("card").read { (p) throws(ProfileFileError) in try p.string() }
        let requestor = try map.required("requestor").digits(11...11)
        let status = try map.optional("status").read { (p) throws(ProfileFileError) in
            try p.choice(Status.self)
        }
        let entry = try map.optional("entry").items { (p) throws(ProfileFileError) in
            try p.choice(EntryMode.self)
        }
        let version = try map.optional("cryptogram").read { (p) throws(ProfileFileError) in
            try p.choice(CryptogramVersionName.self).version
        }
        let scripts = try map.optional("scripts").items { (p) throws(ProfileFileError) in
            try ScriptProfile(p)
        }
        try map.finish()
        self.init(
            id: id, number: number, sequence: sequence, expiry: expiry, account: account, card: card,
            requestor: requestor, status: status ?? .active,
            entryModes: entry.isEmpty ? [.contactlessChip] : Set(entry), cryptogramVersion: version,
            scripts: scripts)
    }
}

extension ScriptProfile {
    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        let id = try map.required("id").string()
        let when = try map.optional("when").read { (p) throws(ProfileFileError) in try p.choice(When.self) }
        let until = try map.optional("until").read { (p) throws(ProfileFileError) in
            try p.choice(Until.self)
        }
        let template = try map.optional("template").read { (p) throws(ProfileFileError) -> Template in
            switch try p.string() {
            case "71": return .template71
            case "72": return .template72
            default: throw p.error("expected 71 or 72")
            }
        }
        let identifier = try map.optional("identifier").read { (p) throws(ProfileFileError) in
            try p.hex(count: 4...4)
        }
        let commands = try map.required("commands").items { (p) throws(ProfileFileError) in
            try ScriptCommand(p)
        }
        try map.finish()
        self.init(
            id: id, when: when ?? .always, until: until ?? .confirmed, template: template ?? .template72,
            identifier: identifier, commands: commands)
        // EMV Book 3, 10.10: at most 128 bytes of scripts are sure to reach the card.
        guard ScriptBuilder.length(of: self) <= 128 else {
            throw place.error("the script is longer than 128 bytes")
        }
    }
}

extension ScriptCommand {
    private enum Name: String, CaseIterable {
        case applicationBlock = "application-block"
        case applicationUnblock = "application-unblock"
        case cardBlock = "card-block"
        case pinUnblock = "pin-unblock"
    }

    fileprivate init(_ place: ProfileFile) throws(ProfileFileError) {
        if case .some(let name) = try? place.choice(Name.self) {
            switch name {
            case .applicationBlock: self = .applicationBlock
            case .applicationUnblock: self = .applicationUnblock
            case .cardBlock: self = .cardBlock
            case .pinUnblock: self = .pinUnblock
            }
            return
        }
        let map: ProfileMapping
        do {
            map = try place.mapping()
        } catch {
            let names = Name.allCases.map(\.rawValue).joined(separator: ", ")
            throw place.error("expected one of \(names), or put_data or update_record with a value")
        }
        if let tag = map.optional("put_data") {
            let bytes = try tag.hex(count: 2...2)
            let value = try map.required("value").hex(count: 1...Self.longestData)
            self = .putData(tag: UInt16(bytes[0]) << 8 | UInt16(bytes[1]), value: value)
        } else {
            let record = UInt8(try map.required("update_record").integer(in: 1...255))
            let file = UInt8(try map.required("file").integer(in: 1...30))
            let value = try map.required("value").hex(count: 1...Self.longestData)
            self = .updateRecord(shortFileIdentifier: file, record: record, value: value)
        }
        try map.finish()
    }
}
