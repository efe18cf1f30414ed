import Acquiring
import BERTLV
import EMV
import ISO8583
import ISO8583Backend
import ISO8583Dialects
import ProfileFile
import Testing

/// Values by the standards' tables of fields, written out here by hand.
@Suite struct RequestMessageTests {
    func fields(_ message: Message) -> [Int: String] {
        Dictionary(
            uniqueKeysWithValues: message.fields.filter { $0 != 55 && $0 != 52 }.map {
                ($0, message.text($0) ?? "?")
            })
    }

    @Test func chipSaleOf1987() throws {
        let message = MessageBuilder(try .named("generic-bcd")).authorization(Payment().request)
        #expect(message.type == 0x0200)
        #expect(
            fields(message) == [
                2: "4761739001010119", 3: "000000", 4: "000000001500", 7: "1120223015", 11: "000001",
                12: "223015",
                13: "1120", 14: "3112", 18: "5812", 22: "071", 23: "001", 25: "00", 32: "00000000001",
                35: "4761739001010119D31122011143878089000", 37: "632500000001", 41: "TERM0001",
                42: "MERCHANT0000001", 43: "Tapbridge Demo Store                  DE",
                48: "WA0010CV0010PU001SPP0010", 49: "978",
            ])
        #expect(message[55].map { Array($0) } == Payment().request.chipData)
    }

    @Test func magStripeModeHasNoChipData() throws {
        var request = Payment(number: "5413330089010434").request
        request.entryMode = .contactlessMagStripe
        request.chipData = []
        request.panSequenceNumber = nil
        let message = MessageBuilder(try .named("generic-ascii")).authorization(request)
        #expect(message.text(22) == "911")
        #expect(message.text(35) == "5413330089010434=31122011143878089000")
        #expect(message[55] == nil && message[23] == nil)
    }

    @Test func saleOf1993() throws {
        var request = Payment().request
        request.cvm = .confirmationCodeVerified
        let message = MessageBuilder(try .named("generic-93-ascii")).authorization(request)
        #expect(message.type == 0x1200)
        #expect(message.text(12) == "261120223015")
        #expect(message.text(22) == "510101M9114C")
        #expect(message.text(24) == "200")
        #expect(message.text(26) == "5812")
        #expect(message[13] == nil && message[18] == nil && message[25] == nil)
    }

    @Test func preAuthorizationAndDeferred() throws {
        var interface = try HostInterface.named("generic-bcd")
        var request = Payment().request
        request.purpose = .preAuthorization
        #expect(MessageBuilder(interface).authorization(request).type == 0x0100)
        request.purpose = .deferred
        let deferred = MessageBuilder(interface).authorization(request)
        #expect(deferred.type == 0x0200)
        #expect(deferred.text(48)?.contains("PU001D") == true)
        interface.sale = .authorization
        #expect(MessageBuilder(interface).authorization(Payment().request).type == 0x0100)
    }

    @Test func pinCashbackAndTokens() throws {
        var request = Payment().request
        request.amountOther = Amount(minorUnits: 500)!
        request.cvm = .onlinePIN
        request.onlinePIN = EncipheredPIN(
            block: bytes("0123456789ABCDEF"), keySerialNumber: bytes("FFFF9876543210E00001"))
        request.acceptsPartialApproval = true
        request.chipData +=
            bytes("9F19060400100300019F6E04238800009F241D") + Array("V0010013019000000000000000001".utf8)
        let message = MessageBuilder(try .named("generic-bcd")).authorization(request)
        #expect(message.text(54) == "0040978D000000000500")
        #expect(message[52].map { Array($0) } == bytes("0123456789ABCDEF"))
        #expect(
            message.text(48)
                == "TR01140010030001PA029V0010013019000000000000000001FF00823880000WA0011CV0012PU001SPP0011KS020FFFF9876543210E00001"
        )
    }

    /// Field 52 has 64 bits (ISO 8583:1987 and 1993): a block of format 4 goes where the host's file says, and no PIN is
    /// left out silently.
    @Test(arguments: ["generic-ascii", "generic-bcd", "generic-93-bcd", "generic-ebcdic", "jpos-87a"])
    func pinBlocksOfFormat4(_ dialect: String) throws {
        let block = bytes("0123456789ABCDEF0011223344556677")
        var request = Payment().request
        request.cvm = .onlinePIN
        request.onlinePIN = EncipheredPIN(block: block, keySerialNumber: bytes("123456789012345600000001"))
        var interface = try HostInterface.named(dialect)
        let message = MessageBuilder(interface).authorization(request)
        #expect(message[52] == nil)
        #expect(message.text(126) == "0123456789ABCDEF0011223344556677")
        let packed = try interface.dialect.pack(message)
        let read = try interface.dialect.unpack(packed)
        guard case .authorization(let back) = try RequestReader(interface).read(read, year: 2026) else {
            Issue.record("no authorization")
            return
        }
        #expect(back.onlinePIN?.block == block)
        #expect(back.onlinePIN?.keySerialNumber == bytes("123456789012345600000001"))
        #expect(back.cvm == .onlinePIN)
        #expect(!"\(interface.dialect.explain(packed).0)".contains("0011223344556677"))

        // A dialect whose field 52 is longer has room for it there.
        var fields = (2...128).compactMap { interface.dialect[$0] }
        for index in fields.indices where fields[index].number == 52 { fields[index].length = .fixed(16) }
        interface.dialect = Dialect(
            name: "wide", version: interface.dialect.version, typeEncoding: interface.dialect.typeEncoding,
            bitmapEncoding: interface.dialect.bitmapEncoding, fields: fields)
        #expect(MessageBuilder(interface).authorization(request)[52].map { Array($0) } == block)

        interface = try HostInterface.named(dialect)
        interface.longPINBlock = nil
        let refused = MessageBuilder(interface).authorization(request)
        #expect(throws: (any Error).self) { try interface.dialect.pack(refused) }
    }

    @Test func advicesReversalsAndAdjustments() throws {
        let builder = MessageBuilder(try .named("generic-bcd"))
        let request = Payment().request
        let offline = builder.advice(request, .approved)
        #expect(offline.type == 0x0220)
        #expect(offline.text(39) == "Y1")
        #expect(builder.advice(request, .declined).type == 0x0120)
        #expect(builder.advice(request, .declined).text(39) == "Z1")

        var reversal = Payment().reversal
        reversal.authorizationCode = "123456"
        let first = builder.reversal(reversal)
        #expect(first.type == 0x0420)
        #expect(first.text(11) == "000001")
        #expect(first.text(37) == "632500000001")
        #expect(first.text(38) == "123456")
        // Type, trace number, date and time, acquirer, forwarding institution.
        #expect(first.text(90) == "0200" + "000001" + "1120223015" + "00000000001" + "00000000000")
        reversal.transmission = 2
        #expect(builder.reversal(reversal).type == 0x0421)
        reversal.original = nil
        #expect(
            builder.reversal(reversal).text(90) == "0200000001" + "0000000000" + "00000000000" + "00000000000"
        )

        let tip = builder.adjustment(
            AdjustmentRequest(
                kind: .completion, transactionID: "T", terminalID: "TERM0001", merchantID: "M", stan: 7,
                retrievalReference: "632500000007", authorizationCode: "654321",
                approvedAmount: Amount(minorUnits: 5000)!, amount: Amount(minorUnits: 4200)!, currency: euro,
                revision: 2, transmission: 3))
        #expect(tip.type == 0x0221)
        #expect(tip.text(4) == "000000004200")
        #expect(tip.text(25) == "06")
        #expect(tip.text(38) == "654321")
        #expect(tip.text(48) == "RV0012")
    }

    @Test func reconciliationAndUpload() throws {
        let builder = MessageBuilder(try .named("generic-bcd"))
        let message = builder.reconciliation(
            ReconciliationRequest(
                terminalID: "TERM0001", merchantID: "MERCHANT0000001", acquirerID: "1", batch: 12, stan: 99,
                currency: euro,
                totals: BatchTotals(debits: 3, debitAmount: 4500, credits: 1, creditAmount: 5000),
                isAfterUpload: false, date: EMVDate(yymmdd: 261120)!, hhmmss: 1))
        #expect(message.type == 0x0500)
        #expect(
            fields(message) == [
                7: "1120000001", 11: "000099", 12: "000001", 13: "1120", 32: "1", 41: "TERM0001",
                42: "MERCHANT0000001", 50: "978", 60: "0000120", 74: "0000000001", 75: "0000000000",
                76: "0000000003", 77: "0000000000", 86: "0000000000005000", 87: "0000000000000000",
                88: "0000000000004500", 89: "0000000000000000", 97: "C0000000000000500",
            ])
        let item = builder.upload(
            BatchItem(
                terminalID: "TERM0001", batch: 12, index: 2, count: 3, transactionID: "T", stan: 5,
                retrievalReference: "632500000005", authorizationCode: "ABC123",
                amount: Amount(minorUnits: 1)!,
                currency: euro, transactionType: 0x20, isOffline: true))
        #expect(item.type == 0x0320)
        #expect(
            item.text(3) == "200000" && item.text(39) == "Y1" && item.text(71) == "0002"
                && item.text(72) == "0003")
    }

    /// What the terminal writes, the host reads, in every dialect that has the fields.
    @Test(arguments: Dialect.builtInNames) func roundTrips(name: String) throws {
        let interface = try HostInterface.named(name)
        let builder = MessageBuilder(interface)
        let reader = RequestReader(interface)
        func read(_ message: Message) throws -> TerminalRequest {
            try reader.read(interface.dialect.unpack(interface.dialect.pack(message)), year: 2026)
        }
        let request = Payment(amount: 4321, stan: 77).request
        let id = "TERM0001/632500000077/000077"
        guard case .authorization(let sale) = try read(builder.authorization(request)) else {
            Issue.record("no authorization")
            return
        }
        #expect(sale.transactionID == id)
        #expect(sale.primaryAccountNumber == request.primaryAccountNumber)
        #expect(sale.amount == request.amount && sale.currency == euro && sale.date == request.date)
        #expect(sale.hhmmss == request.hhmmss && sale.entryMode == request.entryMode)
        #expect(
            sale.chipData == request.chipData && sale.track2 == request.track2
                && sale.expiry == request.expiry)
        #expect(sale.purpose == .sale && sale.panSequenceNumber == 1 && sale.country == request.country)
        #expect(sale.merchantID == request.merchantID && sale.merchantCategoryCode == "5812")

        guard
            case .reversal(let reversal) = try read(
                builder.reversal(Payment(amount: 4321, stan: 77).reversal))
        else {
            Issue.record("no reversal")
            return
        }
        #expect(reversal.transactionID == id && reversal.amount == request.amount)
        guard case .advice(let advice, let decision) = try read(builder.advice(request, .declined)) else {
            Issue.record("no advice")
            return
        }
        #expect(advice.transactionID == id && decision == .declined)
        let adjustment = AdjustmentRequest(
            kind: .tip, transactionID: "T", terminalID: "TERM0001", merchantID: "M", stan: 77,
            retrievalReference: "632500000077", authorizationCode: "654321", approvedAmount: request.amount,
            amount: Amount(minorUnits: 5000)!, currency: euro, revision: 2)
        guard case .adjustment(let changed) = try read(builder.adjustment(adjustment)) else {
            Issue.record("no adjustment")
            return
        }
        #expect(changed.transactionID == id && changed.revision == 2 && changed.amount == adjustment.amount)
        #expect(changed.kind == .tip)
        // Totals need the secondary bitmap's fields, which not every dialect has.
        guard interface.dialect[88] != nil else { return }
        let batch = ReconciliationRequest(
            terminalID: "TERM0001", merchantID: "MERCHANT0000001", acquirerID: "00000000001", batch: 12,
            stan: 99,
            currency: euro, totals: BatchTotals(debits: 3, debitAmount: 4500, credits: 1, creditAmount: 5000),
            isAfterUpload: true, date: EMVDate(yymmdd: 261120)!, hhmmss: 130501)
        guard case .reconciliation(let read) = try read(builder.reconciliation(batch)) else {
            Issue.record("no reconciliation")
            return
        }
        #expect(read == batch)
    }

    /// Without field 2 the track tells number and scheme.
    @Test func trackAlone() throws {
        var interface = try HostInterface.named("generic-bcd")
        interface.sendsNumberWithTrack = false
        interface.additionalData[.visa] = HostInterface.standardFields
        interface.additionalData[.other] = []
        var request = Payment().request
        request.acceptsPartialApproval = true
        request.chipData = []
        request.entryMode = .contactlessMagStripe
        let message = MessageBuilder(interface).authorization(request)
        #expect(message[2] == nil && message[14] == nil)
        guard case .authorization(let read) = try RequestReader(interface).read(message, year: 2026) else {
            Issue.record("no authorization")
            return
        }
        #expect(read.primaryAccountNumber == request.primaryAccountNumber)
        #expect(read.acceptsPartialApproval)
    }

    @Test(arguments: [
        ([2, 35], "fields 2 and 35"), ([4], "field 4"), ([11], "field 11"), ([22], "field 22"),
        ([37], "field 37"),
        ([41], "field 41"), ([49], "field 49"), ([7, 12], "field 12"), ([3], "field 3"),
    ]) func whatIsMissing(removed: [Int], says: String) throws {
        let interface = try HostInterface.named("generic-ascii")
        var message = MessageBuilder(interface).authorization(Payment().request)
        for field in removed { message.remove(field) }
        #expect {
            try RequestReader(interface).read(message, year: 2026)
        } throws: { "\($0)".contains(says) }
    }

    @Test func chipDataByScheme() throws {
        var interface = try HostInterface.named("generic-bcd")
        interface.chipTags = [.visa: [0x9F26, 0x9F36]]
        let message = MessageBuilder(interface).authorization(Payment().request)
        let data = try #require(message[55])
        #expect(data.count == 11 + 5)
        #expect(Hex.string(data).hasPrefix("9F3602000") || Hex.string(data).hasPrefix("9F2608"))
        var other = Payment().request
        other.chipData = other.chipData.replacing(
            bytes("8407A0000000031010"), with: bytes("8407A0000000041010"))
        #expect(MessageBuilder(interface).authorization(other)[55]?.count == other.chipData.count)
    }
}

