import Acquiring
import EMV
import EMVCryptography
import Foundation
import TestTools
import Testing

@testable import HTTPBackend

/// The example backend, as it lies in the repository, run by Python.
@Suite struct ExampleBackendTests {
    static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Examples/http-backend/backend.py")

    static let python = ["/usr/bin/python3", "/usr/local/bin/python3"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    static let python3 = Requirement("python3 is missing (apt install python3)", isMet: python != nil)

    static func withExample(_ body: (Int) async throws -> Void) async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(python))
        process.arguments = [file.path, "0"]
        process.environment = ["TAPBRIDGE_KEYS": "till-1=00112233445566778899AABBCCDDEEFF"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer {
            // It inherits a mask of signals, so that a polite one might not arrive.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        let port = try #require(
            line.split(separator: ":").last.flatMap {
                Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
            })
        try await body(port)
    }

    @Test func isShortAndNeedsNothing() throws {
        let lines = try String(contentsOf: Self.file, encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count <= 100)
        let standard: Set = [
            "contextlib", "hashlib", "hmac", "json", "os", "sys", "threading", "time", "http.server",
        ]
        for line in lines where line.hasPrefix("import ") || line.hasPrefix("from ") {
            #expect(standard.contains(String(line.split(separator: " ")[1])), "\(line)")
        }
    }

    @Test(.needs(python3)) func payments() async throws {
        try await Self.withExample { port in
            let backend = try backend(port)
            let till = try HTTPTill(backend)
            let paid = try await till.pay(1250, "visa-credit")
            #expect(paid.isApproved)
            #expect(paid.response?.authorizationCode == "000001")
            let declined = try await till.pay(12_000, "apple-pay-visa")
            #expect(declined.status == .declined, "\(declined.status) \(declined.reason ?? "")")
            #expect(declined.response?.responseCode == "51")
            #expect(try await till.pay(990, "visa-debit").isApproved)
            // Offline 9.90 was forwarded.
            var batch = Sample.reconciliation()
            #expect(
                try await backend.reconcile(batch) == .outOfBalance(BatchTotals(debits: 2, debitAmount: 2240))
            )
            batch.stan += 1
            batch.totals = BatchTotals(debits: 2, debitAmount: 2240)
            #expect(try await backend.reconcile(batch) == .balanced)
        }
    }

    /// Every kind of message; a reversal before and after its authorization.
    @Test(.needs(python3)) func messages() async throws {
        try await Self.withExample { port in
            let backend = try backend(port)
            #expect(try await backend.authorize(Sample.authorization("A")).isApproved)
            try await backend.reverse(Sample.reversal("A"))
            try await backend.reverse(Sample.reversal("B"))
            #expect(try await backend.authorize(Sample.authorization("B")).responseCode == "94")
            try await backend.advise(Sample.authorization("T-1"), offline: .approved)
            try await backend.advise(Sample.authorization("T-1"), offline: .approved)
            try await backend.adjust(Sample.adjustment())
            var batch = Sample.reconciliation()
            #expect(
                try await backend.reconcile(batch) == .outOfBalance(BatchTotals(debits: 1, debitAmount: 1400))
            )
            try await backend.upload(Sample.item())
            batch.stan += 1
            batch.isAfterUpload = true
            #expect(try await backend.reconcile(batch) == .balanced)
        }
    }

    @Test(.needs(python3)) func wrongAndReplayed() async throws {
        try await Self.withExample { port in
            let body = try HTTPMessage.authorization(Sample.authorization()).json()
            let first = try await post(port, body: body)
            let second = try await post(port, body: body)
            #expect(first.status == 200 && first.body == second.body)
            #expect(try HTTPHostTests.isSigned(second))
            let other = try HTTPMessage.authorization(Sample.authorization(cents: 3)).json()
            #expect(try await post(port, body: other).status == 409)
            #expect(try await post(port, body: body, signature: "v1=0").status == 401)
            #expect(try await post(port, body: body, keyID: "nobody").status == 401)
            #expect(try await post(port, body: body, timestamp: 1_000_000_000).status == 401)
            #expect(try await post(port, body: Array("[1,2".utf8), key: "k").status == 400)
            #expect(try await post(port, body: Array("[1,2]".utf8), key: "k").status == 400)
            #expect(
                try await post(port, body: Array("{\"message\":\"authorization\"}".utf8), key: "k").status
                    == 400)
            // Its answers are those of the document.
            let schema = try Schema()
            #expect(try schema.errors(OpenAPITests.object(first.body), schema.component("Answer")) == [])
            let wrong = try await HTTPExchangeTests.failure(
                backend(port, key: SecretKey([UInt8](repeating: 3, count: 16))))
            #expect(wrong?.isOutcomeUnknown == false)
        }
    }
}
