import BERTLV
import Cards
import EMV
import EMVCryptography
import KernelTesting
import SmartCard
import Testing

@testable import Kernels

/// Changes data objects in a card's answers: another value, or nil to leave the object out.
/// - Parameter added: BER-TLV for the end of the answer to GET PROCESSING OPTIONS.
func edited(_ answer: [UInt8], _ changes: [Tag: String?], added: String = "") -> [UInt8] {
    guard answer.count > 2, let nodes = try? TLVNode.parse(Array(answer.dropLast(2))) else { return answer }
    func edit(_ nodes: [TLVNode]) -> [TLVNode] {
        nodes.compactMap { node in
            var node = node
            if let change = changes[node.tag] {
                guard let change, let value = Hex.bytes(change) else { return nil }
                node.content = .primitive(value)
            } else if case .constructed(let children) = node.content {
                let more = node.tag == 0x77 ? try? TLVNode.parse(Hex.bytes(added) ?? []) : nil
                node.content = .constructed(edit(children) + (more ?? []))
            }
            return node
        }
    }
    var writer = BERTLVWriter()
    for node in edit(nodes) { node.write(to: &writer) }
    return writer.bytes + answer.suffix(2)
}

/// Kernel 3 and cards with certificates: fast DDA (Book C-3, 5.6 and Annex C), and what depends on its result.
@Suite struct QVSDCAuthenticationTests {
    struct Setup {
        var profile = "visa-debit"
        var cents: UInt64 = 1000
        var reader = TestReader()
        /// Card Transaction Qualifiers of the personalisation.
        var qualifiers: UInt16?
        var change: (inout CardProfile) -> Void = { _ in }
        /// Changes to the answers on their way.
        var edits: [Tag: String?] = [:]
        var added = ""
        /// Decisions of the card: nil leaves them to its limits.
        var goesOnline = false
    }