@Suite struct AnswerTests {
    static let sent = SentAuthorization(Payment().request)

    func answer(_ dialect: String = "generic-bcd", _ change: (inout Message) -> Void = { _ in }) throws -> (
        AnswerReader, Message
    ) {
        let interface = try HostInterface.named(dialect)
        var message = Message(interface.dialect.version == .v1993 ? 0x1210 : 0x0210)
        for (field, text) in [
            (4, "000000001500"), (11, "000001"), (37, "632500000001"), (38, "123456"), (39, "00"),
            (41, "TERM0001"),
            (49, "978"),
        ] { message.set(field, text) }
        change(&message)
        return (AnswerReader(interface), message)
    }

    @Test func readsEverything() throws {
        let (reader, message) = try answer { message in
            message.set(6, "000000011700")
            message.set(10, "27800000")
            message.set(51, "156")
            message.set(44, "APPROVED  ")
            message.set(54, "0001978C0000000000990002978C000000001234")
            message.set(
                55,
                bytes(
                    "910A AABBCCDDEEFF11223030 7209 9F180400000001 8600 710286008A023030".filter { $0 != " " }
                ))
        }
        let response = try reader.authorization(message, of: Self.sent)
        #expect(
            response.isApproved && response.authorizationCode == "123456" && response.message == "APPROVED")
        #expect(response.issuerAuthenticationData == bytes("AABBCCDDEEFF11223030"))
        #expect(response.issuerScripts == bytes("72099F18040000000186007102860 0".filter { $0 != " " }))
        #expect(
            response.accountCharge
                == AccountCharge(
                    amount: Amount(minorUnits: 11700)!, currency: NumericCode(156)!, currencyExponent: 2,
                    rate: "78000.00"))
        #expect(
            response.availableBalance
                == AccountBalance(amount: Amount(minorUnits: 1234)!, currency: euro, currencyExponent: 2))
    }

    /// Field 38 is letters and digits; what else a host sends there is shown to nobody.
    @Test(arguments: [
        ("123456", "123456"), ("AB12  ", "AB12"), ("a1B2c3", "a1B2c3"), ("      ", nil), ("\u{1B}[2JAB", nil),
        ("=1+1;A", nil), ("12\u{8}456", nil), ("12345\u{7F}", nil), ("12\r\n56", nil), ("1<2>3&", nil),
    ]) func authorizationCode(_ code: String, _ expected: String?) throws {
        let (reader, message) = try answer { $0.set(38, code) }
        if code.allSatisfy({ $0 == " " }) || expected != nil {
            #expect(try reader.authorization(message, of: Self.sent).authorizationCode == expected)
        } else {
            #expect(throws: AcquirerError.malformedResponse("field 38 is not of letters and digits")) {
                try reader.authorization(message, of: Self.sent)
            }
        }
        for byte: UInt8 in 0...0xFF where !(0x20...0x7E).contains(byte) {
            let (reader, message) = try answer { $0.set(38, [0x41, 0x42, 0x43, byte, 0x44, 0x45]) }
            #expect(throws: AcquirerError.self) { try reader.authorization(message, of: Self.sent) }
        }
    }

    /// Decimals of a charge in the account's currency are the currency's.
    @Test(arguments: [("392", 0), ("414", 3), ("927", 4), ("940", 0), ("978", 2), ("998", 2)])
    func chargeDecimals(_ currency: String, _ digits: UInt8) throws {
        let (reader, message) = try answer { message in
            message.set(49, "840")
            message.set(6, "000000011700")
            message.set(51, currency)
            message.set(54, "0002" + currency + "C000000001234")
        }
        var request = Payment().request
        request.currency = NumericCode(840)!
        let response = try reader.authorization(message, of: SentAuthorization(request))
        #expect(response.accountCharge?.currencyExponent == digits)
        #expect(response.availableBalance?.currencyExponent == digits)
    }

    @Test(arguments: [
        ("77800000", "0.7800000"), ("60780000", "0.780000"), ("01234567", "1234567"),
        ("61234567", "1.234567"),
    ])
    func rates(field: String, rate: String) { #expect(AnswerReader.rate(field) == rate) }

    @Test(arguments: ["0.78", "7.80", "1", "1234567", "0.0012345"]) func ratesThereAndBack(text: String)
        throws
    {
        let field = try #require(AnswerBuilder.rate(text))
        let rate = try #require(AnswerReader.rate(field))
        #expect(abs(Double(rate)! - Double(text)!) < 1e-9)
    }

    /// Action codes of ISO 8583:1993: kept as they came, and the codes of 1987 that mean the same to a card.
    @Test(arguments: [
        ("000", "00"), ("100", "05"), ("101", "54"), ("116", "51"), ("117", "55"), ("106", "75"),
        ("121", "61"),
        ("208", "41"), ("209", "43"), ("907", "91"), ("188", "05"), ("299", "04"), ("999", "96"),
    ]) func codesOf1993(action: String, code: String) throws {
        let (reader, message) = try answer("generic-93-bcd") { $0.set(39, action) }
        let response = try reader.authorization(message, of: Self.sent)
        #expect(response.responseCode == action)
        #expect(response.authorisationResponseCode == code)
        #expect(response.isApproved == (code == "00"))
    }

    /// What the issuer's own data say goes to the card before what follows from field 39.
    @Test func theIssuersOwnCodeForTheCard() throws {
        let (reader, message) = try answer {
            $0.set(39, "16")
            $0.set(55, bytes("8A023030"))
        }
        let response = try reader.authorization(message, of: Self.sent)
        #expect(response.responseCode == "16")
        #expect(response.authorisationResponseCode == "00")
    }

    @Test func partialApproval() throws {
        let (reader, message) = try answer {
            $0.set(39, "10")
            $0.set(4, "000000001000")
        }
        #expect(try reader.authorization(message, of: Self.sent).approvedAmount == Amount(minorUnits: 1000))
    }

    @Test(arguments: [
        (4, "000000001400", "field 4"), (4, "00000000150X", "field 4"), (37, "632500000002", "field 37"),
        (49, "840", "field 49"), (39, "10", "field 4"), (39, "  ", "field 39"),
    ]) func answersOfSomethingElse(field: Int, text: String, says: String) throws {
        let (reader, message) = try answer {
            $0.set(field, text)
            if field == 39 { $0.remove(4) }
        }
        #expect {
            try reader.authorization(message, of: Self.sent)
        } throws: {
            guard case .malformedResponse(let reason)? = $0 as? AcquirerError else { return false }
            return reason.contains(says)
        }
    }

    @Test(arguments: ["9F", "910A00", "71820102"]) func brokenChipData(hex: String) throws {
        let (reader, message) = try answer { $0.set(55, bytes(hex)) }
        #expect {
            try reader.authorization(message, of: Self.sent)
        } throws: { ($0 as? AcquirerError)?.isOutcomeUnknown == true }
    }

    @Test func formatErrorsAreRejections() throws {
        let (reader, message) = try answer {
            $0.set(39, "30")
            $0.set(44, "field 4")
        }
        #expect {
            try reader.authorization(message, of: Self.sent)
        } throws: { ($0 as? AcquirerError)?.isOutcomeUnknown == false }
    }

    @Test(arguments: [
        ("00", nil), ("25", nil), ("91", Ending.notReady), ("96", .notReady), ("12", .rejected),
    ])
    func acknowledgements(code: String, ending: Ending?) throws {
        let (reader, message) = try answer { $0.set(39, code) }
        do throws(AcquirerError) {
            try reader.acknowledgement(message, alsoAccepted: [.notFound])
            #expect(ending == nil)
        } catch {
            #expect(Ending.of(error) == ending)
        }
    }

    @Test func codesOfTheFile() throws {
        var interface = try HostInterface.named("generic-bcd")
        interface.responseCodes = ["Z3": "91"]
        let (_, message) = try answer { $0.set(39, "Z3") }
        let response = try AnswerReader(interface).authorization(message, of: Self.sent)
        #expect(response.responseCode == "Z3")
        #expect(response.meaning == .tryAgain)
        #expect(response.authorisationResponseCode == "91")
    }
}

