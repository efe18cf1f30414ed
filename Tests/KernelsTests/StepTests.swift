import BERTLV
import EMV
import SmartCard
import Testing

@testable import Kernels

/// Kernels and Entry Point a step a line: what happens, and what is done next.
@Suite struct StepTests {
    private static func response(_ hex: String) throws -> KernelEvent {
        .response(try ResponseAPDU(bytes: bytes(hex.replacing(" ", with: ""))), microseconds: 1000)
    }
    private static func transmit(_ hex: String) throws -> KernelAction {
        .transmit(try CommandAPDU(parsing: bytes(hex.replacing(" ", with: ""))))
    }

    private static func activation(
        _ application: String, _ kernel: KernelIdentifier, fci: String, data: DataObjects = [:],
        qualifiers: UInt32? = nil
    ) throws -> KernelActivation {
        var combination = combination(application, kernel)
        combination.contactlessTransactionLimit = Amount(clamping: 50_000)
        combination.cvmRequiredLimit = Amount(clamping: 5000)
        combination.kernelData = data
        var indicators = PreProcessingIndicators()
        indicators.terminalTransactionQualifiers = qualifiers.map {
            TerminalTransactionQualifiers(rawValue: $0)
        }
        return KernelActivation(
            combination: combination, indicators: indicators, selectedApplication: try bytes(application),
            selectResponse: try ResponseAPDU(bytes: bytes(fci + "9000")), transaction: try inputs(1000),
            unpredictableNumber: 0x0102_0304,
            terminal: TerminalConfiguration(data: [0x9F1A: [0x02, 0x76], 0x9F35: [0x22]]))
    }

