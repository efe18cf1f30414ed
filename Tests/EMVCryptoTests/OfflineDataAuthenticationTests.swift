import BERTLV
import TestTools
import Testing

@testable import EMV
@testable import EMVCryptography
@testable import EMVCryptography
@testable import EMVCryptography
@testable import EMVCryptography
@testable import EMVCryptography
@testable import EMVCryptography

typealias ODAError = OfflineDataAuthenticationError

func day(_ year: Int, _ month: Int = 1, _ day: Int = 1) -> EMVDate {
    EMVDate(year: year, month: month, day: day)!
}

@Suite struct PublishedCertificates {
    let visa = try! CertificationAuthorityPublicKey(
        rid: VisaTestVectors.rid, index: VisaTestVectors.index, modulus: VisaTestVectors.modulus,
        exponent: [3], checksum: VisaTestVectors.checksum)
    let mastercard = try! CertificationAuthorityPublicKey(
        rid: MastercardTestVectors.rid, index: MastercardTestVectors.index,
        modulus: MastercardTestVectors.modulus, exponent: [3], checksum: MastercardTestVectors.checksum)

    @Test func issuerKeyOfVisaTestCard() throws {
        let issuer = try visa.recoverIssuerPublicKey(
            from: PublicKeyCertificate(certificate: VisaTestVectors.issuerCertificate, exponent: [3]),
            pan: VisaTestVectors.pan, on: day(2031, 12, 31))
        #expect(issuer.issuerIdentifier == [0x47, 0x61, 0x73, 0xFF])
        #expect(issuer.expiry == 203112)
        #expect(issuer.serialNumber == 0x03DA0A)
        #expect(issuer.key.byteCount == 176)
    }

