import BERTLV
import EMV
public import ProfileFile
import SmartCard

extension CardProfile {
    /// Reads a card profile (YAML); the format is told in `Profiles/README.md`.
    /// - Throws: `ProfileFileError` with file, line and what was expected.
    public init(_ file: ProfileFile) throws(ProfileFileError) {
        let top = try file.mapping()
        let id = try top.required("id").text(1...40)
        let title = try top.required("title").text(1...80)
        let kind = try top.required("kind").choice(Kind.self)
        let activation = try top.optional("activation").map(ContactlessActivation.read)
        var applications: [ApplicationProfile] = []
        let list = try top.required("applications")
        for place in try list.list() { applications.append(try ApplicationProfile(place)) }
        guard (1...8).contains(applications.count) else {
            throw list.error("expected 1...8 applications, found \(applications.count)")
        }
        var names: Set<[UInt8]> = []
        for application in applications where !names.insert(application.applicationIdentifier).inserted {
            throw list.error("two applications have the AID \(Hex.string(application.applicationIdentifier))")
        }
        let phonePlace = top.optional("phone")
        let phone = try phonePlace.map(PhoneBehaviour.read)
        if let phonePlace, kind == .card { throw phonePlace.error("only a profile of kind phone has this") }
        if phone == nil, kind == .phone { throw file.error("a profile of kind phone needs \"phone\"") }
        let faults = try top.optional("faults").map(CardFaults.read) ?? CardFaults()
        try top.finish()
        self.init(
            id: id, title: title, kind: kind, activation: activation ?? ContactlessActivation(),
            applications: applications, phone: phone, faults: faults)
    }
}

extension Optional where Wrapped == ProfileFile {
    /// `Optional.map` for throwing readers with typed errors.
    func map<Value>(
        _ read: (ProfileFile) throws(ProfileFileError) -> Value
    ) throws(ProfileFileError) -> Value? {
        guard case .some(let place) = self else { return nil }
        return try read(place)
    }
}

extension ProfileFile {
    /// Printable ASCII text of a length.
    func text(_ count: ClosedRange<Int>) throws(ProfileFileError) -> String {
        let text = try string()
        guard count.contains(text.utf8.count), text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw error(
                "expected \(count.lowerBound)...\(count.upperBound) printable ASCII characters, found \"\(text.prefix(50))\""
            )
        }
        return text
    }

    /// Decimal digits of a length, kept as text.
    func digits(_ count: ClosedRange<Int>) throws(ProfileFileError) -> String {
        let text = try string()
        guard count.contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            let wanted =
                count.lowerBound == count.upperBound
                ? "\(count.lowerBound)" : "\(count.lowerBound)...\(count.upperBound)"
            throw error("expected \(wanted) decimal digits, found \"\(text.prefix(50))\"")
        }
        return text
    }

    /// `2031-12` as 3112.
    func yearAndMonth() throws(ProfileFileError) -> Int {
        let parts = try string().split(separator: "-")
        guard parts.count == 2, parts[0].utf8.count == 4, let year = Int(parts[0]),
            let month = Int(parts[1]), (1950...2049).contains(year), (1...12).contains(month)
        else { throw error("expected year and month such as 2031-12, found \"\(try string().prefix(20))\"") }
        return year % 100 * 100 + month
    }

    func numericCode() throws(ProfileFileError) -> NumericCode {
        guard let code = NumericCode(try integer(in: 0...999)) else {
            throw error("expected a three-digit ISO code")
        }
        return code
    }

    func tags() throws(ProfileFileError) -> [Tag] {
        var result: [Tag] = []
        for place in try list() { result.append(try place.tag()) }
        return result
    }
}

