import BERTLV
import Cards
import EMV
import EMVCryptography
import ProfileFile
import SmartCard
import Testing

/// The issuer's side of one card, with the functions that the cryptogram tests hold against pyemv.
struct TestIssuer {
    let pan: [UInt8]
    let psn: UInt8
    let keys: TestKeys.MasterKeys

    init(_ card: EmulatedCard) throws {
        let application = try #require(card.profile.applications.first)
        pan = application.primaryAccountNumber.compressedNumeric
        psn = BCD.bytes(UInt64(application.sequenceNumber), count: 1)[0]
        keys = try #require(TestKeys.shared.masterKeys[application.cryptogram.keySet])
    }

    private func master(_ key: SecretKey) throws -> TripleDESKey {
        try TripleDESKey(key).iccMasterKey(pan: pan, panSequenceNumber: psn)
    }

    /// EXTERNAL AUTHENTICATE with a Card Status Update (CVN 18).
    func authenticate(_ answer: TestTerminal.Response, update: UInt32) throws -> [UInt8] {
        let arqc = try #require(Cryptogram(answer.objects[0x9F26] ?? []))
        let counter = UInt16(BigEndian.number(answer.objects[0x9F36] ?? []))
        let key = CryptogramVersion.visaCVN18.responseCryptogramKey(
            masterKey: try master(keys.applicationCryptogram), applicationTransactionCounter: counter)
        let arpc = key.responseCryptogram(arqc: arqc, cardStatusUpdate: update)
        return [0x00, 0x82, 0x00, 0x00, 0x08] + BigEndian.bytes(arpc) + BigEndian.bytes(update)
    }