    @Test func issuerCertificateExpires() {
        #expect(throws: ODAError(.issuerPublicKey, .expired(203112))) {
            try visa.recoverIssuerPublicKey(
                from: PublicKeyCertificate(certificate: VisaTestVectors.issuerCertificate, exponent: [3]),
                pan: VisaTestVectors.pan, on: day(2032, 1, 1))
        }
    }

    @Test func issuerCertificateRevoked() {
        let list = CertificateRevocationList([
            .init(rid: visa.rid, index: visa.index, serialNumber: 0x03DA0A)
        ])
        #expect(throws: ODAError(.issuerPublicKey, .revoked(serialNumber: 0x03DA0A))) {
            try visa.recoverIssuerPublicKey(
                from: PublicKeyCertificate(certificate: VisaTestVectors.issuerCertificate, exponent: [3]),
                pan: VisaTestVectors.pan, on: day(2022), revocations: list)
        }
    }

    @Test func issuerCertificateOfAnotherPAN() {
        #expect(throws: ODAError(.issuerPublicKey, .issuerIdentifier)) {
            try visa.recoverIssuerPublicKey(
                from: PublicKeyCertificate(certificate: VisaTestVectors.issuerCertificate, exponent: [3]),
                pan: MastercardTestVectors.pan, on: day(2022))
        }
    }

    @Test func wrongExponentFailsTheHash() {
        #expect(throws: ODAError(.issuerPublicKey, .hash)) {
            try visa.recoverIssuerPublicKey(
                from: PublicKeyCertificate(
                    certificate: VisaTestVectors.issuerCertificate, exponent: [1, 0, 1]),
                pan: VisaTestVectors.pan, on: day(2022))
        }
    }

    /// The static data of this card are not published: its certificate must fail by the hash alone.
    @Test func staticDataAreCovered() throws {
        let issuer = try visa.recoverIssuerPublicKey(
            from: PublicKeyCertificate(certificate: VisaTestVectors.issuerCertificate, exponent: [3]),
            pan: VisaTestVectors.pan, on: day(2022))
        #expect(throws: ODAError(.iccPublicKey, .hash)) {
            try issuer.recoverICCPublicKey(
                from: PublicKeyCertificate(
                    certificate: VisaTestVectors.iccCertificate, remainder: VisaTestVectors.iccRemainder,
                    exponent: [3]), pan: VisaTestVectors.pan, on: day(2022), staticData: [UInt8]())
        }
        #expect(throws: ODAError(.signedStaticApplicationData, .hash)) {
            try issuer.verifySignedStaticApplicationData(
                VisaTestVectors.signedStaticData, staticData: [UInt8]())
        }
    }

    @Test func dynamicDataOfVisaTestCard() throws {
        let icc = try iccKey(
            visa, VisaTestVectors.issuerCertificate, VisaTestVectors.iccCertificate,
            VisaTestVectors.iccRemainder, VisaTestVectors.pan)
        let dynamic = try icc.verifySignedDynamicApplicationData(
            VisaTestVectors.signedDynamicData,
            terminalDynamicData: VisaTestVectors.unpredictableNumber)
        #expect(dynamic.iccDynamicNumber == [0x00, 0xAE])
        #expect(throws: ODAError(.signedDynamicApplicationData, .hash)) {
            try icc.verifySignedDynamicApplicationData(
                VisaTestVectors.signedDynamicData, terminalDynamicData: [0, 0, 0, 0])
        }
    }

    @Test func combinedDataOfMastercardTestCard() throws {
        let icc = try iccKey(
            mastercard, MastercardTestVectors.issuerCertificate,
            MastercardTestVectors.iccCertificate, MastercardTestVectors.iccRemainder,
            MastercardTestVectors.pan)
        let hash = bytes("A04620C52455EA8F2370647AF36748A2CA4AA9F6")
        let signed = try icc.verifyCombined(
            MastercardTestVectors.signedDynamicData,
            unpredictableNumber: MastercardTestVectors.unpredictableNumber,
            cryptogramInformationData: 0x00, transactionDataHash: hash)
        #expect(signed.iccDynamicNumber == bytes("537EB5E03CC433C8"))
        #expect(signed.cryptogram.description == "55B6408DBC985131")
        #expect(throws: ODAError(.signedDynamicApplicationData, .transactionDataHash)) {
            try icc.verifyCombined(
                MastercardTestVectors.signedDynamicData,
                unpredictableNumber: MastercardTestVectors.unpredictableNumber,
                cryptogramInformationData: 0x00, transactionDataHash: hash.reversed())
        }
        #expect(
            throws: ODAError(
                .signedDynamicApplicationData, .cryptogramInformationData(signed: 0x00, found: 0x40))
        ) {
            try icc.verifyCombined(
                MastercardTestVectors.signedDynamicData,
                unpredictableNumber: MastercardTestVectors.unpredictableNumber,
                cryptogramInformationData: 0x40, transactionDataHash: hash)
        }
    }

    /// The card's key out of a certificate whose static data are not published.
    func iccKey(
        _ authority: CertificationAuthorityPublicKey, _ issuer: [UInt8], _ icc: [UInt8], _ remainder: [UInt8],
        _ pan: [UInt8]
    ) throws -> ICCPublicKey {
        let issuerKey = try authority.recoverIssuerPublicKey(
            from: PublicKeyCertificate(certificate: issuer, exponent: [3]), pan: pan, on: day(2022))
        let recovered = try issuerKey.key.recover(icc)
        let modulus = Array(recovered[21..<(recovered.count - 21)]) + remainder
        return ICCPublicKey(
            key: try RSAPublicKey(modulus: modulus, exponent: [3]), expiry: 202212, serialNumber: 1)
    }

    @Test func checksumIsVerified() {
        var modulus = VisaTestVectors.modulus
        modulus[5] ^= 1
        let rid = RegisteredApplicationProviderIdentifier(VisaTestVectors.rid)!
        #expect(throws: CertificationAuthorityPublicKeyError.checksum(rid: rid, index: 0x94)) {
            try CertificationAuthorityPublicKey(
                rid: VisaTestVectors.rid, index: 0x94, modulus: modulus, exponent: [3],
                checksum: VisaTestVectors.checksum)
        }
    }

    @Test func storeFindsByRIDAndIndexAndTellsExpiry() throws {
        let key = try CertificationAuthorityPublicKey(
            rid: VisaTestVectors.rid, index: 0x94, modulus: VisaTestVectors.modulus, exponent: [3],
            expiry: day(2025, 12, 31))
        let store = try CertificationAuthorityPublicKeyStore([key])
        #expect(try store.key(rid: key.rid, index: 0x94, on: day(2025, 12, 31)).checksum == key.checksum)
        #expect(throws: ODAError(.certificationAuthorityPublicKey, .expired(20_251_231))) {
            try store.key(rid: key.rid, index: 0x94, on: day(2026))
        }
        #expect(throws: ODAError(.certificationAuthorityPublicKey, .keyNotFound(rid: key.rid, index: 1))) {
            try store.key(rid: key.rid, index: 1, on: day(2025))
        }
        #expect(throws: CertificationAuthorityPublicKeyError.duplicate(rid: key.rid, index: 0x94)) {
            try CertificationAuthorityPublicKeyStore([key, key])
        }
    }
}

