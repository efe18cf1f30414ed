import Foundation
import SmartCard
import TestSupport
import TestTools
import Testing

@testable import CardReaders
@testable import PCSCReaders

struct ReaderDriverTests {
    @Test func everyFileIsRead() throws {
        for (name, bytes) in ReaderDriver.files {
            let driver = try ReaderDriver(file: name, text: String(decoding: bytes, as: UTF8.self))
            #expect("\(driver.id).yaml" == name)
            #expect(!driver.commands.isEmpty && !driver.devices.isEmpty)
        }
        #expect(ReaderDriver.all.count == ReaderDriver.files.count)
        // No reader has two drivers.
        let devices = ReaderDriver.all.flatMap(\.devices)
        #expect(Set(devices).count == devices.count)
    }

    /// Bytes as the manufacturers' documents print them.
    @Test(arguments: [
        ("acs-acr122u", ReaderDriver.Action.led, "orange", "FF 00 40 0F 04 00 00 00 00"),
        ("acs-acr122u", .polling, "off", "FF 00 51 7F 00"),
        ("acs-acr122u", .antenna, "off", "FF 00 00 00 04 D4 32 01 00"),
        ("acs-acr122u", .cardBeep, "off", "FF 00 52 00 00"),
        ("acs-acr1252", .led, "green", "E0 00 00 29 01 02"),
        ("acs-acr1552", .antenna, "off", "E0 00 00 25 01 00"),
        ("hid-omnikey-5x2x", .polling, "off", "FF 70 07 6B 0B A2 09 A1 07 A4 05 A0 03 8A 01 00 00"),
        ("identiv-utrust-37xx", .antenna, "on", "96 01"),
        ("scm-scl3711", .led, "on", "D4 08 FF B0 FB"),
    ]) func commands(driver: String, action: ReaderDriver.Action, value: String, expected: String) throws {
        let driver = try #require(ReaderDriver.all.first { $0.id == driver })
        let command = try #require(driver.command(action, value))
        #expect(
            command.bytes().map { String(format: "%02X", $0) }.joined(separator: " ") == expected)
    }

    @Test(
        arguments: [(0, 1), (1, 1), (10, 1), (11, 2), (200, 20), (100_000, 255), (-5, 1), (Int.max, 255)]
            as [(Int, UInt8)])
    func durations(milliseconds: Int, units: UInt8) throws {
        let driver = try #require(ReaderDriver.all.first { $0.id == "acs-acr1252" })
        #expect(driver.command(.buzzer, "on")?.bytes(milliseconds: milliseconds).last == units)
    }

    @Test func found() {
        #expect(ReaderDriver.driver(for: "ACS ACR122U PICC Interface 00 00")?.id == "acs-acr122u")
        #expect(
            ReaderDriver.driver(for: "HID Global OMNIKEY 5022 Smart Card Reader 00 00")?.id
                == "hid-omnikey-5x2x")
        #expect(
            ReaderDriver.driver(for: "Some name", device: USBIdentifier("04e6:5790"))?.id
                == "identiv-utrust-37xx")
        #expect(ReaderDriver.driver(for: "Virtual PCD 00 00") == nil)
        #expect(USBIdentifier("+4e6:5790") == nil)
    }

    @Test func answers() throws {
        func driver(_ id: String) throws -> ReaderDriver {
            try #require(ReaderDriver.all.first { $0.id == id })
        }
        #expect(try driver("acs-acr1252").data(of: [0xE1, 0, 0, 0, 1, 7], to: []) == [7])
        for wrong: [UInt8] in [[], [0xE1], [0xE1, 0, 0, 0], [0xE1, 0, 0, 0, 2, 7], [0xE1, 0, 0, 1, 1, 7]] {
            #expect(try driver("acs-acr1252").data(of: wrong, to: []) == nil)
        }
        #expect(try driver("acs-acr122u").data(of: [0x90, 0x03], to: []) == [])
        #expect(try driver("acs-acr122u").data(of: [0x63, 0x00], to: []) == nil)
        #expect(try driver("acs-acr122u").data(of: [], to: []) == nil)
        #expect(
            try driver("acs-acr122u").data(of: Array("ACR122U207".utf8), to: []) == Array("ACR122U207".utf8))
        #expect(try driver("scm-scl3711").data(of: [0xD5, 0x33], to: [0xD4, 0x32]) == [])
        #expect(try driver("scm-scl3711").data(of: [0xD5, 0x34], to: [0xD4, 0x32]) == nil)
    }

    @Test(arguments: [
        ("led blu: { bytes: \"\", source: x }", "at least one byte"),
        ("glow on: { bytes: \"00\", source: x }", "expected one of"),
        ("led on: { bytes: \"0\", source: x }", "neither a byte"),
        ("led on: { bytes: \"+1\", source: x }", "neither a byte"),
        ("led on: { bytes: \"ms/0\", source: x }", "neither a byte"),
        ("led on: { bytes: \"00\" }", "\"source\" is missing"),
        ("led on: { bytes: \"00\", source: x, color: red }", "unknown key"),
    ]) func badFiles(line: String, reason: String) {
        let text = """
            driver: x
            family: x
            source: x
            usb: ["072f:2200"]
            names: []
            answer: none
            commands:
              \(line)
            """
        do {
            _ = try ReaderDriver(file: "x.yaml", text: text)
            Issue.record("\(line) passed")
        } catch {
            #expect("\(error)".contains("x.yaml:8") && "\(error)".contains(reason), "\(error)")
        }
    }
}

