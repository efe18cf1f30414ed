import BERTLV
import Cards
import EMV
import EMVCryptography
import Foundation
import SmartCard
import Testing

struct VisaCase: Sendable, CustomTestStringConvertible {
    let id: String
    let fields: [String: [UInt8]]
    var testDescription: String { id }
    subscript(_ name: String) -> [UInt8] { fields[name]! }

    static let all: [VisaCase] = visaCardVectors.split(separator: "\n").map { line in
        let words = line.split(separator: " ")
        return VisaCase(
            id: String(words[0]),
            fields: Dictionary(
                uniqueKeysWithValues: words.dropFirst().map {
                    let pair = $0.split(separator: "=")
                    return (String(pair[0]), Hex.bytes(pair[1])!)
                }))
    }
}

@Suite struct CryptogramVectorTests {
    @Test(arguments: VisaCase.all) func firstTransaction(_ vector: VisaCase) throws {
        let card = try makeCard(vector.id)
        card.unlock()
        let terminal = TestTerminal(card)
        card.powerOn()
        _ = try terminal.select()
        let answer = try terminal.options(vector["options"])
        #expect(answer.status == .success)
        #expect(answer.objects[0x9F36] == [0, 1])
        #expect(answer.objects[0x9F10] == vector["iad"])
        #expect(answer.objects[0x9F26] == vector["ac"])
    }

    @Test(arguments: VisaCase.all.filter { $0.id != "visa-debit" })
    func issuerAuthentication(_ vector: VisaCase) throws {
        let card = try makeCard(vector.id)
        card.unlock()
        let terminal = TestTerminal(card)
        card.powerOn()
        _ = try terminal.select()
        _ = try terminal.options(vector["options"])
        // Second presentment: SELECT, no GPO.
        card.powerOff()
        card.powerOn()
        _ = try terminal.select()
        let data = vector["auth"]
        let command = [0x00, 0x82, 0x00, 0x00, UInt8(data.count)] + data
        #expect(try terminal.send(command).status == .success)
        #expect(try terminal.send(command).status == .conditionsNotSatisfied, "only once")
        #expect(try terminal.send("80CA9F1300").data == [0x9F, 0x13, 2, 0, 1])
        let state = try #require(card.state.applications["A0000000031010"])
        #expect(state.lastOnlineCounter == 1 && !state.awaitsIssuer && !state.issuerAuthenticationFailed)
    }

    @Test(arguments: VisaCase.all.filter { $0.id != "visa-debit" }, [0, 3, 7])
    func wrongIssuerAuthentication(_ vector: VisaCase, spoilt: Int) throws {
        let card = try makeCard(vector.id)
        card.unlock()
        let terminal = TestTerminal(card)
        card.powerOn()
        _ = try terminal.select()
        _ = try terminal.options(vector["options"])
        var data = vector["auth"]
        data[spoilt] ^= 0x10
        #expect(try terminal.send([0x00, 0x82, 0x00, 0x00, UInt8(data.count)] + data).status == 0x6300)
        // The next cryptogram tells the issuer (CVR byte 3 bit 4).
        card.unlock()
        let next = try terminal.tap()
        #expect(next.objects[0x9F10]?[5] == 0x08)
    }

    @Test(arguments: VisaCase.all) func scripts(_ vector: VisaCase) throws {
        let card = try makeCard(vector.id)
        card.unlock()
        let terminal = TestTerminal(card)
        card.powerOn()
        _ = try terminal.select()
        // Nothing to refer to yet.
        #expect(try terminal.send(vector["block"]).status == .conditionsNotSatisfied)
        let answer = try terminal.options(vector["options"])

        #expect(try terminal.send(vector["limit"]).status == .success)
        #expect(try terminal.send("80CA9F5400").data == Hex.bytes("9F5406000000000500"))
        #expect(try terminal.send(vector["count"]).status == .success)
        #expect(try terminal.send("80CA9F5800").data == Hex.bytes("9F580100"))
        #expect(try terminal.send(vector["record"]).status == .success)
        #expect(try terminal.send("00B2011400").data == Hex.bytes("700C5F20095343524950544544" + "2F"))

        for index in [0, 2, 5, 12] {
            var wrong = vector["limit"]
            wrong[index == 0 ? wrong.count - 1 : index] ^= 0x01
            let status = try terminal.send(wrong).status
            #expect(status != .success, "byte \(index)")
        }
        #expect(try terminal.send(vector["block"]).status == .success)
        #expect(try terminal.select().status == .fileInvalidated)
        #expect(try terminal.options(vector["options"]).status == .conditionsNotSatisfied)
        #expect(try terminal.send(vector["unblock"]).status == .success)
        #expect(try terminal.select().status == .success)

        // What scripts did is told in the next cryptogram: five commands, one failed.
        card.unlock()
        let next = try terminal.tap()
        #expect(next.objects[0x9F10]?[6] == 0x58)
        #expect(next.objects[0x9F36] == [0, 2])
        if vector.id == "visa-debit" {
            // No offline approval is left.
            #expect(cryptogramType(answer) == .tc)
            #expect(cryptogramType(next) == .arqc)
        }
    }
}