    /// S1, S3, S4, S9, S910 without data authentication; DET in between is taken, and leaves the command as it is.
    @Test func mchip() throws {
        var kernel = MChipKernel(
            try Self.activation(
                "A0000000041010", 2, fci: "6F118407A0000000041010A506500449534F31",
                data: [0xDF8117: [0xE0], 0xDF8119: [0x08], 0xDF811B: [0x30], 0xDF8121: [0, 0, 0, 0, 0]]))
        let record =
            "7031 5A085413330089020011 5F2403311231 8C069F02069F3704 8E0A00000000000000001F03 9F0F050000000000 9F0702FF80"
        #expect(kernel.start() == (try Self.transmit("80A80000 02 8300 00")))
        #expect(kernel.handle(.dataExchange([0x9F53: [0x52]])) == (try Self.transmit("80A80000 02 8300 00")))
        #expect(
            kernel.handle(try Self.response("770A 82021980 940410010100 9000"))
                == (try Self.transmit("00B20114 00")))
        #expect(
            kernel.handle(try Self.response(record + "9000"))
                == (try Self.transmit("80AE8000 0A 000000001000 01020304 00")))
        #expect(
            kernel.handle(.dataExchange([:])) == (try Self.transmit("80AE8000 0A 000000001000 01020304 00")))
        #expect(
            kernel.handle(try Self.response("7714 9F270180 9F36020001 9F26081122334455667788 9000"))
                == .display(UserInterfaceRequest(.clearDisplay, .cardReadSuccessfully)))
        guard case .outcome(let outcome) = kernel.handle(.done) else {
            Issue.record("no outcome")
            return
        }
        #expect(outcome.status == .onlineRequest && outcome.cvm == .noCVM && outcome.reasons.isEmpty)
        // Finished: whatever comes.
        #expect(kernel.handle(.stop) == .outcome(outcome))
        #expect(kernel.handle(.timeout) == .outcome(outcome))
    }

    /// S3.61, SR1: the number for relay resistance is drawn first, and another one for each further round.
    @Test func relayResistance() throws {
        var kernel = MChipKernel(
            try Self.activation(
                "A0000000041010", 2,
                fci: "6F178407A0000000041010A50C5004495350 519F38039F3704".replacing(" ", with: ""),
                data: [0xDF811B: [0x30]]))
        #expect(kernel.start() == (try Self.transmit("80A80000 06 8304 01020304 00")))
        #expect(
            kernel.handle(try Self.response("770A 82021981 940410010100 9000")) == .drawUnpredictableNumber)
        #expect(kernel.handle(.dataExchange([:])) == .drawUnpredictableNumber)
        #expect(
            kernel.handle(.unpredictableNumber(0xA1A2_A3A4)) == (try Self.transmit("80EA0000 04 A1A2A3A4 00"))
        )
        // 30 ms for a card that says 5 ms.
        let slow = KernelEvent.response(
            try ResponseAPDU(bytes: bytes("800AAABBCCDD0000003200189000")), microseconds: 30_000)
        #expect(kernel.handle(slow) == .drawUnpredictableNumber)
        #expect(
            kernel.handle(.unpredictableNumber(0xB1B2_B3B4)) == (try Self.transmit("80EA0000 04 B1B2B3B4 00"))
        )
        #expect(
            kernel.handle(try Self.response("800AAABBCCDD0000003200189000"))
                == (try Self.transmit("00B20114 00")))
    }

    /// 5.2 to 5.8 of an online request without records.
    @Test func qvsdc() throws {
        var kernel = QVSDCKernel(
            try Self.activation(
                "A0000000031010", 3, fci: "6F118407A0000000031010A5069F38039F6604", qualifiers: 0x3600_C000))
        #expect(kernel.start() == (try Self.transmit("80A80000 06 8304 3600C000 00")))
        var options = BERTLVWriter()
        options.template(0x77) { inside in
            for (tag, value) in QVSDCKernelTests.answer { inside.append(tag, Hex.bytes(value) ?? []) }
        }
        let answer = KernelEvent.response(
            try ResponseAPDU(bytes: options.bytes + [0x90, 0x00]), microseconds: 1000)
        #expect(
            kernel.handle(answer)
                == .display(UserInterfaceRequest(.cardReadOKRemove, .cardReadSuccessfully)))
        guard case .outcome(let outcome) = kernel.handle(.done) else {
            Issue.record("no outcome")
            return
        }
        #expect(outcome.status == .onlineRequest && outcome.cvm == .noCVM)
        #expect(outcome.uiRequestOnOutcome == UserInterfaceRequest(.authorising, .notApplicable))
        #expect(kernel.handle(.stop) == .outcome(outcome))
    }

    /// Book B from Start A to the kernel, with a collision on the way.
    @Test func entryPoint() throws {
        var entryPoint = EntryPoint(
            configuration: EntryPointConfiguration(
                combinations: [combination("A0000000031010", 3)], terminal: TerminalConfiguration(data: [:])),
            kernels: .all)
        let ready = UserInterfaceRequest(.presentCard, .readyToRead)
        #expect(entryPoint.start(try inputs(200)) == .kernel(.display(ready)))
        #expect(entryPoint.handle(.kernel(.done)) == .activateCard)
        #expect(
            entryPoint.handle(.collision)
                == .kernel(.display(UserInterfaceRequest(.presentOneCardOnly, .contactlessCollision))))
        #expect(entryPoint.handle(.kernel(.done)) == .activateCard)
        #expect(
            entryPoint.handle(.collisionEnded)
                == .kernel(.display(UserInterfaceRequest(.presentOneCardOnly, .readyToRead))))
        #expect(entryPoint.handle(.kernel(.done)) == .activateCard)
        #expect(
            entryPoint.handle(.cardActivated)
                == .kernel(try Self.transmit("00A40400 0E 325041592E5359532E4444463031 00")))
        #expect(
            entryPoint.handle(.kernel(try Self.response("6F0E A50C BF0C09 6107 4F05A000000003 9000")))
                == .outcome(
                    FinalOutcome(
                        {
                            var outcome = Outcome(
                                .endApplication,
                                uiRequestOnOutcome: UserInterfaceRequest(
                                    .insertSwipeOrTryAnotherCard, .readyToRead))
                            outcome.reasons = [
                                .noApplicationInCommon(
                                    card: [[0xA0, 0, 0, 0, 0x03]],
                                    terminal: [[0xA0, 0, 0, 0, 0x03, 0x10, 0x10]])
                            ]
                            return outcome
                        }())))
    }
}