/// Direct control through the real pcscd, with a driver that takes escape commands.
@Suite(
    .serialized,
    .needs(.wrappedDriver))
struct ReaderControlTests {
    @Test(.timeLimit(.minutes(15))) func detailsAndEscapes() async throws {
        try await PCSCHardeningTests.withCards(
            names: ["ACS ACR1252 Dual Reader PICC"], wrapped: true, [0: { StubCard.paymentSystem() }]
        ) { pcsc, _ in
            // 72F:223B, firmware, no extended APDUs; escape commands as an ACR1252 answers them.
            try pcsc.setDriverFile("properties", "0A0400000000" + "0B022F07" + "0C023B22" + "0803312E32")
            let name = pcsc.readers[0]
            let before = try await PCSCContext.details(of: name)
            #expect(!before.allowsEscape)
            do {
                try await PCSCContext.control(name, .led, "green")
                Issue.record("an escape command without leave")
            } catch {
                #expect("\(error)".contains("ifdDriverOptions"), "\(error)")
            }
            try pcsc.setDriverFile(
                "escape",
                """
                E00000290102 E1000000010E
                E00000280114 E10000000100
                E000002901FF 6300
                E000001800 E10000000741435231323532
                """)
            let details = try await PCSCContext.details(of: name)
            #expect(details.vendor == "Tapbridge Tests")
            #expect(details.serialNumber == "S/N 0042")
            #expect(details.version == "1.2.7")
            #expect(details.firmware == "1.2")
            #expect(details.usb == USBIdentifier("072f:223b"))
            #expect(details.maximumDataSize == 0 && details.takesExtendedAPDUs == false)
            #expect(details.features == ["get-tlv-properties", "ccid-escape"] && details.allowsEscape)
            #expect(details.driver == "acs-acr1252" && details.interface == .contactless)

            #expect(try await PCSCContext.control(name, .led, "green") == [0x0E])
            try await PCSCContext.control(name, .buzzer, "on", milliseconds: 200)
            #expect(try await PCSCContext.control(name, .firmware) == Array("ACR1252".utf8))
            #expect(pcsc.escapeCommands() == ["E00000290102", "E00000280114", "E000001800"])
            // What the reader does not take, and what its family does not have.
            await #expect(throws: ReaderError.self) { try await PCSCContext.control(name, .led, "red") }
            do {
                try await PCSCContext.control(name, .led, "purple")
                Issue.record("a colour that there is not")
            } catch {
                #expect("\(error)".contains("green, off, orange, red"), "\(error)")
            }
            // While this terminal holds the card, its reader still does it, and nobody else's.
            let reader = PCSCReader(name: name)
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            #expect(try await reader.control(.led, "green") == [0x0E])
            await #expect(throws: ReaderError.self) { try await PCSCContext.control(name, .led, "green") }
            #expect(try await PCSCHardeningTests.isAnswered(channel))
            await reader.fieldOff()
            #expect(try await reader.control(.led, "green") == [0x0E])
            await reader.close()
        }
    }

    @Test(.timeLimit(.minutes(15))) func noSuchReader() async throws {
        try await VirtualPCSC.run { _ in
            await #expect(throws: ReaderError.self) { try await PCSCContext.details(of: "no such reader") }
            await #expect(throws: ReaderError.self) {
                try await PCSCContext.control("no such reader", .led, "on")
            }
        }
    }
}

struct KnownUSBReaderTests {
    /// The rules for udev and the program know the same readers.
    @Test func rulesAndListAgree() throws {
        let rules = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("udev/60-tapbridge-readers.rules")
        let text = try String(contentsOf: rules, encoding: .utf8)
        let line =
            #/ATTR\{idVendor\}=="([0-9a-f]{4})", ATTR\{idProduct\}=="([0-9a-f]{4})", ENV\{TAPBRIDGE_READER\}="([a-z0-9-]+)"/#
        let found = text.matches(of: line).map { "\($0.1):\($0.2) \($0.3)" }
        #expect(found == KnownUSBReader.all.map { "\($0.device) \($0.shortName)" })
        #expect(Set(KnownUSBReader.all.map(\.device)).count == KnownUSBReader.all.count)
        // What the driver files name is known as well.
        for driver in ReaderDriver.all where driver.id != "hid-omnikey-5x2x" {
            #expect(driver.devices.allSatisfy { KnownUSBReader.reader($0) != nil }, "\(driver.id)")
        }
    }
}