@Suite struct CommandTests {
    /// Commands sent one after the other to a fresh visa-credit card, and the status words expected.
    static let sequences: [(String, [(String, StatusWord)])] = {
        let select = "00A4040007A000000003101000"
        let gpo = "80A80000238321" + Hex.string(TestTerminal.pdolData()) + "00"
        let scripted: [(String, [(String, StatusWord)])] = [
            ("empty command", [("", 0x6700)]),
            ("three bytes", [("00A404", 0x6700)]),
            ("Lc beyond the end", [("00A4040007A0000000", 0x6700)]),
            ("bytes beyond Le", [("00A4040007A00000000310100000", 0x6700)]),
            ("unknown CLA for SELECT", [("80A4040007A000000003101000", 0x6E00)]),
            ("SELECT by file id", [("00A40000023F0000", 0x6A86)]),
            ("SELECT last", [("00A4040107A000000003101000", 0x6A86)]),
            ("SELECT without name", [("00A4040000", 0x6700)]),
            ("SELECT of a name too long", [("00A4040011A0000000031010000000000000000000000000", 0x6700)]),
            ("SELECT of another scheme", [("00A4040007A000000004101000", 0x6A82)]),
            ("SELECT partial", [("00A4040005A00000000300", 0x9000)]),
            ("SELECT longer than the AID", [("00A4040008A00000000310100100", 0x6A82)]),
            ("SELECT next at the end", [(select, 0x9000), ("00A4040207A000000003101000", 0x6A82)]),
            ("SELECT next before first", [("00A4040207A000000003101000", 0x6A82)]),
            ("PPSE", [("00A404000E325041592E5359532E444446303100", 0x9000)]),
            ("PSE of contact cards", [("00A404000E315041592E5359532E444446303100", 0x6A82)]),
            ("extended length SELECT", [("00A40400000007A00000000310100000", 0x9000)]),
            ("extended length cut", [("00A4040000000FA0", 0x6700)]),
            ("unknown INS", [(select, 0x9000), ("8050000000", 0x6D00)]),
            ("unknown INS before SELECT", [("8050000000", 0x6D00)]),
            ("GPO before SELECT", [(gpo, 0x6985)]),
            ("GPO on the PPSE", [("00A404000E325041592E5359532E444446303100", 0x9000), (gpo, 0x6985)]),
            ("GPO with CLA 00", [(select, 0x9000), ("00" + gpo.dropFirst(2), 0x6E00)]),
            ("GPO with P1", [(select, 0x9000), ("80A80100" + gpo.dropFirst(8), 0x6A86)]),
            ("GPO without data", [(select, 0x9000), ("80A8000000", 0x6700)]),
            ("GPO without PDOL data", [(select, 0x9000), ("80A8000002830000", 0x6985)]),
            ("GPO of another tag", [(select, 0x9000), ("80A8000002840000", 0x6A80)]),
            ("GPO with a lying length", [(select, 0x9000), ("80A80000038302AA00", 0x6700)]),
            ("GPO with a cut length", [(select, 0x9000), ("80A8000002838100", 0x6700)]),
            (
                "GPO one byte short",
                [
                    (select, 0x9000), ("80A80000228320" + gpo.dropFirst(14).dropLast(4) + "00", 0x6985),
                ]
            ),
            ("GPO twice", [(select, 0x9000), (gpo, 0x9000), (gpo, 0x6985)]),
            ("GPO again after SELECT", [(select, 0x9000), (gpo, 0x9000), (select, 0x9000), (gpo, 0x9000)]),
            ("mag-stripe reader", [(select, 0x9000), ("80A8000023832180" + gpo.dropFirst(16), 0x6985)]),
            ("READ RECORD before GPO", [(select, 0x9000), ("00B2011400", 0x6985)]),
            (
                "READ RECORD after SELECT again",
                [
                    (select, 0x9000), (gpo, 0x9000), (select, 0x9000), ("00B2011400", 0x6985),
                ]
            ),
            ("READ RECORD", [(select, 0x9000), (gpo, 0x9000), ("00B2011400", 0x9000)]),
            ("READ RECORD of no file", [(select, 0x9000), (gpo, 0x9000), ("00B2014400", 0x6A82)]),
            ("READ RECORD of no record", [(select, 0x9000), (gpo, 0x9000), ("00B2021400", 0x6A83)]),
            ("READ RECORD 0", [(select, 0x9000), (gpo, 0x9000), ("00B2001400", 0x6A83)]),
            ("READ RECORD by P2 other than 4", [(select, 0x9000), (gpo, 0x9000), ("00B2011200", 0x6A86)]),
            ("READ RECORD with data", [(select, 0x9000), (gpo, 0x9000), ("00B2011401AA00", 0x6700)]),
            ("READ RECORD with CLA 80", [(select, 0x9000), (gpo, 0x9000), ("80B2011400", 0x6E00)]),
            ("READ RECORD with Le 1", [(select, 0x9000), (gpo, 0x9000), ("00B2011401", 0x6C27)]),
            ("READ RECORD with the right Le", [(select, 0x9000), (gpo, 0x9000), ("00B2011427", 0x9000)]),
            ("log is empty", [(select, 0x9000), ("00B2015C00", 0x6A83)]),
            ("log has the transaction", [(select, 0x9000), (gpo, 0x9000), ("00B2015C00", 0x9000)]),
            ("GET DATA ATC", [(select, 0x9000), ("80CA9F3600", 0x9000)]),
            ("GET DATA last online ATC", [(select, 0x9000), ("80CA9F1300", 0x9000)]),
            ("GET DATA PIN tries", [(select, 0x9000), ("80CA9F1700", 0x9000)]),
            ("GET DATA log format", [(select, 0x9000), ("80CA9F4F00", 0x9000)]),
            ("GET DATA of an online card's offline amount", [(select, 0x9000), ("80CA9F5D00", 0x6A88)]),
            ("GET DATA unknown", [(select, 0x9000), ("80CA9F9900", 0x6A88)]),
            ("GET DATA before SELECT", [("80CA9F3600", 0x6985)]),
            ("GET CHALLENGE", [(select, 0x9000), ("0084000000", 0x9000)]),
            ("GET CHALLENGE with P1", [(select, 0x9000), ("0084010000", 0x6A86)]),
            (
                "EXTERNAL AUTHENTICATE before GPO",
                [
                    (select, 0x9000), ("008200000A00000000000000000000", 0x6985),
                ]
            ),
            (
                "EXTERNAL AUTHENTICATE too short",
                [
                    (select, 0x9000), (gpo, 0x9000), ("008200000700000000000000", 0x6700),
                ]
            ),
            (
                "EXTERNAL AUTHENTICATE with P2",
                [
                    (select, 0x9000), (gpo, 0x9000), ("008200010A00000000000000000000", 0x6A86),
                ]
            ),
            (
                "EXTERNAL AUTHENTICATE wrong",
                [
                    (select, 0x9000), (gpo, 0x9000), ("008200000A00000000000000000000", 0x6300),
                ]
            ),
            ("script without MAC", [(select, 0x9000), (gpo, 0x9000), ("841E0000", 0x6987)]),
            (
                "script with a wrong MAC",
                [
                    (select, 0x9000), (gpo, 0x9000), ("841E0000080000000000000000", 0x6988),
                ]
            ),
            ("script without secure messaging", [(select, 0x9000), (gpo, 0x9000), ("801E0000", 0x6E00)]),
        ]
        return scripted
    }()

