import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Synchronization
import TestTools
import Testing
import Yams

@testable import Terminal
@testable import TerminalService

@Suite struct OpenAPITests {
    static func document() throws -> [String: Any] {
        try #require(try Yams.load(yaml: OpenAPIDocument.yaml) as? [String: Any])
    }

    /// Every route of the daemon is in the document, and the other way round. The console's own files are none of the API's.
    @Test func routesAreDescribed() async throws {
        let routes = try await TestDaemon.with { daemon in
            try Set(
                daemon.daemon.router().routes.filter { $0.method != .head }.map {
                    "\($0.method.rawValue.lowercased()) \($0.path)"
                })
        }.subtracting(ConsoleFiles.all.map { "get \($0.path)" })
        var described: Set<String> = []
        for (path, item) in try #require(try Self.document()["paths"] as? [String: [String: Any]]) {
            for method in item.keys where method != "parameters" { described.insert("\(method) \(path)") }
        }
        #expect(routes.subtracting(described) == [])
        #expect(described.subtracting(routes) == [])
    }

    @Test func everyCodeIsDescribed() throws {
        let schemas = try #require(
            (try Self.document()["components"] as? [String: Any])?["schemas"] as? [String: Any])
        let problem = try #require(schemas["Problem"] as? [String: Any])
        let codes =
            ((problem["properties"] as? [String: Any])?["code"] as? [String: Any])?["enum"] as? [String]
        #expect(Set(codes ?? []) == Set(Problem.Code.allCases.map(\.rawValue)))
        let journal = schemas["JournalState"] as? [String: Any]
        #expect(journal?["enum"] as? [String] != nil)
    }

    @Test func jsonIsTheSame() throws {
        let json = try #require(OpenAPIDocument.json)
        let tree = try #require(try JSONSerialization.jsonObject(with: json) as? NSDictionary)
        #expect(
            (tree["paths"] as? [String: Any])?.count
                == (try Self.document()["paths"] as? [String: Any])?.count)
    }

    /// Live answers of every kind of resource fit the document's schemas, by an independent validator.
    @Test(.needs(.oracles)) func answersFit()
        async throws
    {
        let house = try await House(terminals: 2, troubles: ["authorization amount 4200: unreachable"])
        let lines = Mutex<[String]>([])
        // The validator takes its time over trees: some of each type will do.
        var told: [String: Int] = [:]
        func add(_ events: [ServiceEvent]) {
            for event in events where told[event.type, default: 0] < 8 {
                told[event.type, default: 0] += 1
                add("Event", event.data)
            }
        }
        @Sendable func add(_ schema: String, _ data: Data) {
            lines.withLock { $0.append(schema + " " + String(decoding: data, as: UTF8.self)) }
        }
        // Every kind of event that emulated payments give.
        for (amount, card) in [
            (1250 as UInt64, "visa-credit"), (990, "visa-debit"), (1250, "mc-credit"),
            (280, "mc-data-storage"),
            (900, "mc-mag-stripe"), (990, "visa-tampered"), (2500, "visa-poor"),
            (3000, "visa-debit"),
        ] {
            let payment = try await house.pay(House.order(amount, cards: [card]))
            add(try #require(house.hall.livePayment(payment.id)).events)
            add("Payment", try JSON.encode(payment))
        }
        let collision = try await house.pay(House.order(2200, cards: ["visa-credit", "visa-debit"]))
        add(try #require(house.hall.livePayment(collision.id)).events)
        let pin = try await house.hall.pay(House.order(8000, cards: ["visa-debit"])).payment
        let live = try #require(house.hall.livePayment(pin.id))
        #expect(try await eventually { live.phase == .enteringPIN })
        add("Terminal", try JSON.encode(house.stage.view))
        add("Payment", try JSON.encode(live.view))
        try house.stage.enterPIN(nil)
        await live.finished.wait()
        add(live.events)
        #expect(told.count >= 17)

        let application = Application(router: try API.router(hall: house.hall))
        try await application.test(.live) { client in
            for (uri, schema) in [
                ("/v1/status", "Status"), ("/v1/readers", "Readers"), ("/v1/terminals", "Terminals"),
                ("/v1/terminals/TERM0001", "Terminal"), ("/v1/terminals/TERM0001/batch", "Batch"),
                ("/v1/card-profiles", "CardProfiles"), ("/v1/cards", "Cards"),
                ("/v1/cards/google-pay-visa", "Card"),
                ("/v1/payments", "Payments"), ("/v1/payments/\(collision.id)", "Payment"),
                ("/v1/traces", "Traces"),
                ("/v1/journal", "Journal"), ("/v1/journal/\(collision.id)", "JournalEntry"),
                ("/v1/journal/verification", "Verification"), ("/v1/nothing", "Problem"),
                ("/v1/journal?limit=x", "Problem"),
            ] {
                add(schema, try await client.call(.get, uri).data)
            }
            add("Settlements", try await client.call(.post, "/v1/terminals/TERM0001/settlements").data)
            add("Settlements", try await client.call(.get, "/v1/settlements").data)
            add(
                "Tap",
                try await client.call(.post, "/v1/terminals/TERM0002/taps", #"{"card":"mc-debit"}"#).data)
            add("Terminal", try await client.call(.get, "/v1/terminals/TERM0002").data)
            add("Card", try await client.call(.post, "/v1/cards", #"{"profile":"mc-debit"}"#).data)
            add("Terminal", try await client.call(.post, "/v1/terminals", #"{"id":"till-009"}"#).data)
            add("DecodedNode", try await client.call(.post, "/v1/decode", #"{"hex":"9F66043600C000"}"#).data)
            add(
                "Payment",
                try await client.pay(#"{"terminal":"till-009","amount":100,"deadlineSeconds":1}"#).data)
            add("Replay", try await client.call(.post, "/v1/traces/mc-credit-torn/replay").data)
            add(
                "Replay",
                try await client.call(
                    .post, "/v1/traces/visa-debit-online-pin/replay", #"{"mode":"lenient"}"#
                ).data)
        }
        let all = lines.withLock { $0 }
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(
            "answers-\(UUID().uuidString)")
        try Data((all.joined(separator: "\n") + "\n").utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: try #require(ProcessInfo.processInfo.environment["TAPBRIDGE_PYTHON"]))
        process.arguments = [
            folder.appendingPathComponent("Oracles/openapi_check.py").path,
            folder.deletingLastPathComponent().appendingPathComponent(
                "Sources/TerminalService/API/openapi.yaml"
            ).path,
        ]
        let output = Pipe()
        process.standardInput = try FileHandle(forReadingFrom: file)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text.suffix(3000))")
        #expect(text.contains("\(all.count) fit"))
    }
}