    /// A script command with its MAC of eight bytes.
    func command(_ answer: TestTerminal.Response, _ header: [UInt8], _ data: [UInt8] = []) throws -> [UInt8] {
        let messaging = ScriptSecureMessaging(
            style: .visa, integrityMasterKey: try master(keys.scriptIntegrity),
            confidentialityMasterKey: try master(keys.scriptConfidentiality),
            applicationTransactionCounter: UInt16(BigEndian.number(answer.objects[0x9F36] ?? [])),
            cryptogram: try #require(Cryptogram(answer.objects[0x9F26] ?? [])))
        let whole = header + [UInt8(data.count + 8)]
        return whole + data + messaging.commandMAC(header: whole, data: data).bytes
    }
}

enum BigEndian {
    static func number(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    static func bytes(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
}

@Suite struct IssuerUpdateTests {
    static let aid = "A0000000031010"

    /// Card Status Update (EMV Book 3, C9) and what it leaves: cumulative and consecutive counters, blocked, go
    /// online next time, PIN tries. Before it, two offline approvals of 10.00, and 20.00 online.
    static let updates: [(UInt32, UInt64, UInt8, Bool, Bool, UInt8)] = [
        (0x0080_0000, 2000, 2, false, false, 3),
        (0x0081_0000, 10000, 5, false, false, 3),
        (0x0082_0000, 0, 0, false, false, 3),
        (0x0083_0000, 5000, 3, false, false, 3),
        (0x0088_0000, 2000, 2, false, true, 3),
        (0x00A0_0000, 2000, 2, true, false, 3),
        (0x00C0_0000, 2000, 2, true, false, 3),
        (0x0190_0000, 2000, 2, false, false, 1),
    ]

    @Test(arguments: updates) func cardStatusUpdate(
        update: UInt32, cumulative: UInt64, consecutive: UInt8, blocked: Bool, online: Bool, tries: UInt8
    ) throws {
        let card = try makeCard("visa-debit")
        let terminal = TestTerminal(card)
        for _ in 0..<2 { #expect(cryptogramType(try terminal.tap(amount: 1000)) == .tc) }
        let answer = try terminal.tap(amount: 3000)
        #expect(cryptogramType(answer) == .arqc)
        #expect(try terminal.send(TestIssuer(card).authenticate(answer, update: update)).status == .success)
        let state = try #require(card.state.applications[Self.aid])
        #expect(state.cumulativeOffline == cumulative)
        #expect(state.consecutiveOffline == consecutive)
        #expect(state.blocked == blocked)
        #expect(state.goOnlineNextTime == online)
        #expect(state.pinTries == tries)
        #expect(state.lastOnlineCounter == 3)
        if online { #expect(cryptogramType(try terminal.tap(amount: 100)) == .arqc) }
    }

    @Test func declinedResponseCodeLeavesTheCounters() throws {
        // CVN 10: ARPC method 1 under the card's master key.
        let card = try makeCard("visa-debit") { $0.applications[0].cryptogram.version = .cvn10 }
        let terminal = TestTerminal(card)
        _ = try terminal.tap(amount: 1000)
        let keys = try #require(TestKeys.shared.masterKeys["visa"])
        let key = try TripleDESKey(keys.applicationCryptogram)
            .iccMasterKey(pan: Hex.bytes("4761739001010135")!, panSequenceNumber: 1)
        for (code, left) in [(0x3035 as UInt16, 1000 as UInt64), (0x3030, 0)] {
            let answer = try terminal.tap(amount: 3000)
            let arqc = try #require(Cryptogram(answer.objects[0x9F26] ?? []))
            let arpc = key.responseCryptogram(arqc: arqc, authorisationResponseCode: code)
            let command =
                [0x00, 0x82, 0x00, 0x00, 0x0A] + arpc.bytes + [
                    UInt8(code >> 8), UInt8(truncatingIfNeeded: code),
                ]
            #expect(try terminal.send(command).status == .success)
            #expect(card.state.applications[Self.aid]?.cumulativeOffline == left)
        }
    }

    @Test func cardBlock() throws {
        let card = try makeCard("visa-credit")
        let terminal = TestTerminal(card)
        let answer = try terminal.tap()
        #expect(try terminal.send(TestIssuer(card).command(answer, [0x84, 0x16, 0, 0])).status == .success)
        #expect(try terminal.select().status == .functionNotSupported)
        #expect(try terminal.send("00A404000E325041592E5359532E444446303100").status == .functionNotSupported)
        // For good: a new object from the kept state is blocked too.
        let again = TestTerminal(try EmulatedCard(profile: card.profile, state: card.state))
        #expect(try again.select().status == .functionNotSupported)
    }

    @Test func pinUnblock() throws {
        let profile = try CardLibrary.profile("visa-debit")
        var state = CardState(fresh: profile)
        state.applications[Self.aid]?.pinTries = 0
        let card = try EmulatedCard(profile: profile, state: state)
        let terminal = TestTerminal(card)
        // No tries left: no online PIN (CVR byte 3 bit 7), so nothing serves a reader that wants a CVM.
        let answer = try terminal.tap(ttq: "26404000")
        #expect(cryptogramType(answer) == .aac)
        #expect(answer.objects[0x9F10]?[5] == 0x40)
        #expect(try terminal.send(TestIssuer(card).command(answer, [0x84, 0x24, 0, 0])).status == .success)
        #expect(try terminal.send("80CA9F1700").data == [0x9F, 0x17, 1, 3])
        #expect(try terminal.tap(ttq: "26404000").objects[0x9F6C] == [0xA8, 0x40])
    }

    /// Header, data, and the status word of script commands whose MAC is right.
    static let refused: [([UInt8], [UInt8], StatusWord)] = [
        ([0x84, 0x1E, 0x00, 0x01], [], 0x6A86),
        ([0x84, 0x18, 0x00, 0x00], [0x00], 0x6700),
        ([0x84, 0x24, 0x00, 0x02], [], 0x6A86),
        ([0x04, 0xDA, 0x9F, 0x36], [0x00, 0x00], 0x6A88),
        ([0x04, 0xDA, 0x9F, 0x54], [0x00], 0x6700),
        ([0x04, 0xDA, 0x9F, 0x54], [0, 0, 0, 0, 0, 0xAA], 0x6A80),
        ([0x04, 0xDC, 0x01, 0x12], [0x70, 0x00], 0x6A86),
        ([0x04, 0xDC, 0x01, 0x4C], [0x70, 0x00], 0x6A82),
        ([0x04, 0xDC, 0x09, 0x14], [0x70, 0x00], 0x6A83),
        ([0x04, 0xDC, 0x01, 0x14], [0x70, 0x05], 0x6A80),
        ([0x04, 0xDC, 0x01, 0x14], [0x77, 0x00], 0x6A80),
        ([0x04, 0xDC, 0x04, 0x1C], [0x70, 0x00], 0x6A83),
    ]

    @Test(arguments: refused) func refusedScripts(header: [UInt8], data: [UInt8], status: StatusWord) throws {
        let card = try makeCard("visa-credit")
        let terminal = TestTerminal(card)
        let answer = try terminal.tap()
        #expect(try terminal.send(TestIssuer(card).command(answer, header, data)).status == status)
        let state = try #require(card.state.applications[Self.aid])
        #expect(state.scriptFailed && state.scriptCommands == 0 && !state.blocked)
    }

    @Test func changedQualifiers() throws {
        let card = try makeCard("visa-credit")
        let terminal = TestTerminal(card)
        let answer = try terminal.tap()
        let command = try TestIssuer(card).command(answer, [0x04, 0xDA, 0x9F, 0x6C], [0x10, 0x40])
        #expect(try terminal.send(command).status == .success)
        #expect(try terminal.tap().objects[0x9F6C] == [0x10, 0x40])
    }
}

@Suite struct ActivationTests {
    static func card(_ activation: String) throws -> CardProfile {
        let text = CardLibrary.text(of: "visa-credit")!
        let start = text.firstRange(of: "activation:")!.lowerBound
        let end = text.firstRange(of: "applications:")!.lowerBound
        return try CardProfile(
            ProfileFile(file: "a.yaml", text: text[..<start] + activation + "\n\n" + text[end...]))
    }

    /// ATR by PC/SC Part 3: 3B 8n 80 01, historical bytes, TCK.
    static let activations: [(String, String, Bool)] = [
        ("activation: { type: A, uid: 08010203 }", "3B80800101", true),
        ("activation: { type: A, uid: 04010203040506, historical: C0FFEE }", "3B838001C0FFEED3", true),
        (
            "activation: { type: B, uid: 01020304, protocol: 00000000338171 }", "3B8880010000000033817100CA",
            true
        ),
        ("activation: { type: A, uid: 0801020304 }", "", false),
        ("activation: { type: B, uid: 0102030405060708090A }", "", false),
        ("activation: { type: F, uid: 01020304 }", "", false),
        ("activation: { type: B, uid: 01020304, historical: 00 }", "", false),
    ]

    @Test(arguments: activations) func answerToReset(text: String, atr: String, isGood: Bool) throws {
        guard isGood else {
            #expect(throws: ProfileFileError.self) { try Self.card(text) }
            return
        }
        let card = try EmulatedCard(profile: Self.card(text))
        #expect(Hex.string(card.answerToReset) == atr)
        #expect(card.answerToReset.dropFirst().reduce(0, ^) == 0)
    }
}