extension ContactlessActivation {
    static func read(_ place: ProfileFile) throws(ProfileFileError) -> ContactlessActivation {
        let map = try place.mapping()
        var result = ContactlessActivation()
        let type = try map.required("type")
        guard let modulation = Modulation(rawValue: try type.string()) else {
            throw type.error("expected A or B, found \"\(try type.string().prefix(20))\"")
        }
        result.modulation = modulation
        let uid = try map.required("uid")
        result.identifier = try uid.hex(count: 4...10)
        switch modulation {
        case .typeA:
            guard [4, 7, 10].contains(result.identifier.count) else {
                throw uid.error("expected a UID of 4, 7 or 10 bytes, found \(result.identifier.count)")
            }
            // ATQA's UID size bits (ISO/IEC 14443-3, 6.5.2).
            result.atqa = [
                result.identifier.count == 4 ? 0x04 : result.identifier.count == 7 ? 0x44 : 0x84, 0x00,
            ]
            let historical =
                try map.optional("historical").map { (p) throws(ProfileFileError) in
                    try p.hex(count: 0...15)
                } ?? []
            // TL, T0: TA, TB, TC follow, FSCI 8; 106 kbit/s; FWI 7, SFGI 0; CID supported.
            result.ats = [UInt8(5 + historical.count), 0x78, 0x80, 0x70, 0x02] + historical
        case .typeB:
            guard result.identifier.count == 4 else {
                throw uid.error("expected a PUPI of 4 bytes, found \(result.identifier.count)")
            }
            result.atqa = []
            result.sak = 0
            result.ats =
                try map.optional("protocol").map { (p) throws(ProfileFileError) in
                    try p.hex(count: 7...7)
                } ?? [0x00, 0x00, 0x00, 0x00, 0x80, 0x81, 0x71]
        }
        try map.finish()
        return result
    }
}

extension PhoneBehaviour {
    enum UnlockChoice: String, CaseIterable {
        case always
        case above
        case whenRequired = "when-required"
    }

    static func read(_ place: ProfileFile) throws(ProfileFileError) -> PhoneBehaviour {
        let map = try place.mapping()
        let unlock: Unlock
        switch try map.required("unlock").choice(UnlockChoice.self) {
        case .always: unlock = .always
        case .above:
            unlock = .above(UInt64(try map.required("unlock-above").integer(in: 0...999_999_999_999)))
        case .whenRequired: unlock = .whenRequired
        }
        let express = try map.optional("express-transit").map { (p) throws(ProfileFileError) in try p.bool() }
        let keys = try map.optional("limited-use-keys").map { (p) throws(ProfileFileError) in
            try p.integer(in: 1...1000)
        }
        try map.finish()
        return PhoneBehaviour(unlock: unlock, expressTransit: express ?? false, limitedUseKeys: keys)
    }
}

