import BERTLV
import EMV
import EMVCryptography
import Foundation
import TestTools
import Testing

@testable import Issuing

/// Requests and answers that pyemv made.
@Suite struct AnswersByAnOracle {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let fields: [String: String]
        init(_ line: Substring) {
            let parts = line.split(separator: " ")
            name = String(parts[0])
            fields = Dictionary(
                uniqueKeysWithValues: parts.dropFirst().map { part in
                    let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    return (String(pair[0]), String(pair[1]))
                })
        }
        var testDescription: String { name }
        static func all(_ text: String) -> [Case] { text.split(separator: "\n").map { Case($0) } }
    }

    func check(_ c: Case) throws {
        var data = DataObjects()
        for node in try TLVNode.parse(bytes(c.fields["de55"]!), padding: .none) {
            guard case .primitive(let value) = node.content else { continue }
            data.set(node.tag, value)
        }
        let issuer = Host()
        let answer = issuer.authorize(
            IssuingRequest(
                transactionID: "1", terminalID: "TERM0001",
                number: PrimaryAccountNumber(digits: c.fields["pan"]!)!, expiry: Int(c.fields["expiry"]!)!,
                entryMode: .contactlessChip, amount: amount(UInt64(c.fields["amount"]!)!), currency: euro,
                date: today, chipData: data))
        #expect(answer.code.rawValue == c.fields["code"], "\(answer.reason)")
        #expect(answer.issuerAuthenticationData.map { Hex.string($0) } == c.fields["answer"])
        #expect(Hex.string(answer.issuerScripts) == c.fields["scripts"])
        #expect(issuer.state.transactions["1"]?.card == c.name)
    }

    @Test(arguments: Case.all(issuerVectors)) func kept(_ c: Case) throws { try check(c) }

    @Test(.needs(.oracles)) func live() throws {
        let cases = Case.all(try PythonOracle("issuer_vectors.py").run(["4711", "50"]))
        #expect(cases.count == 400)
        for c in cases { try check(c) }
    }

    /// A measured message of another host, CVN 10, in US dollars on a euro account.
    @Test func knownMessage() throws {
        let de55 =
            "9F260824C5608C4CDCC70C9F2701809F100706010A03A000009F37041A2B3C4D9F36020042950500000000009A032611209C0100"
            + "9F02060000000015005F2A020840820220009F1A0208409F03060000000000009F3303E0B8C89F34031F03029F3501229F1E"
            + "08534E3030303030318407A00000000310109F0607A00000000310109F090200969F4104000001235F3401019F6E04207000"
            + "009F66043600C0009F6C023E005F24033112319F3901079F21032230159F40056000F0A0019F4E0841434D4520434146"
        var data = DataObjects()
        for node in try TLVNode.parse(bytes(de55), padding: .none) {
            guard case .primitive(let value) = node.content else { continue }
            data.set(node.tag, value)
        }
        let issuer = Host()
        let answer = issuer.authorize(
            IssuingRequest(
                transactionID: "1", terminalID: "TERM0001", number: Tap.credit.pan, sequence: 1, expiry: 3112,
                entryMode: .contactlessChip, amount: amount(1500), currency: dollar, date: today,
                chipData: data))
        #expect(answer.code == .approved)
        #expect(answer.issuerAuthenticationData == bytes("630433DEBB125E353030"))
        // 15.00 * 0.909091 = 13.636365.
        #expect(answer.charge == IssuerMoney(amount: amount(1364), currency: euro, exponent: 2))
        #expect(answer.rate == "0.909091")
        #expect(issuer.balance("account-0119") == -1364)
        #expect(issuer.available("account-0119") == 500_000 - 1364)
    }
}