    @Test(arguments: sequences) func statusWords(_ name: String, _ steps: [(String, StatusWord)]) throws {
        let terminal = TestTerminal(try makeCard("visa-credit"))
        terminal.card.powerOn()
        for (command, status) in steps {
            #expect(try terminal.send(Hex.bytes(command)!).status == status, "\(name): \(command)")
        }
    }

    @Test func directoryAndFileControlInformation() throws {
        let terminal = TestTerminal(try makeCard("visa-credit"))
        terminal.card.powerOn()
        let directory = try terminal.send("00A404000E325041592E5359532E444446303100")
        #expect(
            Hex.string(directory.data)
                == "6F30840E325041592E5359532E4444463031A51EBF0C1B"
                + "61194F07A0000000031010500B5649534120435245444954870101")
        let fci = try terminal.select()
        #expect(fci.objects[0x84] == Hex.bytes("A0000000031010"))
        #expect(fci.objects[0x9F38]?.count == 24)
        #expect(fci.objects[0x5F2D] == Array("ende".utf8))
    }

    @Test func blockedApplication() throws {
        let terminal = TestTerminal(try makeCard("visa-blocked"))
        terminal.card.powerOn()
        let fci = try terminal.select()
        #expect(fci.status == .fileInvalidated && fci.objects[0x84] != nil)
        #expect(try terminal.options(TestTerminal.pdolData()).status == .conditionsNotSatisfied)
    }

    @Test func severalApplicationsAreSelectedOneAfterTheOther() throws {
        let card = try makeCard("apple-pay-visa") { profile in
            var other = profile.applications[0]
            other.applicationIdentifier += [0x02]
            other.priority = 2
            other.primaryAccountNumber = PrimaryAccountNumber(digits: "4895380000000014")!
            profile.applications.append(other)
        }
        let terminal = TestTerminal(card)
        card.powerOn()
        let directory = try terminal.send("00A404000E325041592E5359532E444446303100")
        let nodes = try TLVNode.parse(directory.data)
        #expect(Hex.string(directory.data).ranges(of: "4F0").count == 2 && nodes.count == 1)
        #expect(try terminal.select("A000000003").objects[0x84] == Hex.bytes("A0000000031010"))
        #expect(try terminal.send("00A4040205A00000000300").objects[0x84] == Hex.bytes("A000000003101002"))
        #expect(try terminal.send("00A4040205A00000000300").status == .fileNotFound)
        card.unlock()
        let answer = try terminal.options(TestTerminal.pdolData())
        #expect(Hex.string(answer.objects[0x57] ?? []).hasPrefix("4895380000000014D"))
        #expect(card.state.applications["A000000003101002"]?.transactionCounter == 1)
        #expect(card.state.applications["A0000000031010"]?.transactionCounter == 0)
    }
}

