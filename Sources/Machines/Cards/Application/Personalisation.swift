import BERTLV
import EMV
import EMVCryptography
import SmartCard

/// An application ready to answer: everything that does not change from one transaction to the next is built
/// here, once.
struct Personalisation: Sendable {
    struct Record: Sendable {
        let sfi: UInt8
        let number: UInt8
        /// Template 70 and status word 9000. Of the dynamic record, the part that does not change.
        var response: [UInt8]
    }

    let profile: ApplicationProfile
    let faults: CardFaults
    /// FCI template and 9000.
    let selectResponse: [UInt8]
    /// Directory Entry (61) for the PPSE.
    let directoryEntry: [UInt8]
    let records: [Record]
    /// The record that carries 9F69, and 9F4B where it does not fit GPO: index in `records`, and the
    /// encoding of its unchanging data objects.
    let dynamicRecord: (index: Int, fixed: [UInt8])?
    /// AFL with and without the records for offline data authentication.
    let locatorWithAuthentication: [UInt8]
    let locator: [UInt8]
    /// GPO data objects that do not change: 57, 5F34 and 9F6E, unless the profile has them in a record.
    let fixedAnswer: [UInt8]
    let options: ProcessingOptions
    let keys: CardKeys
    let cardKey: RSAPrivateKey?
    /// 9F4B is in the GPO answer, as the modulus has 1024 bits at most; else in the dynamic record.
    let signatureInAnswer: Bool

    init(_ profile: ApplicationProfile, faults: CardFaults) throws(PersonalisationError) {
        self.profile = profile
        self.faults = faults
        options = try ProcessingOptions(profile.pdol)
        keys = try CardKeys(profile)
        selectResponse = try Self.response(Self.fileControlInformation(profile), "the FCI")

        var entry = BERTLVWriter()
        entry.template(0x61) {
            $0.append(0x4F, profile.applicationIdentifier)
            $0.append(0x50, profile.label.utf8)
            if profile.priority > 0 { $0.append(0x87, [profile.priority]) }
            if let kernel = profile.kernelIdentifier { $0.append(0x9F2A, kernel) }
        }
        directoryEntry = entry.bytes

        var answer = FaultyWriter(faults: faults)
        for tag: Tag in [0x57, 0x5F34, 0x9F6E]
        where !profile.records.contains(where: { $0.tags.contains(tag) }) {
            if let value = PersonalisationData.value(tag, of: profile) { answer.append(tag, value) }
        }
        fixedAnswer = answer.bytes

        let authentication = profile.authentication
        var certificates = DataObjects()
        if authentication.method != .none {
            let index = TestCertificationAuthority.keyIndex
            certificates.set(0x8F, [authentication.tampering == .authorityIndex ? index ^ 0xFF : index])
            certificates.set(0x9F4A, [0x82])
            let issuer = try TestCertificationAuthority.issuerCertificate(
                issuerKey: authentication.issuerKey, rid: Array(profile.applicationIdentifier.prefix(5)),
                pan: profile.primaryAccountNumber)
            certificates.set(0x90, Self.spoilt(issuer.certificate, authentication, .issuerCertificate))
            if !issuer.remainder.isEmpty { certificates.set(0x92, issuer.remainder) }
            certificates.set(0x9F32, issuer.exponent)
            let key = try TestKeys.shared.privateKey(authentication.cardKey)
            cardKey = key
            signatureInAnswer = key.byteCount <= 128
        } else {
            cardKey = nil
            signatureInAnswer = true
        }

        // The card's certificate is over the signed records in AFL order and the AIP (EMV Book 3, 10.3).
        // Signed records therefore hold neither that certificate nor what changes with each transaction.
        var contents: [[UInt8]] = []
        var staticData: [UInt8] = []
        for record in profile.records {
            var content = FaultyWriter(faults: faults)
            for tag in record.tags where !Self.afterSigning.contains(tag) {
                if let value = certificates[tag] ?? PersonalisationData.value(tag, of: profile)?[...] {
                    content.append(tag, Array(value))
                } else if tag != 0x92 {
                    throw .missingData(tag: tag.rawValue, sfi: record.sfi, record: record.number)
                }
            }
            if record.signed {
                guard !record.tags.contains(where: Self.afterSigning.contains) else {
                    throw .malformed(
                        "record \(record.number) of SFI \(record.sfi) is signed and lists what comes after signing"
                    )
                }
                staticData += content.bytes
            }
            contents.append(content.bytes)
        }
        staticData += profile.interchangeProfile.rawValue.bytes
        if authentication.method != .none {
            let card = try TestCertificationAuthority.cardCertificate(
                cardKey: authentication.cardKey, issuerKey: authentication.issuerKey,
                pan: profile.primaryAccountNumber, expiry: profile.expiry, staticData: staticData)
            certificates.set(0x9F46, Self.spoilt(card.certificate, authentication, .cardCertificate))
            certificates.set(0x9F47, card.exponent)
            if !card.remainder.isEmpty { certificates.set(0x9F48, card.remainder) }
        }
        var records: [Record] = []
        var dynamic: (index: Int, fixed: [UInt8])?
        let firstSigned = profile.records.firstIndex(where: \.signed)
        for (index, record) in profile.records.enumerated() {
            var rest = FaultyWriter(faults: faults)
            for tag in record.tags where Self.afterSigning.contains(tag) {
                if let value = certificates[tag] { rest.append(tag, Array(value)) }
            }
            var content = contents[index] + rest.bytes
            if authentication.tampering == .staticData, index == firstSigned, !content.isEmpty {
                // Of a record's bytes only the last is surely part of a value.
                content[content.count - 1] ^= 0x01
            }
            if record.tags.contains(where: PersonalisationData.dynamicTags.contains) {
                guard dynamic == nil else { throw .malformed("two records list 9F69 or 9F4B") }
                dynamic = (index, content)
            }
            var template = BERTLVWriter()
            template.append(0x70, content)
            records.append(
                Record(
                    sfi: record.sfi, number: record.number,
                    response: try Self.response(
                        template.bytes, "record \(record.number) of SFI \(record.sfi)")))
        }
        if !signatureInAnswer {
            guard let dynamic else {
                throw .malformed("a card key of more than 1024 bits needs a record that lists 9F69 or 9F4B")
            }
            // 9F69 (10 bytes), 9F4B with tag and length, template header.
            let count = dynamic.fixed.count + 10 + 4 + (cardKey?.byteCount ?? 0) + 3
            guard count <= 256 else { throw .tooLong(what: "the record that holds 9F4B", count: count) }
        }
        self.records = records
        dynamicRecord = dynamic
        locatorWithAuthentication = Self.locator(profile.records)
        locator = Self.locator(profile.records.filter { $0.purpose == .always })
    }