@Suite struct Authorization {
    struct Refused: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let code: IssuerResponseCode
        /// A part of the reason.
        let reason: String
        let tap: Tap
        let world: @Sendable (inout IssuerSimulator) -> Void
        init(
            _ name: String, _ code: IssuerResponseCode, _ reason: String, _ tap: Tap,
            world: @escaping @Sendable (inout IssuerSimulator) -> Void = { _ in }
        ) {
            testDescription = name
            self.code = code
            self.reason = reason
            self.tap = tap
            self.world = world
        }
    }

    static let refusals: [Refused] = [
        Refused("unknown range", .noSuchIssuer, "range", .credit.with { $0.number = "4000000000000002" }),
        Refused(
            "unknown card", .invalidCardNumber, "number", .credit.with { $0.number = "4761739001010192" }),
        Refused("other sequence", .invalidCardNumber, "sequence", .credit.with { $0.sequence = 2 }),
        Refused("issuer away", .issuerInoperative, "answer", .credit) {
            $0.setStatus(.unavailable, issuer: "visa-bank")
        },
        Refused(
            "wrong key", .securityViolation, "is wrong",
            .credit.with { $0.issuerKey = "11112222333344445555666677778888" }),
        Refused("no cryptogram", .securityViolation, "9F26", .credit.with { $0.extra = [0x9F26: []] }),
        Refused("key index", .securityViolation, "index 2", .credit.with { $0.derivationKeyIndex = 2 }),
        Refused("version downgrade", .securityViolation, "version", .debit.with { $0.version = .visaCVN10 }),
        Refused(
            "unreadable IAD", .securityViolation, "issuer application data",
            .credit.with { $0.extra = [0x9F10: [1, 2]] }),
        Refused(
            "empty IAD", .securityViolation, "issuer application data",
            .credit.with { $0.extra = [0x9F10: []] }),
        Refused(
            "amount", .securityViolation, "9F02", .credit.with { $0.extra = [0x9F02: bytes("000000001501")] }),
        Refused(
            "amount no BCD", .securityViolation, "9F02",
            .credit.with { $0.extra = [0x9F02: bytes("00000000150A")] }),
        Refused(
            "other amount", .securityViolation, "9F03",
            .credit.with { $0.extra = [0x9F03: bytes("000000000001")] }),
        Refused("currency", .securityViolation, "5F2A", .credit.with { $0.extra = [0x5F2A: bytes("0840")] }),
        Refused("type", .securityViolation, "9C", .credit.with { $0.extra = [0x9C: [0x01]] }),
        Refused(
            "number in 5A", .securityViolation, "5A",
            .credit.with { $0.extra = [0x5A: bytes("4761739001010135")] }),
        Refused(
            "number in 57", .securityViolation, "57",
            .credit.with { $0.extra = [0x57: bytes("4761739001010135D3112201")] }),
        Refused(
            "unpredictable number", .securityViolation, "is wrong",
            .credit.with { $0.extra = [0x9F37: bytes("00000000")] }),
        Refused("short TVR", .securityViolation, "95", .credit.with { $0.extra = [0x95: [0]] }),
        Refused("AAC online", .securityViolation, "no ARQC", .credit.with { $0.type = .aac }),
        Refused("TC online", .securityViolation, "no ARQC", .debit.with { $0.type = .tc }),
        Refused(
            "9F27 lies", .securityViolation, "9F27",
            .debit.with {
                $0.type = .tc
                $0.extra = [0x9F27: [0x80]]
            }),
        Refused("ODA and CVM failed", .doNotHonour, "failed", .credit.with { $0.tvr = "0800800000" }),
        Refused("exception file", .doNotHonour, "exception", .credit.with { $0.tvr = "1000000000" }),
        Refused("PIN tries", .pinTriesExceeded, "PIN", .credit.with { $0.tvr = "0000200000" }),
        Refused("expired", .expiredCard, "expired", Tap(number: "4761739001010143", expiry: 2412)),
        Refused("other expiry", .expiredCard, "expiry", .credit.with { $0.expiry = 3212 }),
        Refused("no funds", .insufficientFunds, "cover", .poor),
        Refused("above the credit limit", .insufficientFunds, "cover", .credit.with { $0.amount = 500_001 }),
        Refused("blocked", .restrictedCard, "blocked", .credit) {
            $0.setStatus(.blocked, card: "visa-credit")
        },
        Refused("lost", .lostCard, "lost", .credit) { $0.setStatus(.lost, card: "visa-credit") },
        Refused("stolen", .stolenCard, "stolen", .credit) { $0.setStatus(.stolen, card: "visa-credit") },
        Refused("account closed", .noSuchAccount, "closed", .credit) {
            $0.setStatus(.closed, account: "account-0119")
        },
        Refused("account blocked", .restrictedCard, "blocked", .credit) {
            $0.setStatus(.blocked, account: "account-0119")
        },
        Refused("no rate", .notPermittedToCardholder, "rate", .credit.with { $0.currency = yuan }),
        Refused(
            "cashback above the amount", .invalidAmount, "cashback",
            .credit.with {
                $0.transactionType = 0x09
                $0.other = 1501
            }),
        Refused("unknown type", .invalidTransaction, "type", .credit.with { $0.transactionType = 0x31 }),
        Refused(
            "stripe entry", .notPermittedToCardholder, "entry",
            .credit.with { $0.entry = .contactlessMagStripe }),
        // The token's domain.
        Refused(
            "token by contact chip", .notPermittedToCardholder, "domain",
            .apple.with { $0.entry = .contactChip }),
        Refused(
            "token by stripe", .notPermittedToCardholder, "domain",
            .apple.with { $0.entry = .contactlessMagStripe }),
        Refused("token by hand", .notPermittedToCardholder, "domain", .apple.with { $0.entry = .manual }),
        Refused(
            "token of another requestor", .notPermittedToCardholder, "requestor",
            .apple.with { $0.extra = [0x9F19: bytes("040010075001")] }),
        Refused(
            "token requestor too short", .notPermittedToCardholder, "requestor",
            .apple.with { $0.extra = [0x9F19: bytes("0010030273")] }),
        Refused("token suspended", .restrictedCard, "suspended", .apple) {
            $0.setStatus(.suspended, token: "apple-pay-visa")
        },
        Refused("token deleted", .invalidCardNumber, "deleted", .apple) {
            $0.setStatus(.deleted, token: "apple-pay-visa")
        },
        Refused(
            "token expired", .expiredCard, "token expired",
            .alipay.with { $0.date = EMVDate(yymmdd: 281101)! }),
        Refused("token with the card's expiry", .expiredCard, "expiry", .apple.with { $0.expiry = 3112 }),
        Refused(
            "token with the card's keys", .securityViolation, "is wrong",
            .apple.with {
                $0.extra = [
                    0x9F26: $0.with {
                        $0.number = "4761739001010119"
                        $0.sequence = 1
                    }.chipData[0x9F26].map { Array($0) }!
                ]
            }),
        Refused("card behind the token lost", .lostCard, "behind", .apple) {
            $0.setStatus(.lost, card: "visa-credit")
        },
        Refused("stored value short", .insufficientFunds, "cover", .alipay.with { $0.amount = 38462 }),
    ]

    @Test(arguments: refusals) func refuses(_ c: Refused) {
        let issuer = Host()
        c.world(&issuer.issuer)
        let answer = issuer.authorize(c.tap.request)
        #expect(answer.code == c.code, "\(answer.reason)")
        #expect(answer.reason.contains(c.reason), "\(answer.reason)")
        #expect(!answer.reason.contains(c.tap.number))
        #expect(answer.authorizationCode == nil)
        #expect(issuer.state.ledger.entries.isEmpty)
        // Issuer authentication answers right cryptograms only.
        #expect(answer.issuerAuthenticationData == nil || issuer.state.cards.count == 1)
    }

    @Test func tokenWithoutChipData() {
        let issuer = Host()
        var request = Tap.apple.request
        request.chipData = nil
        #expect(issuer.authorize(request).code == .securityViolation)
        var card = Tap.credit.request
        card.chipData = nil
        card.transactionID = "T2"
        #expect(issuer.authorize(card).code == .securityViolation)
    }

    @Test(arguments: [Tap.credit, .debit, .apple, .google, .alipay]) func approves(_ tap: Tap) throws {
        let issuer = Host()
        let answer = issuer.authorize(tap.request)
        #expect(answer.code == .approved, "\(answer.reason)")
        #expect(answer.authorizationCode?.utf8.count == 6)
        #expect(answer.remarks.isEmpty)
        #expect(issuer.state.ledger.totals()[euro] == HostTotals(purchases: 1, purchaseAmount: 1500))
    }

    @Test func expiryCountsToTheEndOfTheMonth() {
        for (date, code): (Int, IssuerResponseCode) in [(311231, .approved), (320101, .expiredCard)] {
            let issuer = Host()
            #expect(
                issuer.authorize(Tap.credit.with { $0.date = EMVDate(yymmdd: date)! }.request).code == code)
        }
    }

    @Test func storedValueIsChargedInItsCurrency() {
        let issuer = Host()
        let answer = issuer.authorize(
            Tap.alipay.with {
                $0.amount = 1234
                $0.extra = [0x9F19: bytes("040010099901")]
            }.request)
        // 12.34 * 7.80 = 96.252.
        #expect(answer.charge == IssuerMoney(amount: amount(9625), currency: yuan, exponent: 2))
        #expect(answer.available == IssuerMoney(amount: amount(290_375), currency: yuan, exponent: 2))
        #expect(answer.rate == "7.80")
        #expect(issuer.balance("alipay:2088000000000001") == 290_375)
    }

    @Test func partialApproval() {
        let issuer = Host()
        // 3000.00 / 7.80 = 384.615...
        let answer = issuer.authorize(
            Tap.alipay.with {
                $0.amount = 50_000
                $0.partial = true
            }.request)
        #expect(answer.code == .approvedForPart)
        #expect(answer.approvedAmount == amount(38_461))
        // 384.61 * 7.80 = 2999.958; the next cent would be 3000.036.
        #expect(answer.charge?.amount == amount(299_996))
        #expect(issuer.balance("alipay:2088000000000001") == 4)
        #expect(issuer.state.ledger.totals()[euro]?.purchaseAmount == 38_461)
        let poor = Host()
        #expect(poor.authorize(Tap.poor.with { $0.partial = true }.request).code == .insufficientFunds)
    }

    @Test func refundCredits() {
        let issuer = Host()
        let answer = issuer.authorize(
            Tap.debit.with {
                $0.transactionType = 0x20
                $0.type = .aac
                $0.amount = 700
            }.request)
        #expect(answer.code == .approved)
        #expect(issuer.balance("account-0135") == 120_700)
        #expect(issuer.state.ledger.totals()[euro] == HostTotals(refunds: 1, refundAmount: 700))
        #expect(issuer.reverse(transactionID: "T1", terminalID: "TERM0001") == .reversed)
        #expect(issuer.balance("account-0135") == 120_000)
    }

    @Test func limitsOfADay() throws {
        var world = IssuingWorld.test
        world.accounts[1].singleLimit = 5000
        world.accounts[1].dailyLimit = 8000
        world.accounts[1].dailyCount = 3
        let issuer = try Host(world)
        var number: UInt16 = 0
        func pay(_ minorUnits: UInt64, _ date: Int = 261120) -> IssuerResponseCode {
            number += 1
            return issuer.authorize(
                Tap.debit.with {
                    $0.amount = minorUnits
                    $0.counter = number
                    $0.id = "T\(number)"
                    $0.date = EMVDate(yymmdd: date)!
                }.request
            ).code
        }
        #expect(pay(5001) == .exceedsAmountLimit)
        #expect(pay(5000) == .approved)
        #expect(pay(3001) == .exceedsAmountLimit)
        #expect(pay(1000) == .approved)
        #expect(pay(1000) == .approved)
        #expect(pay(100) == .exceedsFrequencyLimit)
        #expect(pay(100, 261121) == .approved)
        // A reversal gives the day's limit back.
        #expect(issuer.reverse(transactionID: "T2", terminalID: "TERM0001") == .reversed)
        #expect(pay(4000) == .approved)
    }

    @Test func pinTries() throws {
        let issuer = try Host(.test) { pin, _ in
            pin.block == [1] ? .correct : pin.block.isEmpty ? .unverifiable : .incorrect
        }
        func pay(_ pin: [UInt8], _ number: UInt16) -> IssuerResponseCode {
            var request = Tap.debit.with {
                $0.counter = number
                $0.id = "T\(number)"
            }.request
            request.pin = IssuingRequest.PIN(block: pin, keySerialNumber: [])
            #expect(!"\(request)".contains("block: ["))
            return issuer.authorize(request).code
        }
        #expect(pay([2], 1) == .incorrectPIN)
        #expect(pay([1], 2) == .approved)
        #expect(pay([2], 3) == .incorrectPIN)
        #expect(pay([2], 4) == .incorrectPIN)
        #expect(pay([], 5) == .systemMalfunction)
        #expect(pay([2], 6) == .pinTriesExceeded)
        #expect(pay([1], 7) == .pinTriesExceeded)
    }
}