extension ApplicationProfile {
    init(_ place: ProfileFile) throws(ProfileFileError) {
        let map = try place.mapping()
        let scheme = try map.required("scheme").choice(Scheme.self)
        let aid = try map.required("aid").hex(count: 5...16)
        let label = try map.required("label").text(1...16)
        let numberPlace = try map.required("number")
        guard let number = PrimaryAccountNumber(digits: try numberPlace.digits(8...19)),
            number.hasValidCheckDigit
        else { throw numberPlace.error("expected a card number whose last digit is its check digit") }
        let pdolPlace = try map.required("pdol")
        let pdol = try pdolPlace.hex(count: 0...128)
        do {
            _ = try DataObjectList.entries(pdol, name: 0x9F38)
        } catch { throw pdolPlace.error("expected tags, each with a length byte: \(error)") }
        let authentication =
            try map.optional("authentication").map(AuthenticationProfile.read) ?? AuthenticationProfile()
        let recordsPlace = try map.required("records")
        let records = try RecordProfile.read(recordsPlace)
        self.init(
            scheme: scheme, applicationIdentifier: aid, label: label,
            primaryAccountNumber: number,
            expiry: try map.required("expires").yearAndMonth(),
            country: try map.required("country").numericCode(),
            currency: try map.required("currency").numericCode(),
            interchangeProfile: ApplicationInterchangeProfile(
                rawValue: UInt16(try map.required("interchange-profile").hex(count: 2...2).number)),
            pdol: pdol,
            usageControl: ApplicationUsageControl(
                rawValue: UInt16(try map.required("usage-control").hex(count: 2...2).number)),
            cryptogram: try CryptogramProfile.read(try map.required("cryptogram")),
            authentication: authentication, records: records)
        preferredName = try map.optional("preferred-name").map { (p) throws(ProfileFileError) in
            try p.text(1...16)
        }
        if let place = map.optional("priority") { priority = UInt8(try place.integer(in: 0...15)) }
        if let place = map.optional("kernel") { kernelIdentifier = try place.hex(count: 1...8) }
        if let place = map.optional("sequence-number") {
            sequenceNumber = UInt8(try place.integer(in: 0...99))
        }
        if let place = map.optional("effective") { effective = try place.yearAndMonth() }
        if let place = map.optional("service-code") { serviceCode = try place.integer(in: 0...999) }
        if let place = map.optional("track2-discretionary") {
            // PAN, separator, expiry and service code leave this much of 37 digits.
            track2Discretionary = try place.digits(0...(29 - number.digitCount))
        }
        if let place = map.optional("cardholder") { cardholder = try place.text(2...26) }
        if let place = map.optional("languages") {
            languages = try place.text(2...8)
            guard languages.utf8.count.isMultiple(of: 2) else {
                throw place.error("expected ISO 639 codes of two letters each, found \"\(languages)\"")
            }
        }
        if let place = map.optional("transaction-qualifiers") {
            transactionQualifiers = CardTransactionQualifiers(
                rawValue: UInt16(try place.hex(count: 2...2).number))
        }
        if let place = map.optional("verification") {
            for method in try place.list() { verificationMethods.append(try method.choice()) }
        }
        if let place = map.optional("risk") { risk = try RiskProfile.read(place) }
        if let place = map.optional("form-factor") { formFactor = try place.hex(count: 4...4) }
        if let place = map.optional("payment-account-reference") {
            paymentAccountReference = try place.text(29...29)
        }
        if let place = map.optional("last-four") { lastFour = try place.digits(4...4) }
        if let place = map.optional("token-requestor") { tokenRequestor = try place.digits(11...11) }
        if let place = map.optional("program-identifier") { programIdentifier = try place.hex(count: 1...16) }
        if let place = map.optional("blocked") { blocked = try place.bool() }
        if let place = map.optional("data-storage") {
            guard scheme == .mastercard else {
                throw place.error("data-storage is for mastercard applications")
            }
            let keys = try place.mapping()
            dataStorage = DataStorageProfile(
                slots: try keys.required("slots").integer(in: 1...16),
                size: try keys.required("size").integer(in: 1...160))
            try keys.finish()
        }
        if let place = map.optional("data") {
            for (key, value) in try place.mapping().entries() {
                data.set(try key.tag(), try value.hex(count: 0...200))
            }
        }
        try map.finish()

        // What cannot be made is told here, where the file and line are known.
        let issues = authentication.method != .none
        if issues {
            for (name, which) in [
                (authentication.issuerKey, "issuer-key"), (authentication.cardKey, "card-key"),
            ]
            where TestKeys.shared.rsa[name] == nil {
                let known = TestKeys.shared.rsa.keys.sorted().joined(separator: ", ")
                throw place.error("authentication.\(which): no test key \"\(name)\"; known: \(known)")
            }
            if records.contains(where: { $0.purpose == .authentication }) == false {
                throw recordsPlace.error("offline data authentication needs records \"for: authentication\"")
            }
        }
        guard cryptogram.version.cryptogramVersion(scheme) != nil else {
            throw place.error(
                "cryptogram.version: \(scheme.rawValue) has no version \(cryptogram.version.rawValue)")
        }
        if scheme == .visa, authentication.method == .cda {
            throw place.error("authentication.method: cda is for mastercard applications")
        }
        if scheme == .mastercard, authentication.method != .none, authentication.method != .cda {
            throw place.error("authentication.method: mastercard applications have none or cda")
        }
        guard TestKeys.shared.masterKeys[cryptogram.keySet] != nil else {
            let known = TestKeys.shared.masterKeys.keys.sorted().joined(separator: ", ")
            throw place.error("cryptogram.keys: no key set \"\(cryptogram.keySet)\"; known: \(known)")
        }
        for record in records {
            for tag in record.tags where !PersonalisationData.canSupply(tag, to: self) {
                throw recordsPlace.error(
                    "record \(record.number) of SFI \(record.sfi) lists \(tag), which the profile does not give (see \"data\")"
                )
            }
        }
    }
}

extension CryptogramProfile {
    static func read(_ place: ProfileFile) throws(ProfileFileError) -> CryptogramProfile {
        let map = try place.mapping()
        let versionPlace = try map.required("version")
        guard let version = Version(rawValue: try versionPlace.integer(in: 0...255)) else {
            throw versionPlace.error("expected 10, 16, 17, 18, 20 or 21, found \(try versionPlace.string())")
        }
        let keys = try map.required("keys").text(1...40)
        let index = try map.optional("derivation-index").map { (p) throws(ProfileFileError) in
            UInt8(try p.integer(in: 0...255))
        }
        try map.finish()
        return CryptogramProfile(version: version, keySet: keys, derivationKeyIndex: index ?? 1)
    }
}

