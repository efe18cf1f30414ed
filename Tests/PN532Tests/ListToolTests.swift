import Cards
import Foundation
import PN532
import SoftwarePN532
import SmartCard
import TestSupport
import TestTools
import Testing

enum ListTool {
    static let path = "/usr/bin/nfc-list"
}

/// The real libnfc's own tools against the chip on a pseudo-terminal.
@Suite(.serialized, .needs(.program(ListTool.path, of: "libnfc-bin")))
struct ListToolTests {
    static func list(_ device: PN532Device) async throws -> (text: String, status: Int32) {
        try await VirtualPCSC.output(
            of: ListTool.path, ["-v"],
            environment: [
                "LIBNFC_DEVICE": try #require(device.connectionString), "PATH": "/usr/bin:/bin",
                "LIBNFC_AUTO_SCAN": "false",
            ])
    }

    @Test(.timeLimit(.minutes(1))) func listsCards() async throws {
        let device = try PN532Device()
        #expect(try await Self.list(device).text.contains("0 ISO14443A passive target(s) found"))
        device.present(try EmulatedCard(profile: try CardLibrary.profile("visa-credit"), state: nil))
        let answer = try await Self.list(device)
        #expect(answer.status == 0)
        #expect(answer.text.contains("1 ISO14443A passive target(s) found"), "\(answer.text)")
        #expect(answer.text.contains("Compliant with ISO/IEC 14443-4"), "\(answer.text)")
        device.removeCards()
        #expect(try await Self.list(device).text.contains("0 ISO14443A passive target(s) found"))
        // The field is off after the program has gone.
        #expect(!device.isFieldOn)
    }

    @Test(.timeLimit(.minutes(1))) func listsTypeB() async throws {
        let device = try PN532Device()
        device.present(
            StubCard(
                activation: ContactlessActivation(
                    modulation: .typeB, identifier: [0xA1, 0xB2, 0xC3, 0xD4],
                    ats: [0, 0, 0, 0, 0x00, 0x81, 0x71])))
        let answer = try await Self.list(device)
        #expect(answer.text.contains("1 ISO14443B passive target(s) found"), "\(answer.text)")
        #expect(answer.text.contains("PUPI: a1  b2  c3  d4"), "\(answer.text)")
    }

    /// nfc-poll, which waits for a card and then for its leaving.
    @Test(.timeLimit(.minutes(1)), .needs(.program("/usr/bin/nfc-poll", of: "libnfc-examples")))
    func pollTool() async throws {
        let device = try PN532Device()
        async let polling = VirtualPCSC.output(
            of: "/usr/bin/nfc-poll", ["-v"],
            environment: [
                "LIBNFC_DEVICE": try #require(device.connectionString), "PATH": "/usr/bin:/bin",
                "LIBNFC_AUTO_SCAN": "false",
            ])
        try await eventually("nfc-poll polls") { !device.sentFrames.isEmpty }
        device.present(StubCard.paymentSystem())
        // RATS, which begins with E0, is the last thing that finding a card takes.
        try await eventually("nfc-poll has found the card") {
            device.sentFrames.contains { $0.first == 0xE0 }
        }
        device.removeCards()
        let answer = try await polling
        #expect(answer.status == 0, "\(answer.text)")
        // A single-size UID that begins with 08 is a random one (ISO/IEC 14443-3, 6.5.4), which libnfc calls NFCID3.
        #expect(answer.text.contains("UID (NFCID3): 08  01  02  03"), "\(answer.text)")
        #expect(
            answer.text.contains("Waiting for card removing...") && answer.text.contains("done."),
            "\(answer.text)")
    }

    /// Two cards: both are found.
    @Test(.timeLimit(.minutes(1))) func listsTwoCards() async throws {
        let device = try PN532Device()
        for first: UInt8 in [0x01, 0x02] {
            device.present(
                StubCard(activation: ContactlessActivation(identifier: [first, 0x22, 0x33, 0x44])))
        }
        let answer = try await Self.list(device)
        #expect(answer.text.contains("2 ISO14443A passive target(s) found"), "\(answer.text)")
    }

    /// A program that died keeps nobody out, and a link survives the plug being pulled.
    @Test(.timeLimit(.minutes(1))) func comesBack() async throws {
        let link = NSTemporaryDirectory() + "/tapbridge-pn532-\(UUID().uuidString)"
        let device = try PN532Device(link: link)
        #expect(device.connectionString == "pn532_uart:\(link)")
        #expect(try await Self.list(device).text.contains("opened"))
        device.unplug()
        #expect(device.connectionString == nil)
        #expect(!FileManager.default.fileExists(atPath: link))
        try device.plugIn()
        #expect(try await Self.list(device).text.contains("opened"))
        // Killed in the middle: SIGKILL leaves libnfc's mark on the line.
        device.add([PN532Fault(.slowAnswer(.seconds(30)), command: 0x4A)])
        let process = Process()
        process.executableURL = URL(fileURLWithPath: ListTool.path)
        process.environment = ["LIBNFC_DEVICE": "pn532_uart:\(link)", "LIBNFC_AUTO_SCAN": "false"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let before = device.statistics.bytesFromHost
        try await eventually("nfc-list is in the middle of its work") {
            device.statistics.bytesFromHost >= before + 100
        }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        // The chip hears from the kernel that nobody has the line open any more, and takes the mark away.
        try await eventually("the next program gets in", within: .seconds(20)) {
            try await Self.list(device).text.contains("opened")
        }
    }
}