/// A test card with certificates for every way of authentication.
struct TestPKI: Sendable {
    let authorityKey: RSAPrivateKey
    let issuerKey: RSAPrivateKey
    let iccKey: RSAPrivateKey
    let authority: CertificationAuthorityPublicKey
    let issuerCertificate: PublicKeyCertificate
    let iccCertificate: PublicKeyCertificate
    let pinCertificate: PublicKeyCertificate
    let staticData = TestPKI.fixedStaticData
    static let fixedStaticData = bytes("5A0847617390010101195F24033112315F3401018202198057")
    let pan = bytes("4761739001010119")

    /// With keys made anew.
    init(_ bits: (Int, Int, Int), exponent: UInt32 = 3) throws {
        try self.init(
            .generate(bits: bits.0, exponent: exponent), .generate(bits: bits.1, exponent: exponent),
            .generate(bits: bits.2, exponent: exponent))
    }

    init(_ authorityKey: RSAPrivateKey, _ issuerKey: RSAPrivateKey, _ iccKey: RSAPrivateKey) throws {
        self.authorityKey = authorityKey
        self.issuerKey = issuerKey
        self.iccKey = iccKey
        authority = try CertificationAuthorityPublicKey(
            rid: bytes("A000000003"), index: 0x99, modulus: authorityKey.publicKey.modulus,
            exponent: authorityKey.publicKey.exponent)
        issuerCertificate = try CertificateMaking.issuerCertificate(
            for: issuerKey.publicKey, signedBy: authorityKey, issuerIdentifier: bytes("476173FF"),
            expiry: 203112, serialNumber: 0x010203)
        iccCertificate = try CertificateMaking.iccCertificate(
            for: iccKey.publicKey, signedBy: issuerKey, pan: pan, expiry: 203011, serialNumber: 0x040506,
            staticData: staticData)
        pinCertificate = try CertificateMaking.iccCertificate(
            for: iccKey.publicKey, signedBy: issuerKey, pan: pan, expiry: 203011, serialNumber: 7,
            staticData: [UInt8]())
    }

    func issuer(_ certificate: PublicKeyCertificate? = nil, pan: [UInt8]? = nil) throws(ODAError)
        -> IssuerPublicKey
    {
        try authority.recoverIssuerPublicKey(
            from: certificate ?? issuerCertificate, pan: pan ?? self.pan, on: day(2030, 11, 30))
    }

    func icc(_ certificate: PublicKeyCertificate? = nil, staticData: [UInt8]? = nil) throws(ODAError)
        -> ICCPublicKey
    {
        try issuer().recoverICCPublicKey(
            from: certificate ?? iccCertificate, pan: pan, on: day(2030, 11, 30),
            staticData: (staticData ?? self.staticData))
    }