    static func pay(_ setup: Setup) throws -> Outcome {
        var profile = try CardLibrary.profile(setup.profile)
        if let bits = setup.qualifiers {
            profile.applications[0].transactionQualifiers = CardTransactionQualifiers(rawValue: bits)
        }
        if setup.goesOnline { profile.applications[0].risk.decision = .online }
        setup.change(&profile)
        let emulated = try EmulatedCard(profile: profile, random: SeededGenerator(seed: 5))
        emulated.unlock()
        var session = Session(setup.reader) { command in
            emulated.process(command).map { edited($0, setup.edits, added: setup.added) }
        }
        session.powerOn = { emulated.powerOn() }
        return try #require(
            session.run(session.entryPoint.start(try setup.reader.inputs(setup.cents)))
        ).outcome
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var change: @Sendable (inout Setup) -> Void
        var status: Outcome.Status
        var cvm: Outcome.CVM = .notApplicable
        /// Whether the Error Indication tells of a failed authentication.
        var failed = false
        var testDescription: String { name }
    }

    /// CTQ byte 1: 20 online where authentication fails, 10 another interface, 08 online where expired.
    static let cases: [Case] =
        [
            Case(name: "TC, fast DDA 01", change: { _ in }, status: .approved, cvm: .noCVM),
            Case(name: "TC, at the floor limit", change: { $0.cents = 1500 }, status: .approved, cvm: .noCVM),
            Case(
                name: "above the floor limit: online", change: { $0.cents = 1501 }, status: .onlineRequest,
                cvm: .noCVM),
            Case(
                name: "TC, offline-only reader", change: { $0.reader.qualifiers = 0x3E00_C000 },
                status: .approved,
                cvm: .noCVM),
            Case(
                name: "fast DDA 00, which covers neither amount nor qualifiers",
                change: {
                    $0.qualifiers = 0
                    $0.change = {
                        $0.applications[0].authentication.method = .fdda00
                        $0.applications[0].records.removeLast()
                    }
                    $0.added = "9F690700112233440000"
                }, status: .declined, failed: true),
            Case(
                name: "fast DDA 00 without Card Authentication Related Data",
                change: {
                    $0.qualifiers = 0
                    $0.change = {
                        $0.applications[0].authentication.method = .fdda00
                        $0.applications[0].records.removeLast()
                    }
                }, status: .declined, failed: true),
            Case(
                name: "another signature: CTQ online",
                change: {
                    $0.qualifiers = 0x2000
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .onlineRequest, cvm: .noCVM, failed: true),
            Case(
                name: "another signature: CTQ another interface",
                change: {
                    $0.qualifiers = 0x1000
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .tryAnotherInterface),
            Case(
                name: "another signature: both, online goes first",
                change: {
                    $0.qualifiers = 0x3000
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .onlineRequest, cvm: .noCVM, failed: true),
            Case(
                name: "another signature: both, offline-only reader",
                change: {
                    $0.qualifiers = 0x3000
                    $0.reader.qualifiers = 0x3E00_C000
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .tryAnotherInterface),
            Case(
                name: "another signature: both, offline-only reader without contact chip",
                change: {
                    $0.qualifiers = 0x3000
                    $0.reader.qualifiers = 0x2E00_C000
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .declined, failed: true),
            Case(
                name: "another signature: CTQ neither",
                change: {
                    $0.qualifiers = 0x0000
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .declined, failed: true),
        ]
        + CardProfileTampering.allCases.map { tampering in
            Case(
                name: "\(tampering) tampered with: declined",
                change: {
                    $0.qualifiers = 0
                    $0.change = { $0.applications[0].authentication.tampering = tampering }
                }, status: .declined, failed: true)
        }
        // One data object taken away or changed on its way.
        + ([
            (0x8F, nil), (0x8F, "F2"), (0x8F, "F1F1"), (0x90, nil), (0x9F32, nil), (0x9F32, "05"),
            (0x9F46, nil), (0x9F47, nil), (0x9F47, "05"), (0x9F4A, nil),
            (0x9F4A, "5F24"), (0x9F4B, nil), (0x9F4B, "00"), (0x9F69, nil), (0x9F69, ""), (0x9F69, "01"),
            (0x9F69, "00112233440000"), (0x9F69, "02112233440000"), (0x9F69, "01112233440000"),
            (0x5F24, "491231"), (0x5F28, "0840"), (0x9F07, "FFFF"), (0x82, "0000"), (0x82, "4000"),
            (0x82, "2040"),
        ] as [(Tag, String?)]).map { tag, value in
            Case(
                name: "\(tag) \(value ?? "absent"): declined",
                change: {
                    $0.qualifiers = 0
                    $0.edits = [tag: value]
                }, status: .declined, failed: true)
        }
        + [
            // Processing restrictions before an offline approval (5.5).
            Case(
                name: "on its last day",
                change: { $0.reader.date = EMVDate(yymmdd: 311231) }, status: .approved, cvm: .noCVM),
            Case(
                name: "expired, CTQ online",
                change: {
                    $0.qualifiers = 0x0800
                    $0.reader.date = EMVDate(yymmdd: 320101)
                }, status: .onlineRequest, cvm: .noCVM),
            Case(
                name: "expired, CTQ nothing",
                change: {
                    $0.qualifiers = 0
                    $0.reader.date = EMVDate(yymmdd: 320101)
                }, status: .declined),
            Case(
                name: "expired, CTQ online, offline-only reader",
                change: {
                    $0.qualifiers = 0x0800
                    $0.reader.qualifiers = 0x3E00_C000
                    $0.reader.date = EMVDate(yymmdd: 320101)
                }, status: .declined),
            Case(
                name: "exception file",
                change: {
                    if let number = PrimaryAccountNumber(digits: "4761739001010135") {
                        $0.reader.exceptions.insert(number, sequenceNumber: 1)
                    }
                }, status: .declined),

            // For online transactions where the reader asks for it (TTQ byte 1 bit 1).
            Case(
                name: "ARQC, authenticated", change: { $0.goesOnline = true }, status: .onlineRequest,
                cvm: .noCVM),
            Case(
                name: "ARQC, another signature, CTQ nothing",
                change: {
                    $0.goesOnline = true
                    $0.qualifiers = 0
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .declined, failed: true),
            Case(
                name: "ARQC, another signature, CTQ online",
                change: {
                    $0.goesOnline = true
                    $0.qualifiers = 0x2000
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .onlineRequest, cvm: .noCVM, failed: true),
            Case(
                name: "ARQC, another signature, the reader does not ask",
                change: {
                    $0.goesOnline = true
                    $0.qualifiers = 0
                    $0.reader.qualifiers = 0x3600_C000
                    $0.change = { $0.applications[0].authentication.tampering = .signature }
                }, status: .onlineRequest, cvm: .noCVM),
            Case(
                name: "AAC: no authentication",
                change: {
                    $0.qualifiers = 0
                    $0.change = {
                        $0.applications[0].risk.decision = .decline
                        $0.applications[0].authentication.tampering = .signature
                    }
                }, status: .declined),

            // Cardholder verification of an offline approval (5.7).
            Case(
                name: "TC, signature", change: { $0.edits = [0x9F6C: "4000"] }, status: .approved,
                cvm: .signature),
            Case(
                name: "TC, verified on the device though its signed qualifiers do not say so",
                change: { $0.edits = [0x9F6C: "0080"] }, status: .declined),
            Case(
                name: "TC, online PIN: never approved without the PIN",
                change: { $0.edits = [0x9F6C: "8000"] }, status: .onlineRequest, cvm: .onlinePIN),
            Case(
                name: "TC, online PIN, offline-only reader",
                change: {
                    $0.edits = [0x9F6C: "8000"]
                    $0.reader.qualifiers = 0x3E00_C000
                }, status: .declined),
            Case(
                name: "TC, online PIN, reader without PIN pad",
                change: {
                    $0.edits = [0x9F6C: "8000"]
                    $0.reader.qualifiers = 0x3300_C000
                }, status: .approved, cvm: .noCVM),
            Case(
                name: "TC, no qualifiers", change: { $0.edits = [0x9F6C: nil] }, status: .approved,
                cvm: .noCVM),
        ]

    @Test(arguments: cases) func outcomes(_ c: Case) throws {
        var setup = Setup()
        c.change(&setup)
        let outcome = try Self.pay(setup)
        #expect(outcome.status == c.status)
        #expect(outcome.cvm == c.cvm)
        let indication = outcome.discretionaryData?[0xDF8115].map { Hex.string($0) }
        #expect(indication == (c.failed ? "0002000000FF" : nil))
        var failed = false
        if case .failed = outcome.dataAuthentication { failed = true }
        // The Error Indication tells of it where the kernel decides; not where another interface is to be used.
        #expect(failed == c.failed || outcome.status == .tryAnotherInterface && failed)
        // Only fast DDA lets a TC become an approval.
        if outcome.status == .approved { #expect(outcome.dataAuthentication == .succeeded(.fastDDA)) }
        guard outcome.status == .approved else { return }
        #expect(outcome.uiRequestOnOutcome?.message == (c.cvm == .signature ? .approvedSign : .approved))
        #expect(outcome.receiptRequested == (c.cvm == .signature))
        #expect(outcome.dataRecord?[0x9F27].map { Hex.string($0) } == "40")
        #expect(outcome.start == nil)
    }

    /// What is wrong is told: the step, and what was found there.
    @Test(
        arguments: [
            ("visa-debit", .issuerCertificate, "issuer public key certificate (90): "),
            ("visa-debit", .cardCertificate, "ICC public key certificate (9F46): "),
            ("visa-debit", .signature, "signed dynamic application data (9F4B): "),
            ("visa-debit", .staticData, "ICC public key certificate (9F46): the hash result is wrong"),
            ("visa-debit", .authorityIndex, "certification authority public key: no key A000000003 index "),
            ("mc-debit", .issuerCertificate, "issuer public key certificate (90): "),
            ("mc-debit", .cardCertificate, "ICC public key certificate (9F46): "),
            ("mc-debit", .signature, "signed dynamic application data (9F4B): "),
            ("mc-debit", .staticData, "ICC public key certificate (9F46): the hash result is wrong"),
            ("mc-debit", .authorityIndex, "certification authority public key: no key A000000004 index "),
        ] as [(String, AuthenticationProfile.Tampering, String)])
    func whatWasTamperedWith(_ card: String, _ tampering: AuthenticationProfile.Tampering, _ words: String)
        throws
    {
        var setup = Setup()
        setup.profile = card
        if card.hasPrefix("visa") { setup.qualifiers = 0 }
        setup.change = { $0.applications[0].authentication.tampering = tampering }
        let outcome = try Self.pay(setup)
        guard case .failed(let failure) = outcome.dataAuthentication else {
            Issue.record("\(String(describing: outcome.dataAuthentication))")
            return
        }
        #expect("\(failure)".hasPrefix(words), "\(failure)")
    }

    @Test(
        arguments: [
            (0x8F, nil, .missing(0x8F)), (0x90, nil, .missing(0x90)), (0x9F32, nil, .missing(0x9F32)),
            (0x9F46, nil, .missing(0x9F46)), (0x9F47, nil, .missing(0x9F47)), (0x9F4B, nil, .missing(0x9F4B)),
            (0x9F69, nil, .missing(0x9F69)), (0x9F69, "00112233440000", .fastDDAVersion),
            (0x9F4A, "5F24", .tagList), (0x82, "0000", .notOffered),
        ] as [(Tag, String?, DataAuthenticationFailure)])
    func whatWasLeftOut(_ tag: Tag, _ value: String?, _ failure: DataAuthenticationFailure) throws {
        var setup = Setup()
        setup.qualifiers = 0
        setup.edits = [tag: value]
        #expect(try Self.pay(setup).dataAuthentication == .failed(failure))
    }

    /// Nobody asked: not performed, which is not the same as passed.
    @Test func notPerformed() throws {
        var setup = Setup()
        setup.cents = 1501
        setup.reader.qualifiers = 0x3600_C000
        #expect(try Self.pay(setup).dataAuthentication == .notPerformed)
        setup = Setup()
        setup.profile = "mc-no-oda"
        #expect(try Self.pay(setup).dataAuthentication == .notPerformed)
        setup.profile = "mc-debit"
        #expect(try Self.pay(setup).dataAuthentication == .succeeded(.cda))
    }

    /// The balance that the card reports is shown with the approval (5.8).
    @Test func balance() throws {
        let message = try #require(try Self.pay(Setup()).uiRequestOnOutcome)
        // 100.00 in all, 10.00 of it spent now.
        #expect(message.valueQualifier == .balance)
        #expect([9000, 10000].contains(message.value?.minorUnits))
        #expect(message.currency == NumericCode(978))
        var setup = Setup()
        setup.edits = [0x9F5D: nil]
        let silent = try #require(try Self.pay(setup).uiRequestOnOutcome)
        #expect(silent.valueQualifier == .none && silent.value == nil)
    }

    /// A signature made for another Unpredictable Number, amount or currency is worth nothing (Annex C).
    @Test(
        arguments: [
            (0x1234_5678, 1000, 978, true), (0x1234_5679, 1000, 978, false), (0x1234_5678, 999, 978, false),
            (0x1234_5678, 1000, 840, false),
        ] as [(UInt32, UInt64, UInt16, Bool)])
    func replayedSignature(_ number: UInt32, _ cents: UInt64, _ currency: UInt16, _ good: Bool) throws {
        var profile = try CardLibrary.profile("visa-debit")
        profile.applications[0].transactionQualifiers = []
        let emulated = try EmulatedCard(profile: profile, random: SeededGenerator(seed: 5))
        let reader = TestReader()
        var genuine = Session(reader, emulated)
        #expect(genuine.run(genuine.entryPoint.start(try reader.inputs(1000)))?.outcome.status == .approved)
        let recorded = genuine.exchanges
        var replay = Session(reader) { command in
            recorded.first { $0.command == command || ($0.command[1] == 0xA8 && command[1] == 0xA8) }?.answer
        }
        replay.unpredictableNumber = number
        var inputs = try reader.inputs(cents)
        inputs.currency = try #require(NumericCode(currency))
        let final = replay.run(replay.entryPoint.start(inputs))
        #expect(final?.outcome.status == (good ? .approved : .declined))
    }
}

enum CardProfileTampering {
    static let allCases = AuthenticationProfile.Tampering.allCases.filter { $0 != .none }
}