extension AuthenticationProfile {
    static func read(_ place: ProfileFile) throws(ProfileFileError) -> AuthenticationProfile {
        let map = try place.mapping()
        var result = AuthenticationProfile(method: try map.required("method").choice(Method.self))
        if let place = map.optional("issuer-key") { result.issuerKey = try place.text(1...40) }
        if let place = map.optional("card-key") { result.cardKey = try place.text(1...40) }
        if let place = map.optional("tamper") { result.tampering = try place.choice() }
        if let place = map.optional("tampered-byte") { result.tamperedByte = try place.integer(in: 0...247) }
        try map.finish()
        return result
    }
}

extension RiskProfile {
    static func read(_ place: ProfileFile) throws(ProfileFileError) -> RiskProfile {
        let map = try place.mapping()
        var result = RiskProfile(decision: try map.required("decision").choice(Decision.self))
        let greatest = 999_999_999_999
        if let place = map.optional("single-limit") {
            result.singleLimit = UInt64(try place.integer(in: 0...greatest))
        }
        if let place = map.optional("cumulative-limit") {
            result.cumulativeLimit = UInt64(try place.integer(in: 0...greatest))
        }
        if let place = map.optional("consecutive-limit") {
            result.consecutiveLimit = UInt8(try place.integer(in: 0...255))
        }
        if let place = map.optional("reports-available-amount") {
            result.reportsAvailableAmount = try place.bool()
        }
        if let place = map.optional("switches-interface") { result.switchesInterface = try place.bool() }
        if let place = map.optional("transaction-counter-limit") {
            result.transactionCounterLimit = UInt16(try place.integer(in: 1...0xFFFF))
        }
        if let place = map.optional("pin-tries") { result.pinTries = UInt8(try place.integer(in: 0...15)) }
        try map.finish()
        return result
    }
}

extension RecordProfile {
    static func read(_ place: ProfileFile) throws(ProfileFileError) -> [RecordProfile] {
        var result: [RecordProfile] = []
        for place in try place.list() {
            let map = try place.mapping()
            let record = RecordProfile(
                sfi: UInt8(try map.required("sfi").integer(in: 1...10)),
                number: UInt8(try map.required("record").integer(in: 1...16)),
                purpose: try map.optional("for").map { (p) throws(ProfileFileError) in
                    try p.choice(Purpose.self)
                } ?? .always,
                signed: try map.optional("signed").map { (p) throws(ProfileFileError) in try p.bool() }
                    ?? false,
                tags: try map.required("tags").tags())
            try map.finish()
            if let last = result.last(where: { $0.sfi == record.sfi }) {
                guard record.number == last.number + 1, result.last?.sfi == record.sfi else {
                    throw place.error(
                        "expected the records of SFI \(record.sfi) one after the other, numbered upwards")
                }
                // An AFL entry counts its authenticated records from its first one (Book 3, 10.2).
                if record.signed, !last.signed, record.purpose == last.purpose {
                    throw place.error("expected signed records before the unsigned ones of SFI \(record.sfi)")
                }
            } else if record.number != 1 {
                throw place.error("expected record 1 of SFI \(record.sfi) first")
            }
            if record.signed, record.tags.contains(0x9F69) {
                throw place.error("9F69 changes with each transaction and cannot be signed")
            }
            result.append(record)
        }
        return result
    }
}

extension CardFaults {
    static func read(_ place: ProfileFile) throws(ProfileFileError) -> CardFaults {
        let map = try place.mapping()
        var result = CardFaults()
        func instruction(_ place: ProfileFile) throws(ProfileFileError) -> UInt8 {
            try place.hex(count: 1...1)[0]
        }
        if let place = map.optional("status-words") {
            for (key, value) in try place.mapping().entries() {
                let word = try value.hex(count: 2...2)
                result.statusWords[try instruction(key)] = StatusWord(sw1: word[0], sw2: word[1])
            }
        }
        if let place = map.optional("silent") {
            for command in try place.list() { result.silent.insert(try instruction(command)) }
        }
        if let place = map.optional("omitted") { result.omitted = Set(try place.tags()) }
        if let place = map.optional("duplicated") { result.duplicated = Set(try place.tags()) }
        try map.finish()
        return result
    }
}

extension [UInt8] {
    /// The big-endian number of up to eight bytes.
    var number: UInt64 { reduce(0) { $0 << 8 | UInt64($1) } }
}
