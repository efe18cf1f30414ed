import Foundation
import Testing

@Suite struct OnlinePINCommandTests {
    /// Read from standard input, enciphered under a key of its own each time, checked by the host.
    @Test func entered() async throws {
        let program = try Program()
        defer { program.remove() }
        for (line, code, status) in [("1234\n", "00", 0), ("9999\r\n", "55", 1), ("1234\n", "00", 0)]
            as [(String, String, Int32)]
        {
            let paid = try await program.run(
                "pay", "80.00", "--card", "visa-debit", "--pin", "ask", "--json", input: line)
            #expect(paid.status == status, "\(paid.errors)")
            #expect(try Program.object(paid.output)["responseCode"] as? String == code)
        }
        let counter = program.state.appendingPathComponent("tapbridge/pin-pads/FFFF9876543210E00000.txt")
        #expect(try String(contentsOf: counter, encoding: .utf8) == "FFFF9876543210E00003\n")
    }

    /// Nothing, too little, too much, no digits, no end of line: no PIN, so nothing is sent.
    @Test(arguments: [
        "", "\n", "123\n", "12345678901234567890123456789012345678901234567890\n", "12x4\n", "1234",
    ])
    func notEntered(_ line: String) async throws {
        let program = try Program()
        defer { program.remove() }
        let paid = try await program.run(
            "pay", "80.00", "--card", "visa-debit", "--pin", "ask", "--json", input: line)
        #expect(paid.status == 130)
        let report = try Program.object(paid.output)
        #expect(report["status"] as? String == "cancelled")
        #expect(report["reason"] as? String == "no PIN was entered")
    }

    @Test func keysOfTheProfile() async throws {
        let program = try Program()
        defer { program.remove() }
        let profile = program.state.appendingPathComponent("aes.yaml")
        // X9.24-3's test device.
        try """
        extends: built-in
        pin-pad:
          keys: aes-dukpt
          key: 1273671EA26AC29AFA4D1084127652A1
          serial-number: "123456789012345600000000"
        """.write(to: profile, atomically: true, encoding: .utf8)
        let paid = try await program.run(
            "pay", "80.00", "--card", "visa-debit", "--profile", profile.path, "--json")
        #expect(paid.status == 0, "\(paid.errors)")
        let counter = program.state.appendingPathComponent("tapbridge/pin-pads/123456789012345600000000.txt")
        #expect(try String(contentsOf: counter, encoding: .utf8) == "123456789012345600000001\n")
    }
}