@Suite struct RiskTests {
    /// Amount, TTQ, currency, transaction type, and what the fresh debit card answers: type and CTQ.
    static let decisions:
        [(String, UInt64, String, UInt64, UInt8, CryptogramInformationData.CryptogramType, String)] = [
            ("small: offline", 1000, "36004000", 978, 0x00, .tc, "2840"),
            ("at the single limit", 2500, "36004000", 978, 0x00, .tc, "2840"),
            ("above the single limit", 2501, "36004000", 978, 0x00, .arqc, "2840"),
            ("another currency", 1000, "36004000", 840, 0x00, .arqc, "2840"),
            ("reader wants an online cryptogram", 1000, "36804000", 978, 0x00, .arqc, "2840"),
            ("reader requires a CVM: online PIN", 1000, "36404000", 978, 0x00, .arqc, "A840"),
            ("offline-only reader, small", 1000, "2A004000", 978, 0x00, .tc, "2840"),
            ("offline-only reader, above the limit", 2501, "2A004000", 978, 0x00, .aac, "2840"),
            ("no common CVM, no contact chip", 1000, "22404000", 978, 0x00, .aac, "2840"),
            ("refund", 1000, "36004000", 978, 0x20, .aac, "2840"),
            ("zero", 0, "36004000", 978, 0x00, .tc, "2840"),
        ]

    @Test(arguments: decisions) func debit(
        name: String, amount: UInt64, ttq: String, currency: UInt64, type: UInt8,
        expected: CryptogramInformationData.CryptogramType, ctq: String
    ) throws {
        let terminal = TestTerminal(try makeCard("visa-debit"))
        let answer = try terminal.tap(amount: amount, ttq: ttq, currency: currency, type: type)
        #expect(answer.status == .success)
        #expect(cryptogramType(answer) == expected)
        #expect(answer.objects[0x9F6C] == Hex.bytes(ctq))
        // CVR byte 2: the type of the cryptogram.
        #expect(answer.objects[0x9F10]?[4] == [.aac: 0x80, .tc: 0x90, .arqc: 0xA0][expected])
        // A signature comes with every TC and, from this reader, with nothing else.
        #expect((answer.objects[0x9F4B] != nil) == (expected == .tc))
    }