@Suite struct Counters {
    @Test func log() {
        var log = CounterLog()
        #expect(log.look(5, window: 32) == .first)
        log.note(5)
        #expect(log.look(5, window: 32) == .repeated)
        #expect(log.look(6, window: 32) == .ahead(step: 1))
        #expect(log.look(4, window: 32) == .behind(steps: 1))
        log.note(40)
        #expect(log.look(5, window: 63) == .repeated)
        #expect(log.look(8, window: 32) == .behind(steps: 32))
        #expect(log.look(7, window: 32) == .outsideWindow(steps: 33))
        log.note(8)
        #expect(log.look(8, window: 32) == .repeated)
        log.note(65535)
        #expect(log.look(40, window: 63) == .outsideWindow(steps: 65495))
        #expect(log.look(65534, window: 63) == .behind(steps: 1))
        #expect(log.look(0, window: 63) == .outsideWindow(steps: 65535))
    }

    @Test func replayIsRefused() {
        let issuer = Host()
        func pay(_ counter: UInt16, _ id: String) -> IssuingAnswer {
            issuer.authorize(
                Tap.credit.with {
                    $0.counter = counter
                    $0.id = id
                }.request)
        }
        #expect(pay(100, "a").code == .approved)
        let replay = pay(100, "b")
        #expect(replay.code == .securityViolation)
        #expect(replay.reason.contains("100 was used before"))
        #expect(replay.issuerAuthenticationData == nil)
        let behind = pay(99, "c")
        #expect(behind.code == .approved)
        #expect(behind.remarks == ["transaction counter 1 behind the highest one"])
        #expect(pay(67, "d").code == .securityViolation)
        let ahead = pay(201, "e")
        #expect(ahead.code == .approved)
        #expect(ahead.remarks == ["transaction counter jumped ahead by 101"])
        #expect(pay(202, "f").remarks == [])
    }