    /// Fixed keys of 1152, 1024 and 1024 bits, so that seeded runs repeat.
    static let shared = try! TestPKI(
        key(
            """
            FD10C8C30AD42DBEAC729ED1B0160C8B89F356616311B4D7BF11EBC97AFAC20BDF8B08E7FE5D
            1E25957F458DE3E7E8A20C98FE07E06849FF7EE6CCBB3FEBF055996DBF7D4583E851
            """,
            """
            D88590A9F34B18F6184D35E3A78BDF5AB18EAF571420E9C1A09F7E267C25DFE76DF637B50C04
            E4FF6253335607E3E58EEB3582DFE7A9F6ED9FAA72CA2D31C768633F325AA45231D3
            """),
        key(
            """
            D91BD68892485F068468EA8A46B4ED34E24B3035CCE6EAF1E4A4FE35E94A4E333D652BBC7BB7
            8B716D88C55E08AC22C973D0756A58BA200D4D1BB085E4022E11
            """,
            """
            D06D33E399559937A6574426584C0DDE099B49CF427E522738D72D3F21463100098629166430
            D88EC2163216CC65241D2960DAE5887EAB41C8383CAA4E22290D
            """),
        key(
            """
            EDF76E3BB63A524EDD5AA05EA0842FEBAE981FD22BD4600095E1B66A3DCB34CE73FE75E6EE3C
            1993E986C7FC0D011E55BC49A03264A0669DCEE3ABA6B35A3705
            """,
            """
            E16F636DBD0FB81570E24C44CFE8FA8845AD40B6980DB1B843859435227079A9A56A18DBEC3B
            00EB7A051F2BE4EBEA781961079F3CC5C351022D38CAA9571F03
            """))

    static func key(_ prime1: String, _ prime2: String) -> RSAPrivateKey {
        try! RSAPrivateKey(prime1: bytes(prime1), prime2: bytes(prime2))
    }
}

