import BERTLV
import Cards
import EMV
import Foundation
import ProfileFile
import SmartCard
import Testing

@Suite struct ProfileTests {
    /// The table of test values that issuer and cards share.
    static let expected:
        [(id: String, pan: String, psn: UInt8, expiry: Int, version: Int, requestor: String?)] = [
            ("visa-credit", "4761739001010119", 1, 3112, 10, nil),
            ("visa-debit", "4761739001010135", 1, 3112, 18, nil),
            ("visa-expired", "4761739001010143", 1, 2412, 10, nil),
            ("visa-blocked", "4761739001010150", 1, 3112, 10, nil),
            ("visa-tampered", "4761739001010168", 1, 3112, 10, nil),
            ("visa-no-oda", "4761739001010176", 1, 3112, 17, nil),
            ("visa-poor", "4761739001010184", 1, 3112, 10, nil),
            ("apple-pay-visa", "4895370000000015", 0, 2908, 18, "40010030273"),
            ("google-pay-visa", "4895380000000014", 0, 2905, 17, "40010075001"),
            ("alipay-wallet", "4895390000000013", 0, 2810, 18, "40010099901"),
            ("mc-credit", "5413330089020011", 1, 3112, 16, nil),
            ("mc-debit", "5413330089020029", 1, 3112, 20, nil),
            ("mc-no-oda", "5413330089020037", 1, 3112, 17, nil),
            ("mc-mag-stripe", "5413330089020045", 1, 3112, 16, nil),
            ("mc-data-storage", "5413330089020052", 1, 3112, 20, nil),
            ("mc-declines", "5413330089020060", 1, 3112, 20, nil),
            ("apple-pay-mastercard", "5204740000001002", 0, 2908, 21, "50110030273"),
            ("google-pay-mastercard", "5204740000002000", 0, 2905, 20, "50120834693"),
        ]

    @Test func allBuiltInProfilesAreInTheTable() {
        #expect(CardLibrary.identifiers == Self.expected.map(\.id))
    }