    @Test func noCommonMethodButAContactChip() throws {
        let terminal = TestTerminal(try makeCard("visa-debit"))
        #expect(try terminal.tap(ttq: "32404000").status == .referenceDataInvalidated)
    }

    @Test func creditCardSignsWhereTheReaderSupportsIt() throws {
        let terminal = TestTerminal(try makeCard("visa-credit"))
        #expect(try terminal.tap(ttq: "36404000").objects[0x9F6C] == [0x68, 0x00])
        #expect(try terminal.tap(ttq: "34404000").objects[0x9F6C] == [0xA8, 0x00])
    }

    @Test func countersLeadOnline() throws {
        let card = try makeCard("visa-debit")
        let terminal = TestTerminal(card)
        // Five in a row, then online.
        for left in [9000, 8000, 7000, 6000, 5000] as [UInt64] {
            let answer = try terminal.tap(amount: 1000)
            #expect(cryptogramType(answer) == .tc)
            #expect(answer.objects[0x9F5D] == BCD.bytes(left, count: 6))
        }
        let sixth = try terminal.tap(amount: 1000)
        #expect(cryptogramType(sixth) == .arqc)
        #expect(sixth.objects[0x9F10]?[5] == 0x20, "velocity exceeded")
        // By amount: 4 times 25.00, then nothing is left.
        let other = TestTerminal(try makeCard("visa-debit"))
        for _ in 0..<4 { #expect(cryptogramType(try other.tap(amount: 2500)) == .tc) }
        #expect(cryptogramType(try other.tap(amount: 1)) == .arqc)
        #expect(try other.send("80CA9F5D00").data == Hex.bytes("9F5D06000000000000"))
    }

    @Test func decliningCard() throws {
        let card = try makeCard("visa-credit") { $0.applications[0].risk.decision = .decline }
        #expect(cryptogramType(try TestTerminal(card).tap()) == .aac)
    }
}

@Suite struct StateTests {
    @Test func transactionCounterOutlivesTheCardObject() throws {
        let profile = try CardLibrary.profile("visa-debit")
        var state: CardState?
        for expected in 1...3 as ClosedRange<UInt8> {
            let card = try EmulatedCard(profile: profile, state: state, random: SeededGenerator(seed: 1))
            #expect(try TestTerminal(card).tap(amount: 100).objects[0x9F36] == [0, expected])
            let data = try JSONEncoder().encode(card.state)
            state = try JSONDecoder().decode(CardState.self, from: data)
            #expect(state == card.state)
        }
        #expect(state?.applications["A0000000031010"]?.cumulativeOffline == 300)
        #expect(throws: PersonalisationError.self) {
            try EmulatedCard(profile: CardLibrary.profile("visa-credit"), state: state)
        }
    }

    @Test func transactionCounterHasAnEnd() throws {
        let card = try makeCard("visa-credit") { $0.applications[0].risk.transactionCounterLimit = 3 }
        let terminal = TestTerminal(card)
        #expect(try terminal.tap().status == .success)
        #expect(try terminal.tap().status == .success)
        #expect(try terminal.tap().status == .conditionsNotSatisfied)

        let profile = try CardLibrary.profile("visa-credit")
        var state = CardState(fresh: profile)
        state.applications["A0000000031010"]?.transactionCounter = 0xFFFD
        let old = TestTerminal(try EmulatedCard(profile: profile, state: state))
        #expect(try old.tap().objects[0x9F36] == [0xFF, 0xFE])
        #expect(try old.tap().status == .conditionsNotSatisfied)
        #expect(try old.select().status == .fileInvalidated)
        #expect(try old.send("80CA9F3600").data == Hex.bytes("9F3602FFFF"))
    }

    @Test func failedCommandsLeaveTheCounter() throws {
        let card = try makeCard("visa-credit")
        let terminal = TestTerminal(card)
        card.powerOn()
        _ = try terminal.select()
        _ = try terminal.send("80A8000002830000")
        _ = try terminal.send("80A8000002840000")
        #expect(try terminal.send("80CA9F3600").data == [0x9F, 0x36, 2, 0, 0])
    }

