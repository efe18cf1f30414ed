import Cards
import Foundation
import Hummingbird
import HummingbirdTesting
import TestTools
import Testing

@testable import Terminal
@testable import TerminalService

/// The API fuzzed from its own document by schemathesis.
@Suite struct FuzzTests {
    @Test(.needs(.oracles)) func noServerErrors() async throws {
        let house = try await House(terminals: 2, cardWait: .seconds(1))
        let application = Application(router: try API.router(hall: house.hall))
        try await application.test(.live) { client in
            let port = try #require(client.port)
            let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent()
            let process = Process()
            process.executableURL = URL(fileURLWithPath: try #require(PythonOracle.interpreter))
            process.arguments = [
                folder.appendingPathComponent("Oracles/api_fuzz.py").path, "http://localhost:\(port)", "6",
            ]
            let file = FileManager.default.temporaryDirectory.appendingPathComponent(
                "fuzz-\(UUID().uuidString)")
            #expect(FileManager.default.createFile(atPath: file.path, contents: nil))
            defer { try? FileManager.default.removeItem(at: file) }
            let output = try FileHandle(forWritingTo: file)
            process.standardOutput = output
            process.standardError = output
            process.currentDirectoryURL = FileManager.default.temporaryDirectory
            let end = OneShot()
            process.terminationHandler = { _ in end.happen() }
            try process.run()
            await end.wait()
            let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
            #expect(process.terminationStatus == 0, "\(text.suffix(6000))")
            // The daemon is as well as before.
            #expect(try await client.call(.get, "/v1/status").status == .ok)
            house.hall.hub.close()
        }
        // Whatever was removed, new ones work.
        try house.hall.addTerminal(id: "after001")
        let card = try house.hall.shelf.add(try CardLibrary.profile("mc-credit"), id: nil)
        let payment = try await house.pay(House.order(1250, cards: [card.id], terminal: "after001"))
        #expect(payment.state == .finished)
    }
}