    @Test(arguments: expected) func profile(
        id: String, pan: String, psn: UInt8, expiry: Int, version: Int, requestor: String?
    ) throws {
        let profile = try CardLibrary.profile(id)
        let application = try #require(profile.applications.first)
        #expect(profile.id == id)
        #expect(profile.kind == (requestor == nil ? .card : .phone))
        #expect(application.primaryAccountNumber.clearDigits == pan)
        #expect(application.sequenceNumber == psn)
        #expect(application.expiry == expiry)
        #expect(application.cryptogram.version.rawValue == version)
        #expect(application.tokenRequestor == requestor)
        // Personalisation makes records that a reader can take apart.
        let card = try EmulatedCard(profile: profile, random: SeededGenerator(seed: 1))
        #expect(card.answerToReset.prefix(2) == [0x3B, 0x80 | UInt8(card.activation.ats.count - 5)])
        card.unlock()
        let terminal = TestTerminal(card)
        guard application.scheme == .visa else { return }
        let answer = try terminal.tap(ttq: "37004000")
        if id == "visa-blocked" {
            #expect(answer.status == .conditionsNotSatisfied)
            return
        }
        #expect(answer.status == .success)
        let track2 = try #require(Track2EquivalentData(answer.objects[0x57] ?? []))
        #expect(track2.primaryAccountNumber.clearDigits == pan && track2.expiry == expiry)
        var tags: Set<BERTLV.Tag> = Set(answer.objects.keys)
        for record in try terminal.records(answer) {
            #expect(record.response.bytes.first == 0x70)
            for tag in record.response.objects.keys { #expect(tags.insert(tag).inserted, "\(tag) twice") }
            if let date = record.response.objects[0x5F24] {
                #expect(EMVDate(bytes: date)?.yymmdd == expiry * 100 + 31)
            }
            if let value = record.response.objects[0x9F19], let requestor {
                #expect(Hex.string(value) == "0" + requestor)
            }
        }
        #expect(tags.isSuperset(of: [0x57, 0x5A, 0x5F24, 0x5F34, 0x9F07, 0x5F28]))
        #expect(tags.contains(0x9F4B) == (id != "visa-no-oda"))
        #expect(tags.isSuperset(of: [0x9F19, 0x9F24, 0x9F25, 0x9F6E]) == (requestor != nil))
    }

    /// A change to visa-debit.yaml, whether the error must name the very line changed, and words that it has.
    static let mistakes: [(from: String, to: String, atLine: Bool, words: String)] = [
        ("kind: card", "kind: crad", true, "did you mean \"card\""),
        ("label: VISA DEBIT", "labell: VISA DEBIT", false, "\"label\" is missing"),
        ("priority: 1", "priorty: 1", true, "did you mean \"priority\""),
        ("4761739001010135", "4761739001010136", true, "check digit"),
        ("expires: 2031-12", "expires: 12/31", true, "2031-12"),
        ("9F37 04", "9F37", true, "length byte"),
        ("usage-control: FF80", "usage-control: FF8", true, "hexadecimal digits in pairs"),
        ("version: 18", "version: 22", true, "expected 10, 16, 17, 18, 20 or 21"),
        ("card-key: icc-a", "card-key: icc-x", false, "known: ca-mastercard"),
        ("method: fdda-01", "method: dda", true, "fdda-00"),
        ("consecutive-limit: 5", "consecutive-limit: 500", true, "0...255"),
        ("9F7C: 01 02 03 04", "9F7C: 0g", true, "hexadecimal"),
        ("tags: [90]", "tags: [9F50]", false, "lists 9F50, which the profile does not give"),
        ("record: 2, for", "record: 3, for", true, "numbered upwards"),
        ("sfi: 1,", "sfi: 31,", true, "1...10"),
        ("languages: deen", "languages: deu", true, "two letters"),
        ("applications:", "applications: []\nother:", false, "1...8 applications"),
        ("uid: 08A00135", "uid: 08A001", true, "4...10 bytes"),
    ]

    @Test(arguments: mistakes) func mistakesNameFileLineAndWhatWasExpected(
        from: String, to: String, atLine: Bool, words: String
    ) throws {
        let text = try #require(CardLibrary.text(of: "visa-debit"))
        let place = try #require(text.firstRange(of: from))
        let line = text[..<place.lowerBound].count { $0 == "\n" } + 1
        let changed = text.replacing(from, with: to, maxReplacements: 1)
        let error = try #require(throws: ProfileFileError.self) {
            try CardProfile(ProfileFile(file: "mine.yaml", text: changed))
        }
        #expect(error.file == "mine.yaml")
        #expect(error.description.contains(words), "\(error)")
        if atLine { #expect(error.line == line, "\(error)") }
    }

    @Test func profilesAreReadFromPathsToo() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("card-\(UUID()).yaml").path
        try CardLibrary.text(of: "visa-credit")!.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try CardLibrary.profile(path) == CardLibrary.profile("visa-credit"))
        #expect(throws: ProfileFileError.self) { try CardLibrary.profile("no-such-card") }
        #expect(throws: ProfileFileError.self) { try CardLibrary.profile("/no/such/card.yaml") }
    }

    @Test func personalisationRefusesWhatCannotBeMade() throws {
        let profile = try CardLibrary.profile("visa-credit")
        func refused(_ change: (inout ApplicationProfile) -> Void) {
            var changed = profile
            change(&changed.applications[0])
            #expect(throws: PersonalisationError.self) { try EmulatedCard(profile: changed) }
        }
        refused { $0.cryptogram.keySet = "nobody" }
        refused { $0.authentication.cardKey = "nobody" }
        refused { $0.applicationIdentifier = [0xA0, 0, 0, 0, 0x99, 0x10] }
        refused { $0.pdol = [0x9F] }
        refused { $0.pdol = [0x9F, 0x66, 0x03] }
        refused { $0.pdol = [0x9F, 0x4E, 0xFF] }
        refused { $0.records[1].tags.append(0x9F50) }
        refused {
            $0.records[0].tags.append(0x9F01)
            $0.data.set(0x9F01, [UInt8](repeating: 1, count: 255))
        }
        refused {
            $0.authentication.cardKey = "icc-long"
            $0.records.removeLast()
        }
        var empty = profile
        empty.applications = []
        #expect(throws: PersonalisationError.self) { try EmulatedCard(profile: empty) }
    }

    @Test func authorityKeysAreWhatATerminalLoads() throws {
        let keys = TestCertificationAuthority.publicKeys
        #expect(keys.map { Hex.string($0.rid.bytes) } == ["A000000003", "A000000004"])
        for key in keys {
            #expect(key.index == 0xF1 && key.key.byteCount == 248 && key.key.exponent == [3])
            #expect(key.expiry == EMVDate(year: 2049, month: 12, day: 31))
            #expect(TestCertificationAuthority.terminalProfileText.contains(Hex.string(key.checksum)))
        }
    }
}