    @Test func logKeepsTheLatestTen() throws {
        let card = try makeCard("visa-credit")
        let terminal = TestTerminal(card)
        for amount in 1...12 as ClosedRange<UInt64> { _ = try terminal.tap(amount: amount) }
        #expect(
            try terminal.send("00B2015C00").data
                == Hex.bytes("261121" + "000000000012" + "0978" + "0276" + "000C" + "80"))
        #expect(try terminal.send("00B20A5C00").status == .success)
        #expect(try terminal.send("00B20B5C00").status == .recordNotFound)
    }

    @Test func sameSeedSameTrace() throws {
        func trace(_ seed: UInt64) throws -> [[UInt8]] {
            let card = try EmulatedCard(
                profile: CardLibrary.profile("visa-debit"), random: SeededGenerator(seed: seed))
            let terminal = TestTerminal(card)
            let answer = try terminal.tap()
            return [answer.bytes] + (try terminal.records(answer).map(\.response.bytes))
        }
        #expect(try trace(1) == trace(1))
        #expect(try trace(1) != trace(2))
    }
}

@Suite struct PhoneTests {
    @Test func seePhoneThenUnlockThenPay() throws {
        let card = try makeCard("apple-pay-visa")
        let terminal = TestTerminal(card)
        #expect(try terminal.tap(amount: 100).status == .commandNotAllowed)
        #expect(card.asksToUnlock && !card.isUnlocked)
        #expect(card.state.applications["A0000000031010"]?.transactionCounter == 0)
        card.unlock()
        let answer = try terminal.tap(amount: 100, ttq: "36404000")
        #expect(cryptogramType(answer) == .arqc)
        #expect(answer.objects[0x9F6C] == [0x00, 0x80], "CVM performed on the device")
        // Good for one payment.
        #expect(!card.isUnlocked)
        #expect(try terminal.tap(amount: 100).status == .commandNotAllowed)
    }

    @Test func ownerUnlocksWhenAsked() throws {
        let card = try makeCard("alipay-wallet")
        card.ownerUnlocksWhenAsked = true
        let terminal = TestTerminal(card)
        #expect(try terminal.tap().status == .commandNotAllowed)
        card.powerOff()
        #expect(try terminal.tap().status == .success)
        #expect(try terminal.tap().status == .commandNotAllowed)
    }

    /// Amount, TTQ, unlocked, expected status and CTQ of the Google Pay type phone.
    static let googlePayTaps: [(UInt64, String, Bool, StatusWord, String?)] = [
        (1000, "36004000", false, 0x9000, "0000"),
        (5000, "36004000", false, 0x9000, "0000"),
        (5001, "36004000", false, 0x6986, nil),
        (1000, "36404000", false, 0x6986, nil),
        (5001, "36004000", true, 0x9000, "0080"),
        (1000, "36404000", true, 0x9000, "0080"),
    ]
    @Test(arguments: googlePayTaps) func tapAndGo(
        amount: UInt64, ttq: String, unlocked: Bool, status: StatusWord, ctq: String?
    ) throws {
        let card = try makeCard("google-pay-visa")
        if unlocked { card.unlock() }
        let answer = try TestTerminal(card).tap(amount: amount, ttq: ttq)
        #expect(answer.status == status)
        #expect(answer.objects[0x9F6C] == ctq.flatMap { Hex.bytes($0) })
    }

    @Test func readerWithoutDeviceVerification() throws {
        let card = try makeCard("apple-pay-visa")
        card.unlock()
        #expect(cryptogramType(try TestTerminal(card).tap(ttq: "36400000")) == .aac)
    }

    @Test func transitGateNeedsNoUnlock() throws {
        let card = try makeCard("apple-pay-visa")
        let terminal = TestTerminal(card)
        card.announceTransitReader()
        let answer = try terminal.tap(amount: 0, ttq: "27004000")
        #expect(cryptogramType(answer) == .arqc && answer.objects[0x9F4B] != nil)
        #expect(answer.objects[0x9F6C] == [0, 0])
        card.powerOff()
        #expect(try terminal.tap(amount: 0).status == .commandNotAllowed)
        let other = try makeCard("alipay-wallet")
        other.announceTransitReader()
        #expect(try TestTerminal(other).tap(amount: 0).status == .commandNotAllowed)
    }

    @Test func plasticHasNothingToUnlock() throws {
        let card = try makeCard("visa-credit")
        card.unlock()
        #expect(!card.isUnlocked)
    }
}
