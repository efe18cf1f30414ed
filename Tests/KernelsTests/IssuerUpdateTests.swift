import BERTLV
import EMV
import SmartCard
import Testing

@testable import Kernels

/// The second presentment of Kernel 3 (Book C-3, 5.9): EXTERNAL AUTHENTICATE and issuer scripts, with results as in
/// EMV Book 4, A5, and TVR as in EMV Book 3, C5.
@Suite struct QVSDCIssuerUpdateTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var authentication: String?
        var scripts = ""
        var code = "00"
        /// Answers by the beginning of the command; all others get 9000. "" is silence.
        var answers: [String: String] = [:]
        var commands: [String]
        var status = Outcome.Status.approved
        var verification = "0000000000"
        var results: String?
        var testDescription: String { name }
    }

    static let data = "1122334400820000"
    static let authenticate = "0082000008" + data
    /// Script 72 with identifier 00000001 and two commands.
    static let two = "7215 9F1804000000018605041E000000 8605041800 0000".filter { $0 != " " }

    static let cases: [Case] = [
        Case(name: "authentication only", authentication: data, commands: [authenticate]),
        Case(
            name: "refused by the host", authentication: data, code: "51", commands: [authenticate],
            status: .declined),
        Case(
            name: "host: approved for a partial amount", authentication: data, code: "10",
            commands: [authenticate]),
        Case(
            name: "host: approved (VIP)", authentication: data, code: "11",
            commands: [authenticate]),
        Case(
            name: "no response code", authentication: data, code: "", commands: [authenticate],
            status: .declined),
        Case(
            name: "the card refuses the issuer: the host's decision stands", authentication: data,
            answers: ["0082": "6300"], commands: [authenticate], verification: "0000000040"),
        Case(
            name: "data of 7 bytes are not sent", authentication: "11223344556677", commands: [],
            verification: "0000000040"),
        Case(
            name: "data of 17 bytes are not sent", authentication: "1122334455667788990011223344556677",
            commands: [], verification: "0000000040"),
        Case(
            name: "data of 16 bytes", authentication: "11223344556677889900112233445566",
            commands: ["008200001011223344556677889900112233445566"]),
        Case(
            name: "the card leaves at the authentication: no script was performed", authentication: data,
            scripts: two, answers: ["0082": ""], commands: [authenticate], results: "0000000001"),

        Case(
            name: "two commands", scripts: two, commands: ["041E000000", "0418000000"], results: "2000000001"),
        Case(
            name: "71 goes before 72",
            scripts: two + "710E9F1804000000028605 0424000000".filter { $0 != " " },
            commands: ["0424000000", "041E000000", "0418000000"], results: "20000000022000000001"),
        Case(
            name: "after the authentication, though it failed", authentication: data, scripts: two,
            answers: ["0082": "6300"], commands: [authenticate, "041E000000", "0418000000"],
            verification: "0000000040", results: "2000000001"),
        Case(
            name: "62 and 63 let a script go on", scripts: two, answers: ["041E": "6283", "0418": "63C2"],
            commands: ["041E000000", "0418000000"], results: "2000000001"),
        Case(
            name: "first command fails: the rest is not sent", scripts: two, answers: ["041E": "6985"],
            commands: ["041E000000"], verification: "0000000010", results: "1100000001"),
        Case(
            name: "second command fails", scripts: two, answers: ["0418": "6A80"],
            commands: ["041E000000", "0418000000"], verification: "0000000010", results: "1200000001"),
        Case(
            name: "a failed script does not keep the next from being sent",
            scripts: two + "720E9F18040000000386050424000000", answers: ["041E": "6985"],
            commands: ["041E000000", "0424000000"], verification: "0000000010",
            results: "11000000012000000003"),
        Case(
            name: "the card leaves in the first script: the second was not performed",
            scripts: two + "720E9F18040000000386050424000000", answers: ["0418": ""],
            commands: ["041E000000", "0418000000"], verification: "0000000010",
            results: "12000000010000000003"),
        Case(
            name: "no identifier", scripts: "720786050424000000", commands: ["0424000000"],
            results: "2000000000"),
        Case(
            name: "identifier after the command", scripts: "720E860504240000009F180400000007",
            commands: ["0424000000"], results: "2000000007"),
        Case(name: "nothing to perform", scripts: "72079F180400000001", commands: [], results: "2000000001"),
        Case(
            name: "a command of 3 bytes fails", scripts: "72058603041E00", commands: [],
            verification: "0000000010", results: "1100000000"),
        Case(
            name: "a script broken inside is not performed, the next is",
            scripts: "720B9F180400000001860504" + "24" + "720E9F18040000000386050424000000",
            commands: ["0424000000"], verification: "0000000010", results: "00000000012000000003"),
        Case(
            name: "a good command before the break is not sent either",
            scripts: "7209860504240000008605", commands: [], verification: "0000000010", results: "0000000000"
        ),
        Case(name: "scripts that are no BER-TLV", scripts: "72FF86", commands: []),
        Case(
            name: "the sixteenth command fails: F",
            scripts: "7270" + String(repeating: "86050424000000", count: 15) + "8605041E000000",
            answers: ["041E": "6A80"],
            commands: Array(repeating: "0424000000", count: 15) + ["041E000000"], verification: "0000000010",
            results: "1F00000000"),
    ]

    @Test(arguments: cases) func secondPresentment(_ c: Case) throws {
        let update = IssuerUpdate(
            issuerAuthenticationData: try c.authentication.map { try bytes($0) },
            issuerScripts: try bytes(c.scripts), authorisationResponseCode: Array(c.code.utf8))
        var kernel = QVSDCKernel(
            KernelActivation(
                combination: combination("A0000000031010", 3), indicators: PreProcessingIndicators(),
                selectedApplication: try bytes("A0000000031010"),
                selectResponse: try ResponseAPDU(bytes: try bytes("6F098407A0000000031010 9000")),
                transaction: try inputs(1000), unpredictableNumber: 1,
                terminal: TerminalConfiguration(data: [:]), issuerUpdate: update))
        var action = kernel.start()
        var sent: [String] = []
        var outcome: Outcome?
        for _ in 0..<40 {
            if case .outcome(let found) = action {
                outcome = found
                break
            }
            guard case .transmit(let command) = action else {
                Issue.record("neither a command nor an outcome")
                return
            }
            let text = Hex.string(command.bytes)
            sent.append(text)
            let answer = try bytes(c.answers.first { text.hasPrefix($0.key) }?.value ?? "9000")
            action = kernel.handle(
                answer.isEmpty
                    ? .communicationError(.timeout)
                    : .response(try ResponseAPDU(bytes: answer), microseconds: 1))
        }
        let final = try #require(outcome)
        #expect(sent == c.commands)
        #expect(final.status == c.status)
        #expect(final.start == nil)
        #expect(final.uiRequestOnOutcome?.message == (c.status == .approved ? .approved : .notAuthorised))
        #expect(final.discretionaryData?[0x95].map { Hex.string($0) } == c.verification)
        #expect(final.discretionaryData?[0x9F5B].map { Hex.string($0) } == c.results)
        // Whatever comes afterwards changes nothing.
        guard case .outcome(let again) = kernel.handle(.communicationError(.timeout)) else {
            Issue.record("no outcome")
            return
        }
        #expect(again == final)
    }
}
