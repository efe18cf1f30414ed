import Foundation
import TestSupport
import TestTools
import Testing

/// Our card in the software PN532: libnfc's own tool sees it, and our terminal takes a payment from it.
@Suite(.serialized) struct PN532AttachTests {
    @Test(
        .timeLimit(.minutes(2)),
        .needs(.program("/usr/bin/nfc-list", of: "libnfc-bin")))
    func attachedCardServesLibNFC() async throws {
        let program = try Program()
        defer { program.remove() }
        let link = program.state.appendingPathComponent("reader").path
        let (attached, output, _) = program.process([
            "card", "attach", "visa-debit", "--pn532", "--link", link, "--misbehave", "wrong-checksum@30",
        ])
        try attached.run()
        defer { if attached.isRunning { attached.terminate() } }
        // The connection string stands alone on standard output.
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        #expect(line == "pn532_uart:\(link)\n")

        let tool = try await VirtualPCSC.output(
            of: "/usr/bin/nfc-list", [],
            environment: ["LIBNFC_DEVICE": "pn532_uart:\(link)", "PATH": "/usr/bin:/bin"])
        #expect(tool.text.contains("1 ISO14443A passive target(s) found"), "\(tool.text)")

        let trace = program.state.appendingPathComponent("nfc.trace").path
        for polling in ["standard", "payment"] {
            let paid = try await program.run(
                "pay", "9.90", "--reader", "nfc:pn532_uart:\(link)", "--polling", polling, "--record", trace,
                "--json")
            #expect(paid.status == 0, "\(paid.output) \(paid.errors)")
            #expect(
                paid.output.contains("\"approved\"") && paid.output.contains("476173******0135"),
                "\(paid.output)")
        }
        #expect(try String(contentsOfFile: trace, encoding: .utf8).contains("(libnfc)"))
        let native = try await program.run(
            "pay", "9.90", "--reader", "nfc-native:pn532_uart:\(link)", "--json")
        #expect(native.status == 0, "\(native.output) \(native.errors)")
        let refused = try await program.run(
            "pay", "9.90", "--reader", "nfc-native:pn532_uart:\(link)", "--polling", "payment")
        #expect(refused.status == 3 && refused.errors.contains("this reader cannot"), "\(refused.errors)")

        // A device of libnfc's configuration is listed, and taken where no reader is named.
        let (listing, listed, _) = program.process(["readers", "--json"])
        listing.environment?["LIBNFC_DEVICE"] = "pn532_uart:\(link)"
        try listing.run()
        let rows = try Program.list(
            String(decoding: try listed.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self))
        #expect(
            rows.contains {
                $0["name"] as? String == "nfc:pn532_uart:\(link)" && $0["kind"] as? String == "libnfc"
            })
        let (paying, receipt, _) = program.process(["pay", "9.90", "--json"])
        paying.environment?["LIBNFC_DEVICE"] = "pn532_uart:\(link)"
        try paying.run()
        let report = try receipt.fileHandleForReading.readToEnd() ?? Data()
        paying.waitUntilExit()
        #expect(paying.terminationStatus == 0, "\(String(decoding: report, as: UTF8.self))")

        attached.interrupt()
        attached.waitUntilExit()
        #expect(attached.terminationReason == .exit && attached.terminationStatus == 0)
        #expect(!FileManager.default.fileExists(atPath: link))
        // Four payments were made, and the counter was kept.
        let cards = try Program.list(try await program.run("cards", "--json").output)
        let debit = try #require(cards.first { $0["id"] as? String == "visa-debit" })
        #expect(debit["transactionCounter"] as? Int == 4)
        let gone = try await program.run("pay", "9.90", "--reader", "nfc:pn532_uart:\(link)")
        #expect(gone.status == 3 && gone.errors.contains("plug it in") || gone.output.contains("plug it in"))
    }

    /// A device of libnfc's that is plugged in, out and in again: each is told, as it happens, until Ctrl-C.
    @Test(.timeLimit(.minutes(2))) func watchTellsOfDevices() async throws {
        let program = try Program()
        defer { program.remove() }
        let link = program.state.appendingPathComponent("reader").path
        let (watching, told, _) = program.process(["readers", "--watch", "--json"])
        watching.environment?["LIBNFC_DEVICE"] = "pn532_uart:\(link)"
        try watching.run()
        defer { if watching.isRunning { watching.terminate() } }
        var unread = Data()
        /// The next event about the device.
        func next() throws -> String? {
            while true {
                while let end = unread.firstIndex(of: 0x0A) {
                    let event = try Program.object(String(decoding: unread[..<end], as: UTF8.self))
                    unread = unread[(end + 1)...]
                    if event["reader"] as? String == "nfc:pn532_uart:\(link)" {
                        return event["event"] as? String
                    }
                }
                let more = told.fileHandleForReading.availableData
                if more.isEmpty { return nil }
                unread += more
            }
        }
        for _ in 0..<2 {
            let (attached, output, _) = program.process([
                "card", "attach", "visa-debit", "--pn532", "--link", link,
            ])
            try attached.run()
            defer { if attached.isRunning { attached.terminate() } }
            #expect(!output.fileHandleForReading.availableData.isEmpty)
            #expect(try next() == "reader-added")
            attached.interrupt()
            attached.waitUntilExit()
            #expect(try next() == "reader-removed")
        }
        watching.interrupt()
        watching.waitUntilExit()
        #expect(watching.terminationReason == .uncaughtSignal && watching.terminationStatus == SIGINT)
    }

    @Test(arguments: [
        ["card", "attach", "visa-debit", "--misbehave", "reset"],
        ["card", "attach", "visa-debit", "--pn532", "--misbehave", "explode"],
        ["pay", "1.00", "--reader", "nfc:pn532_uart:/dev/null", "--polling", "often"],
    ])
    func wrongUsage(_ arguments: [String]) async throws {
        let program = try Program()
        defer { program.remove() }
        let (process, _, errors) = program.process(arguments)
        try process.run()
        let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 64, "\(text)")
    }
}