    /// A wrong cryptogram must not use up a counter.
    @Test func wrongCryptogramLeavesTheCounter() {
        let issuer = Host()
        let wrong = Tap.credit.with {
            $0.counter = 9
            $0.extra = [0x9F26: bytes("0000000000000000")]
        }
        #expect(issuer.authorize(wrong.request).code == .securityViolation)
        #expect(
            issuer.authorize(
                Tap.credit.with {
                    $0.counter = 9
                    $0.id = "T2"
                }.request
            ).code == .approved)
    }
}

@Suite struct Scripts {
    @Test func sentUntilConfirmed() {
        let issuer = Host()
        func pay(_ counter: UInt16, _ cvr: String = "0000") -> [UInt8] {
            issuer.authorize(
                Tap.debit.with {
                    $0.counter = counter
                    $0.id = "T\(counter)"
                    $0.cvrRest = cvr
                }.request
            ).issuerScripts
        }
        let first = pay(1)
        #expect(first.first == 0x72)
        #expect(Hex.string(first).contains("04DA9F5809"))
        #expect(!pay(2).isEmpty)
        // Two commands, one failed: again.
        #expect(!pay(3, "0028").isEmpty)
        #expect(pay(4, "0020").isEmpty)
        #expect(pay(5).isEmpty)
        #expect(issuer.state.cards["visa-debit"]?.confirmedScripts == ["offline-limits"])
    }

    @Test func lostCardIsBlocked() throws {
        for tap in [Tap.credit, .debit] {
            let issuer = Host()
            issuer.issuer.setStatus(.lost, card: "visa-credit")
            issuer.issuer.setStatus(.lost, card: "visa-debit")
            let answer = issuer.authorize(tap.request)
            #expect(answer.code == .lostCard)
            let nodes = try TLVNode.parse(answer.issuerScripts)
            #expect(nodes.count == 1 && nodes[0].tag == 0x72)
            guard case .constructed(let inside) = nodes[0].content,
                case .primitive(let command) = inside[0].content
            else { throw BERTLVError.truncatedTag(offset: 0) }
            #expect(inside[0].tag == 0x86)
            #expect(Hex.string(command.prefix(5)) == "841E000008")
            #expect(command.count == 13)
            if tap.version == .visaCVN18 {
                // Declined, and the application is to be blocked.
                #expect(answer.issuerAuthenticationData?.suffix(4) == [0, 0x20, 0, 0])
            }
        }
    }
}