    /// Tags that exist only after the signed records do.
    private static let afterSigning: Set<Tag> = [0x9F46, 0x9F47, 0x9F48, 0x9F69, 0x9F4B]

    /// FCI of the ADF (EMV Book 1, 11.3.4; Book B, 3.3).
    private static func fileControlInformation(_ profile: ApplicationProfile) -> [UInt8] {
        var fci = BERTLVWriter()
        fci.template(0x6F) {
            $0.append(0x84, profile.applicationIdentifier)
            $0.template(0xA5) {
                $0.append(0x50, profile.label.utf8)
                if profile.priority > 0 { $0.append(0x87, [profile.priority]) }
                if !profile.pdol.isEmpty { $0.append(0x9F38, profile.pdol) }
                $0.append(0x5F2D, profile.languages.utf8)
                if let name = profile.preferredName {
                    $0.append(0x9F11, [0x01])
                    $0.append(0x9F12, name.utf8)
                }
                $0.template(0xBF0C) {
                    $0.append(0x9F4D, [TransactionLog.fileIdentifier, TransactionLog.capacity])
                    if let identifier = profile.programIdentifier { $0.append(0x9F5A, identifier) }
                    if profile.scheme == .mastercard, let capabilities = profile.data[0x9F5D] {
                        $0.append(0x9F5D, capabilities)
                    }
                    if profile.dataStorage != nil {
                        $0.append(0x9F5E, DataStorageOptions.identifier(profile))
                    }
                }
            }
        }
        return fci.bytes
    }

    private static func response(_ data: [UInt8], _ what: String) throws(PersonalisationError) -> [UInt8] {
        guard data.count <= 256 else { throw .tooLong(what: what, count: data.count) }
        return data + [0x90, 0x00]
    }

    static func spoilt(
        _ bytes: [UInt8], _ profile: AuthenticationProfile, _ what: AuthenticationProfile.Tampering
    ) -> [UInt8] {
        guard profile.tampering == what, !bytes.isEmpty else { return bytes }
        var result = bytes
        result[max(0, min(profile.tamperedByte, bytes.count - 1))] ^= 0x01
        return result
    }

    /// The AFL of some records (EMV Book 3, 10.2): one entry for each SFI.
    static func locator(_ records: [RecordProfile]) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < records.count {
            let first = records[index]
            var last = first.number
            var signed: UInt8 = first.signed ? 1 : 0
            index += 1
            while index < records.count, records[index].sfi == first.sfi, records[index].number == last &+ 1 {
                last = records[index].number
                if records[index].signed { signed += 1 }
                index += 1
            }
            result += [first.sfi << 3, first.number, last, signed]
        }
        return result
    }
}

/// Where the card finds what it needs in the PDOL data: each with its offset.
struct ProcessingOptions: Sendable {
    /// Bytes that the terminal has to send.
    let count: Int
    let qualifiers: Int?
    let amount: Int?
    let amountOther: Int?
    let country: Int?
    let verificationResults: Int?
    let currency: Int?
    let date: Int?
    let type: Int?
    let unpredictableNumber: Int?

    init(_ pdol: [UInt8]) throws(PersonalisationError) {
        let entries: [DataObjectList.Entry]
        do throws(DataFormatError) {
            entries = try DataObjectList.entries(pdol, name: 0x9F38)
        } catch { throw .malformed("\(error)") }
        var offsets: [UInt32: Int] = [:]
        var offset = 0
        let lengths: [UInt32: Int] = [
            0x9F66: 4, 0x9F02: 6, 0x9F03: 6, 0x9F1A: 2, 0x95: 5, 0x5F2A: 2, 0x9A: 3, 0x9C: 1, 0x9F37: 4,
        ]
        for entry in entries {
            if let length = lengths[entry.tag.rawValue] {
                guard entry.length == length else {
                    throw .malformed(
                        "the PDOL wants \(entry.tag) with \(entry.length) bytes; it has \(length)")
                }
                offsets[entry.tag.rawValue] = offset
            }
            offset += entry.length
        }
        guard offset <= 250 else { throw .malformed("the PDOL wants \(offset) bytes; a GPO takes 250") }
        count = offset
        qualifiers = offsets[0x9F66]
        amount = offsets[0x9F02]
        amountOther = offsets[0x9F03]
        country = offsets[0x9F1A]
        verificationResults = offsets[0x95]
        currency = offsets[0x5F2A]
        date = offsets[0x9A]
        type = offsets[0x9C]
        unpredictableNumber = offsets[0x9F37]
    }
}
