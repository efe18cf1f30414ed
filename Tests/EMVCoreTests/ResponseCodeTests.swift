import EMV
import Testing

@Suite struct ResponseCodeTests {
    typealias Table = ResponseCodeTable

    /// Which codes approve, by version and class of message, out of all that can be written: the whole truth.
    /// From the code lists of 1987 and 1993.
    static let approvals: [(Table.Version, Table.MessageClass, Set<String>)] = [
        (.v1987, .authorization, ["00", "08", "10", "11", "16", "32"]),
        (.v1987, .advice, ["00", "08", "10", "11", "16", "32"]),
        (.v1987, .reversal, ["00"]), (.v1987, .reconciliation, ["00"]), (.v1987, .networkManagement, ["00"]),
        (.v1993, .authorization, Set((0...99).map { "0" + ($0 < 10 ? "0" : "") + "\($0)" })),
        (
            .v1993, .advice,
            Set((0...99).map { "0" + ($0 < 10 ? "0" : "") + "\($0)" }).union(["300", "900", "901"])
        ),
        (.v1993, .reversal, ["000", "400", "900", "901"]), (.v1993, .reconciliation, ["000", "500"]),
        (.v1993, .networkManagement, ["000", "800"]),
    ]

    static func allCodes(_ version: Table.Version) -> [String] {
        let count = version == .v1987 ? 2 : 3
        return (0..<(version == .v1987 ? 100 : 1000)).map {
            String(repeating: "0", count: count - "\($0)".count) + "\($0)"
        }
    }

    @Test(arguments: approvals) func whatApproves(
        _ version: Table.Version, _ messageClass: Table.MessageClass, _ expected: Set<String>
    ) {
        let table = Table(version)
        let found = Self.allCodes(version).filter { table.meaning(of: $0, in: messageClass).isApproval }
        #expect(Set(found) == expected)
    }

    /// Codes with a meaning of their own, in responses to payments.
    @Test(arguments: [
        ("00", ResponseMeaning.approved), ("08", .approvedWithIdentification), ("10", .approvedInPart),
        ("11", .approved), ("16", .approved), ("01", .referral), ("04", .pickUp), ("05", .declined),
        ("09", .inProgress), ("25", .notFound), ("30", .formatError), ("41", .pickUp), ("51", .declined),
        ("68", .tryAgain), ("91", .tryAgain), ("94", .duplicate), ("95", .invalid), ("96", .tryAgain),
        ("77", .unknown), ("Z3", .unknown), ("1A", .unknown), ("0", .invalid), ("", .invalid),
        ("0 ", .invalid), ("é", .invalid),
        ("000", .approved), ("001", .approvedWithIdentification), ("002", .approvedInPart),
        ("003", .approved),
        ("004", .approved), ("005", .approved), ("006", .approvedInPart), ("007", .approved),
        ("060", .approvedOtherwise), ("100", .declined), ("116", .declined), ("188", .unknown),
        ("208", .pickUp), ("299", .unknown), ("300", .invalid), ("400", .invalid), ("499", .invalid),
        ("500", .invalid), ("501", .invalid), ("600", .invalid), ("700", .invalid), ("800", .invalid),
        ("900", .invalid), ("904", .formatError), ("907", .tryAgain), ("923", .inProgress),
        ("999", .unknown), ("0A0", .invalid), ("٠٠٠", .invalid), ("0000", .invalid),
    ]) func meanings(_ code: String, _ meaning: ResponseMeaning) {
        #expect(Table.meaning(of: code) == meaning)
    }

    /// Nothing is both, and no code of another class is anything.
    @Test func meaningsAreOneThing() {
        for meaning in ResponseMeaning.allCases { #expect(!(meaning.isApproval && meaning.isRefusal)) }
        let foreign: [(Table.MessageClass, [String])] = [
            (.reversal, ["001", "007", "060", "500", "800", "300", "600", "700"]),
            (.reconciliation, ["001", "400", "800", "900"]),
            (.networkManagement, ["001", "400", "500", "900"]), (.advice, ["400", "500", "800"]),
        ]
        for (messageClass, codes) in foreign {
            for code in codes {
                #expect(
                    Table.meaning(of: code, in: messageClass) == .invalid, "\(code) to \(messageClass)")
            }
        }
    }

    /// Every line of both tables is read: as many codes as they have, each with a text.
    @Test(arguments: [(Table.Version.v1987, 72), (.v1993, 91)])
    func wholeTables(_ version: Table.Version, _ count: Int) {
        let codes = Table.codes(version)
        #expect(codes.count == count)
        for code in codes {
            #expect(Table.text(code)?.isEmpty == false)
            let card = Table.authorisationResponseCode(of: code)
            #expect(card.utf8.count == 2)
            // A card is told of an approval if and only if the host approved.
            #expect(
                Table.meaning(of: card).isApproval == Table.meaning(of: code).isApproval
                    || Table.meaning(of: code) == .invalid, "\(code) is \(card) to the card")
        }
    }

    @Test(arguments: [
        ("000", "00"), ("001", "08"), ("002", "10"), ("003", "11"), ("004", "16"), ("005", "00"),
        ("006", "10"), ("007", "00"), ("100", "05"), ("101", "54"), ("116", "51"), ("117", "55"),
        ("106", "75"), ("121", "61"), ("208", "41"), ("209", "43"), ("907", "91"), ("188", "05"),
        ("299", "04"), ("999", "96"), ("08", "08"), ("16", "16"),
    ]) func whatTheCardGets(_ code: String, _ card: String) {
        #expect(Table.authorisationResponseCode(of: code) == card)
    }

    /// What a simulated host sends of 1987's codes is read as the same again.
    @Test(arguments: Table.MessageClass.allCases) func thereAndBack(_ messageClass: Table.MessageClass) {
        let table = Table(.v1993)
        for code in ["00", "05", "12", "30", "51", "54", "91", "94", "96"] {
            let sent = table.code(for: code, in: messageClass)
            #expect(sent.utf8.count == 3)
            #expect(
                table.meaning(of: sent, in: messageClass)
                    == Table(.v1987).meaning(of: code, in: messageClass),
                "\(code) goes as \(sent) to \(messageClass)")
        }
        #expect(Table(.v1987).code(for: "51", in: messageClass) == "51")
    }

    @Test func overrides() {
        var own: Table.Overrides = ["Z3": "91", "85": "00"]
        own["21", .reversal] = .meaning(.notFound)
        own["08", nil] = .meaning(.declined)
        let table = Table(.v1987, overrides: own)
        #expect(table.meaning(of: "Z3", in: .authorization) == .tryAgain)
        #expect(table.meaning(of: "85", in: .authorization) == .approved)
        #expect(table.authorisationResponseCode(of: "85") == "00")
        #expect(table.meaning(of: "08", in: .authorization) == .declined)
        #expect(table.authorisationResponseCode(of: "08") == "05")
        #expect(table.meaning(of: "21", in: .reversal) == .notFound)
        #expect(table.meaning(of: "21", in: .authorization) == .declined)
    }
}