@Suite struct MadeCertificates {
    @Test(arguments: [
        (1024, 1024, 1024, UInt32(3)), (1984, 1408, 1152, 3), (1408, 1152, 768, 65537),
        (1152, 768, 1024, 65537),
    ])
    func roundTrip(_ ca: Int, _ issuer: Int, _ icc: Int, _ exponent: UInt32) throws {
        let pki = try TestPKI((ca, issuer, icc), exponent: exponent)
        #expect(pki.issuerCertificate.remainder.count == max(0, issuer / 8 - (ca / 8 - 36)))
        #expect(pki.iccCertificate.remainder.count == max(0, icc / 8 - (issuer / 8 - 42)))
        #expect(try pki.issuer().key == pki.issuerKey.publicKey)
        let recovered = try pki.icc()
        #expect(recovered.key == pki.iccKey.publicKey)
        #expect(recovered.expiry == 203011)
        #expect(recovered.serialNumber == 0x040506)
        #expect(
            try pki.issuer().recoverICCPINEnciphermentPublicKey(
                from: pki.pinCertificate, pan: pki.pan, on: day(2030)
            ).key == pki.iccKey.publicKey)
        #expect(throws: ODAError(.iccPublicKey, .expired(203011))) {
            try pki.issuer().recoverICCPublicKey(
                from: pki.iccCertificate, pan: pki.pan, on: day(2030, 12, 1), staticData: pki.staticData)
        }
        #expect(throws: ODAError(.iccPublicKey, .primaryAccountNumber)) {
            try pki.issuer().recoverICCPublicKey(
                from: pki.iccCertificate, pan: bytes("4761739001010127"), on: day(2030),
                staticData: pki.staticData)
        }
        let ssad = try CertificateMaking.signedStaticApplicationData(
            signedBy: pki.issuerKey, dataAuthenticationCode: 0xDAC1, staticData: pki.staticData)
        #expect(
            try pki.issuer().verifySignedStaticApplicationData(ssad, staticData: pki.staticData)
                == 0xDAC1)
    }

    @Test func fastDDA() throws {
        let pki = TestPKI.shared
        let (un, amount, currency, card) = (
            bytes("11223344"), bytes("000000001500"), bytes("0840"), bytes("01AABBCCDD2000")
        )
        let atc: [UInt8] = [0x01, 0x23]
        let icc = try pki.icc()
        let signature = try CertificateMaking.signedDynamicApplicationData(
            signedBy: pki.iccKey, iccDynamicNumber: atc,
            terminalDynamicData: (un + amount + currency + card))
        let signed = try icc.verifyFastDDA(
            signature, unpredictableNumber: un, amountAuthorised: amount,
            transactionCurrencyCode: currency, cardAuthenticationRelatedData: card)
        #expect(signed.iccDynamicNumber == atc)
        #expect(throws: ODAError(.signedDynamicApplicationData, .hash)) {
            try icc.verifyFastDDA(
                signature, unpredictableNumber: un, amountAuthorised: bytes("000000001501"),
                transactionCurrencyCode: currency, cardAuthenticationRelatedData: card)
        }
        let old = try CertificateMaking.signedDynamicApplicationData(
            signedBy: pki.iccKey, iccDynamicNumber: atc, terminalDynamicData: un)
        #expect(
            try icc.verifyFastDDA(
                old, version: .version00, unpredictableNumber: un, amountAuthorised: amount,
                transactionCurrencyCode: currency, cardAuthenticationRelatedData: card
            ).iccDynamicNumber == atc)
    }

    /// Signed Data Format 95 goes with an ARQC and 05 with a TC; the pairs the other way about are refused.
    @Test(arguments: [
        (FastDDAFormat.offline, UInt8(0x05)), (.online, 0x95), (.offline, 0x95), (.online, 0x05),
    ])
    func fastDDAFormat(_ wanted: FastDDAFormat, _ signed: UInt8) throws {
        let pki = TestPKI.shared
        let (un, amount, currency, card) = (
            bytes("11223344"), bytes("000000001500"), bytes("0840"), bytes("01AABBCCDD2000")
        )
        let signature = try CertificateMaking.signedDynamicApplicationData(
            signedBy: pki.iccKey, iccDynamicNumber: [0x01, 0x23],
            terminalDynamicData: un + amount + currency + card, format: signed)
        func verify() throws {
            _ = try pki.icc().verifyFastDDA(
                signature, format: wanted, unpredictableNumber: un, amountAuthorised: amount,
                transactionCurrencyCode: currency, cardAuthenticationRelatedData: card)
        }
        guard wanted.rawValue != signed else { return try verify() }
        #expect(
            throws: ODAError(.signedDynamicApplicationData, .format(signed, expected: wanted.rawValue))
        ) { try verify() }
    }

    @Test func combined() throws {
        let pki = TestPKI.shared
        let hash = SHA1.hash([1, 2, 3])
        let un = bytes("11223344")
        let cryptogram = Cryptogram(rawValue: 0x0102_0304_0506_0708)
        let signature = try CertificateMaking.combinedSignedDynamicApplicationData(
            signedBy: pki.iccKey, iccDynamicNumber: bytes("A1A2A3"), cryptogramInformationData: 0x80,
            cryptogram: cryptogram, transactionDataHash: hash, rest: [9, 9], unpredictableNumber: un)
        let signed = try pki.icc().verifyCombined(
            signature, unpredictableNumber: un, cryptogramInformationData: 0x80,
            transactionDataHash: hash)
        #expect(signed.cryptogram == cryptogram)
        #expect(signed.iccDynamicNumber == bytes("A1A2A3"))
        #expect(signed.rest == [9, 9])
    }

    /// Each wrong field is told apart: the signer signs a wrong block on purpose.
    @Test func wrongFieldsAreToldApart() throws {
        let pki = TestPKI.shared
        func tamper(_ change: (inout [UInt8]) -> Void) throws -> PublicKeyCertificate {
            var block = try pki.authorityKey.publicKey.recover(pki.issuerCertificate.certificate)
            change(&block)
            var digest = SHA1()
            digest.update(block.span.extracting(1..<block.count - 21))
            digest.update(pki.issuerCertificate.remainder)
            digest.update(pki.issuerCertificate.exponent)
            block.replaceSubrange(block.count - 21..<block.count - 1, with: digest.finalize())
            var certificate = pki.issuerCertificate
            certificate.certificate = try pki.authorityKey.sign(block)
            return certificate
        }
        let last = pki.authority.key.byteCount - 1
        let cases: [(ODAError.Reason, (inout [UInt8]) -> Void)] = [
            (.trailer(0xBD), { $0[last] = 0xBD }), (.header(0x6B), { $0[0] = 0x6B }),
            (.format(0x04, expected: 0x02), { $0[1] = 0x04 }), (.issuerIdentifier, { $0[3] = 0x62 }),
            (.issuerIdentifier, { $0[2] = 0xFF }), (.issuerIdentifier, { $0[5] = 0xF1 }),
            (.expirationDate, { $0[6] = 0x13 }), (.expirationDate, { $0[7] = 0xAA }),
            (.expired(201912), { $0[7] = 0x19 }), (.hashAlgorithm(2), { $0[11] = 2 }),
            (.publicKeyAlgorithm(0x11), { $0[12] = 0x11 }),
            (.publicKeyLength(declared: 0, available: 20), { $0[13] = 0 }),
            (.publicKeyLength(declared: 129, available: 128), { $0[13] = 129 }), (.exponent, { $0[14] = 3 }),
        ]
        for (reason, change) in cases {
            let certificate = try tamper(change)
            #expect(throws: ODAError(.issuerPublicKey, reason)) { try pki.issuer(certificate) }
        }
        var short = pki.issuerCertificate
        short.certificate.removeLast()
        #expect(throws: ODAError(.issuerPublicKey, .length(found: last, expected: last + 1))) {
            try pki.issuer(short)
        }
        short.certificate = [UInt8](repeating: 0xFF, count: last + 1)
        #expect(throws: ODAError(.issuerPublicKey, .notBelowModulus)) { try pki.issuer(short) }
        #expect(throws: ODAError(.issuerPublicKey, .issuerIdentifier)) { try pki.issuer(pan: []) }
    }

    /// A flipped bit anywhere makes the recovery fail with an error of its own step.
    @Test func everyMutationFails() throws {
        let pki = TestPKI.shared
        var random = SplitMix(seed: 2026)
        let issuer = try pki.issuer()
        let icc = try pki.icc()
        let un = bytes("11223344")
        let ssad = try CertificateMaking.signedStaticApplicationData(
            signedBy: pki.issuerKey, dataAuthenticationCode: 1, staticData: pki.staticData)
        let sdad = try CertificateMaking.signedDynamicApplicationData(
            signedBy: pki.iccKey, iccDynamicNumber: [1, 2], terminalDynamicData: un)
        let hash = SHA1.hash([1, 2, 3])
        let combined = try CertificateMaking.combinedSignedDynamicApplicationData(
            signedBy: pki.iccKey, iccDynamicNumber: [1, 2], cryptogramInformationData: 0x80,
            cryptogram: Cryptogram(rawValue: 1), transactionDataHash: hash, unpredictableNumber: un)
        func flip(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
            var changed = bytes
            changed[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(
                in: 1...255, using: &random)
            return changed
        }
        func expect(_ step: ODAError.Step, _ body: () throws(ODAError) -> Void) {
            do throws(ODAError) {
                try body()
                Issue.record("\(step) verified in spite of a mutation")
            } catch { #expect(error.step == step) }
        }
        for _ in 0..<500 {
            var certificate = pki.issuerCertificate
            switch Int.random(in: 0..<3, using: &random) {
            case 0: certificate.certificate = flip(certificate.certificate, &random)
            case 1: certificate.remainder = flip(certificate.remainder, &random)
            default: certificate.exponent = flip(certificate.exponent, &random)
            }
            expect(.issuerPublicKey) { () throws(ODAError) in _ = try pki.issuer(certificate) }

            certificate = pki.iccCertificate
            var staticData = pki.staticData
            switch Int.random(in: 0..<4, using: &random) {
            case 0: certificate.certificate = flip(certificate.certificate, &random)
            case 1: certificate.remainder = flip(certificate.remainder, &random)
            case 2: certificate.exponent = flip(certificate.exponent, &random)
            default: staticData = flip(staticData, &random)
            }
            expect(.iccPublicKey) { () throws(ODAError) in
                _ = try pki.icc(certificate, staticData: staticData)
            }

            let badSSAD = flip(ssad, &random)
            expect(.signedStaticApplicationData) { () throws(ODAError) in
                _ = try issuer.verifySignedStaticApplicationData(badSSAD, staticData: pki.staticData)
            }
            let badStatic = flip(pki.staticData, &random)
            expect(.signedStaticApplicationData) { () throws(ODAError) in
                _ = try issuer.verifySignedStaticApplicationData(ssad, staticData: badStatic)
            }
            let badSDAD = flip(sdad, &random)
            expect(.signedDynamicApplicationData) { () throws(ODAError) in
                _ = try icc.verifySignedDynamicApplicationData(badSDAD, terminalDynamicData: un)
            }
            var (badCombined, badHash, number, cid) = (combined, hash, un, UInt8(0x80))
            switch Int.random(in: 0..<4, using: &random) {
            case 0: badCombined = flip(combined, &random)
            case 1: badHash = flip(hash, &random)
            case 2: number = flip(un, &random)
            default: cid ^= UInt8.random(in: 1...255, using: &random)
            }
            expect(.signedDynamicApplicationData) { () throws(ODAError) in
                _ = try icc.verifyCombined(
                    badCombined, unpredictableNumber: number, cryptogramInformationData: cid,
                    transactionDataHash: badHash)
            }
            let badNumber = flip(un, &random)
            expect(.signedDynamicApplicationData) { () throws(ODAError) in
                _ = try icc.verifySignedDynamicApplicationData(sdad, terminalDynamicData: badNumber)
            }
        }
    }

    /// Blocks that were signed rightly but hold garbage: errors, never a trap.
    @Test func signedGarbage() throws {
        let pki = TestPKI.shared
        var random = SplitMix(seed: 7)
        let issuer = try pki.issuer()
        let icc = try pki.icc()
        for round in 0..<2000 {
            var block = random.bytes(pki.iccKey.byteCount)
            block[0] = 0x6A
            block[1] = [0x02, 0x03, 0x04, 0x05][round % 4]
            block[2] = 0x01
            if round.isMultiple(of: 2) { block[3] = UInt8.random(in: 0...130, using: &random) }
            if round.isMultiple(of: 3) { block[4] = UInt8.random(in: 0...9, using: &random) }
            block[17] = 0x01
            var digest = SHA1()
            digest.update(block.span.extracting(1..<block.count - 21))
            digest.update([UInt8](repeating: 3, count: 1))
            block.replaceSubrange(block.count - 21..<block.count - 1, with: digest.finalize())
            block[block.count - 1] = 0xBC
            let byIssuer = try pki.issuerKey.sign(block)
            let byICC = try pki.iccKey.sign(block)
            _ = try? issuer.recoverICCPINEnciphermentPublicKey(
                from: PublicKeyCertificate(certificate: byIssuer, exponent: [3]), pan: pki.pan, on: day(2020))
            _ = try? issuer.verifySignedStaticApplicationData(byIssuer, staticData: [3])
            _ = try? icc.verifyCombined(
                byICC, unpredictableNumber: [3], cryptogramInformationData: 0,
                transactionDataHash: [])
        }
    }
}

@Suite struct RSA {
    @Test func hasNoUseForBadKeys() {
        for (modulus, exponent): ([UInt8], [UInt8]) in [
            ([], [3]), ([0], [3]), ([1], [3]), ([0, 1], [3]), ([0x80, 0x02], [3]), ([0x0F], []),
            ([0x0F], [1]),
            ([0x0F], [2]), ([UInt8](repeating: 0xFF, count: 513), [3]),
        ] {
            #expect(throws: CryptographyError.invalidRSAKey) {
                try RSAPublicKey(modulus: modulus, exponent: exponent)
            }
        }
    }

    /// All ways of raising to the exponent agree with one another and undo the private operation.
    @Test(arguments: [UInt32(3), 65537]) func waysAgree(_ exponent: UInt32) throws {
        let key = try RSAPrivateKey.generate(bits: 1024, exponent: exponent)
        let (p, q, e) = key.clearComponents
        let again = try RSAPrivateKey(prime1: p, prime2: q, exponent: e)
        #expect(again.publicKey == key.publicKey)
        let once = try RSAPublicKey(modulus: key.publicKey.modulus, exponent: e)
        let general = try RSAPublicKey(modulus: key.publicKey.modulus, exponent: [0] + e)
        var random = SplitMix(seed: 3)
        for _ in 0..<50 {
            var block = random.bytes(128)
            block[0] = 0x6A
            let signed = try again.sign(block)
            #expect(try key.publicKey.recover(signed) == block)
            #expect(try once.recover(signed) == block)
            #expect(try general.recover(signed) == block)
        }
        #expect("\(key)" == "RSAPrivateKey(1024 bits)")
    }

    @Test func refusesBlocksOfWrongLengthOrValue() throws {
        let pki = TestPKI.shared
        let key = pki.iccKey
        #expect(throws: CryptographyError.blockLength(found: 127, modulus: 128)) {
            try key.sign([UInt8](repeating: 0, count: 127))
        }
        #expect(throws: CryptographyError.blockNotBelowModulus) {
            try key.sign([UInt8](repeating: 0xFF, count: 128))
        }
        #expect(throws: CryptographyError.blockNotBelowModulus) {
            try key.publicKey.recover(key.publicKey.modulus)
        }
        #expect(throws: CryptographyError.invalidRSAKey) {
            try RSAPrivateKey(
                prime1: [UInt8](repeating: 0x80, count: 64), prime2: [UInt8](repeating: 0x40, count: 64))
        }
        // p - 1 has the factor 3, so that exponent 3 has no inverse.
        #expect(throws: CryptographyError.invalidRSAKey) {
            try RSAPrivateKey(prime1: bytes("FFFFFFFFFFFFFF31"), prime2: bytes("FFFFFFFFFFFFFFC5"))
        }
    }

    @Test func oneKeyServesManyThreads() async throws {
        let pki = TestPKI.shared
        let triple = try TripleDESKey(bytes("0123456789ABCDEFFEDCBA9876543210"))
        let expected = triple.retailMAC(pki.staticData, padding: .method2)
        await withTaskGroup(of: Bool.self) { group in
            for seed in 0..<16 {
                group.addTask {
                    var random = SplitMix(seed: UInt64(seed))
                    for _ in 0..<20 {
                        var block = random.bytes(128)
                        block[0] = 0x6A
                        guard let signed = try? pki.iccKey.sign(block),
                            let recovered = try? pki.iccKey.publicKey.recover(signed), recovered == block,
                            triple.retailMAC(pki.staticData, padding: .method2) == expected
                        else { return false }
                    }
                    return true
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }
}