@Suite struct AcquirerFileTests {
    static let file = """
        name: acme
        hosts: [ "one.example:8583", "[::1]:99" ]
        connection: { answer-timeout: 20s, echo-interval: 5m, first-pause: 250ms }
        messages:
          dialect: generic-bcd
          framing: 2-byte tpdu
          header: "6000010002"
          sale: authorization
          reversal: request
          network-identifier: "003"
          response-codes: { Z3: "91", "85": approved, reversal: { "21": not-found } }
          chip-data: { visa: [ 9F26, "95" ] }
          mac: { algorithm: retail, key: "0123456789ABCDEFFEDCBA9876543210" }
          additional-data:
            other:
              48: { tag: 2, length: 3, elements: { TR: token-requestor, XX: "tag 9F6E", YY: "=hello" } }
            visa:
              60: { positions: [ "=05 2", "device-type 2", "batch 6" ] }
        """

    @Test func everything() throws {
        let file = try AcquirerFile(text: Self.file, source: "acme.yaml")
        #expect(file.name == "acme")
        #expect(
            file.endpoints == [Endpoint(host: "one.example", port: 8583), Endpoint(host: "::1", port: 99)])
        #expect(file.settings.answerTimeout == .seconds(20))
        #expect(file.settings.echoInterval == .seconds(300))
        #expect(file.interface.header == bytes("6000010002"))
        let codes = file.interface.responseCodeTable
        #expect(codes.meaning(of: "Z3", in: .authorization) == .tryAgain)
        #expect(codes.meaning(of: "85", in: .advice) == .approved)
        #expect(codes.meaning(of: "21", in: .reversal) == .notFound)
        #expect(codes.meaning(of: "21", in: .authorization) == .declined)
        let builder = MessageBuilder(file.interface)
        var request = Payment().request
        request.chipData += bytes("9F6E0423880000")
        let visa = builder.authorization(request)
        #expect(visa.type == 0x0100)
        #expect(visa.text(24) == "003")
        // Kind of device: the last five bits of 23.
        #expect(visa.text(60) == "0503      ")
        #expect(visa[48] == nil)
        #expect(visa[55].map { Hex.string($0) }?.contains("95050000000000") == true)
        request.chipData = request.chipData.replacing(
            bytes("8407A0000000031010"), with: bytes("8407A0000000041010"))
        #expect(builder.authorization(request).text(48) == "XX00823880000YY005hello")
        #expect(builder.reversal(Payment().reversal).type == 0x0400)
    }

    @Test(arguments: [
        ("hosts: [ \"one.example:8583\"", "hosts: [ \"one.example\"", 2, "host.example:8583"),
        ("hosts:", "host:", 1, "hosts"),
        ("answer-timeout: 20s", "answer-timeout: 20", 3, "30s"),
        ("first-pause: 250ms", "first-pause: 2m", 3, "longest-pause"),
        ("echo-interval", "echo-intervall", 3, "did you mean"),
        ("dialect: generic-bcd", "dialect: generic", 5, "generic-ascii"),
        ("2-byte tpdu", "3-byte", 6, "2-byte"),
        ("\"6000010002\"", "\"60000100\"", 7, "5 bytes"),
        ("sale: authorization", "sale: maybe", 8, "financial"),
        ("\"003\"", "3", 10, "three digits"),
        ("Z3: \"91\"", "Z3: \"911\"", 11, "two characters"),
        ("Z3: \"91\"", "Z3: \"Z4\"", 11, "two characters"),
        ("Z3: \"91\"", "Z33: \"91\"", 11, "code of 2 characters"),
        ("approved, rev", "aproved, rev", 11, "approved-in-part"),
        ("reversal: { \"21\"", "reversals: { \"21\"", 11, "network-management"),
        ("{ visa: [ 9F26", "{ viza: [ 9F26", 12, "did you mean \"visa\""),
        ("algorithm: retail", "algorithm: rot13", 13, "aes-cmac"),
        ("0123456789ABCDEFFEDCBA9876543210", "0123456789ABCDEFFEDCBA98", 13, "12 bytes"),
        ("TR: token-requestor", "TR: token-requester", 16, "token-requestor"),
        ("TR: token-requestor", "TRX: token-requestor", 16, "2 characters"),
        ("batch 6", "batch", 18, "batch 6"),
        ("60: {", "130: {", 18, "127"),
        (
            "name: acme", "name: acme\ntls: { certificate: /no/such.pem, key: /no/such.key }", 2,
            "/no/such.pem"
        ),
        ("name: acme", "name: acme\ntls: { trust: /etc/hostname }", 2, "/etc/hostname"),
    ]) func mistakes(old: String, new: String, line: Int, says: String) throws {
        let text = Self.file.replacing(old, with: new, maxReplacements: 1)
        #expect(text != Self.file)
        #expect {
            try AcquirerFile(text: text, source: "acme.yaml", files: .paths(relativeTo: ""))
        } throws: {
            let error = $0 as? ProfileFileError
            return error?.file == "acme.yaml" && error?.line == line && "\(error!)".contains(says)
        }
    }

    @Test(arguments: [("a:1", "a", 1), ("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:8583", "::1", 8583)])
    func endpoints(text: String, host: String, port: Int) {
        #expect(Endpoint(text) == Endpoint(host: host, port: port))
        #expect(Endpoint(text)?.description == text)
    }
    @Test(arguments: ["", "a", ":1", "a:", "a:65536", "a:x", "::1:5", "a b:1"]) func noEndpoints(text: String)
    {
        #expect(Endpoint(text) == nil)
    }
}
