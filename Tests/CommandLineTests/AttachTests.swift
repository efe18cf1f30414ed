import Foundation
import TestSupport
import TestTools
import Testing

/// Our card in the real pcscd's virtual reader: an independent program selects it, and our own terminal takes a
/// payment from it through PC/SC.
@Suite(.serialized, .needs(.virtualPCSC))
struct AttachTests {
    @Test(.timeLimit(.minutes(2))) func attachedCardServesOtherPrograms() async throws {
        let program = try Program()
        defer { program.remove() }
        try await VirtualPCSC.run { pcsc in
            let socket = try #require(pcsc.environment["PCSCLITE_CSOCK_NAME"])
            func start(_ arguments: [String]) -> (Process, Pipe, Pipe) {
                let made = program.process(arguments)
                made.0.environment?["PCSCLITE_CSOCK_NAME"] = socket
                return made
            }
            func run(_ arguments: [String]) throws -> (String, Int32) {
                let (process, output, errors) = start(arguments)
                try process.run()
                let text = try output.fileHandleForReading.readToEnd() ?? Data()
                let other = try errors.fileHandleForReading.readToEnd() ?? Data()
                process.waitUntilExit()
                return (String(decoding: text + other, as: UTF8.self), process.terminationStatus)
            }
            let (attached, _, _) = start(["card", "attach", "visa-debit", "--port", "\(pcsc.ports[0])"])
            try attached.run()
            defer { attached.terminate() }
            try await eventually("the card is in the reader") { try run(["readers"]).0.contains("3B8C8001") }

            // opensc-tool, somebody else's program: the FCI of the PPSE, byte for byte as Book B lays it out.
            let tool = try await VirtualPCSC.output(
                of: "/usr/bin/opensc-tool",
                ["--reader", "0", "--send-apdu", "00A404000E325041592E5359532E444446303100"],
                environment: ["PCSCLITE_CSOCK_NAME": socket, "PATH": "/usr/bin:/bin"])
            #expect(tool.status == 0, "\(tool.text)")
            #expect(tool.text.contains("SW1=0x90, SW2=0x00"), "\(tool.text)")
            let fci = "6F 2F 84 0E 32 50 41 59 2E 53 59 53 2E 44 44 46"
            #expect(tool.text.contains(fci), "\(tool.text)")

            let paid = try run(["pay", "9.90", "--reader", "Virtual PCD 00 00", "--json"])
            #expect(paid.1 == 0, "\(paid.0)")
            #expect(paid.0.contains("\"approved\"") && paid.0.contains("476173******0135"), "\(paid.0)")
            attached.interrupt()
            attached.waitUntilExit()
            #expect(attached.terminationReason == .exit)
            // The counter has moved on and was kept: once for the payment.
            let cards = try Program.list(try await program.run("cards", "--json").output)
            let debit = try #require(cards.first { $0["id"] as? String == "visa-debit" })
            #expect(debit["transactionCounter"] as? Int == 1)
        }
    }
}
