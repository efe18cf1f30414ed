import Acquiring
import CardReaders
import Cards
import EMV
import Foundation
import ISO8583
import ISO8583Backend
import ISO8583Dialects
import Journal
import Synchronization
import Terminal
import Testing
import TestTools

/// A host that answers with one code, as its line would carry it, and counts the reversals.
private final class CodeHost: AcquirerBackend {
    let name = "codes"
    let reader: AnswerReader
    let change: @Sendable (inout Message) -> Void
    let reversals = Mutex<[ReversalRequest]>([])

    init(_ interface: HostInterface, _ change: @escaping @Sendable (inout Message) -> Void) {
        reader = AnswerReader(interface)
        self.change = change
    }

    func authorize(
        _ request: AuthorizationRequest
    ) async throws(AcquirerError) -> AuthorizationResponse {
        let sent = MessageBuilder(reader.interface).authorization(request)
        var answer = Message(sent.type.response)
        for field in [4, 11, 37, 41, 49] { answer[field] = sent[field] }
        change(&answer)
        return try reader.authorization(answer, of: SentAuthorization(request))
    }
    func reverse(_ request: ReversalRequest) async throws(AcquirerError) {
        reversals.withLock { $0.append(request) }
    }
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {}
}

/// One row: what the host answers, what the terminal can do, what comes of it.
struct CodeCase: Sendable, CustomTestStringConvertible {
    enum End: Sendable { case approved, declined, reversedAsNotTaken, reversedAsMalformed }
    var version: Dialect.Version
    var code: String
    /// Field 38.
    var approval: String?
    /// Field 4 is this much instead of the amount.
    var part: UInt64?
    var acceptsPart = false
    var identifies = false
    var end: End

    var testDescription: String {
        "\(version) \(code) 38=\(approval ?? "-")\(part.map { " part \($0)" } ?? "")"
            + (acceptsPart ? " accepts parts" : "") + (identifies ? " identifies" : "")
    }

    /// Of each version the codes that matter, with and without field 38, for terminals of both capabilities.
    static let all: [CodeCase] = {
        var result: [CodeCase] = []
        func add(
            _ version: Dialect.Version, _ codes: [String], approvals: [String?] = ["AB12CD", nil], _ end: End
        ) {
            for code in codes {
                for approval in approvals {
                    result.append(CodeCase(version: version, code: code, approval: approval, end: end))
                }
            }
        }
        // Approvals of the whole amount.
        add(.v1987, ["00", "11", "16"], .approved)
        add(.v1993, ["000", "003", "004", "005", "007"], .approved)
        // On the condition of identification.
        for (version, code) in [(Dialect.Version.v1987, "08"), (.v1993, "001")] {
            add(version, [code], .reversedAsNotTaken)
            result.append(
                CodeCase(version: version, code: code, approval: "AB12CD", identifies: true, end: .approved))
        }
        // For a part: which one is not said; said and not asked for; said and asked for.
        for (version, code) in [
            (Dialect.Version.v1987, "10"), (.v1987, "32"), (.v1993, "002"), (.v1993, "006"),
        ] {
            add(version, [code], .reversedAsMalformed)
            result.append(
                CodeCase(
                    version: version, code: code, approval: "AB12CD", part: 1000, end: .reversedAsNotTaken))
            result.append(
                CodeCase(
                    version: version, code: code, approval: "AB12CD", part: 1000, acceptsPart: true,
                    end: .approved))
            result.append(
                CodeCase(
                    version: version, code: code, approval: "AB12CD", part: 0, acceptsPart: true,
                    end: .reversedAsMalformed))
        }
        // The class of approvals, under a condition that nobody knows.
        add(.v1993, ["060", "099"], .reversedAsNotTaken)
        // Declines.
        add(.v1987, ["01", "04", "05", "12", "41", "51", "54", "55", "68", "91", "96"], .declined)
        add(.v1993, ["100", "107", "116", "117", "200", "208", "907", "909", "911"], .declined)
        // Of other classes, or no codes: the outcome is unknown.
        add(.v1987, ["95", "0"], .reversedAsMalformed)
        add(
            .v1993, ["300", "400", "500", "501", "600", "700", "800", "900", "00", "0A0"],
            .reversedAsMalformed)
        // The host is still at work.
        add(.v1987, ["09"], .reversedAsMalformed)
        add(.v1993, ["923"], .reversedAsMalformed)
        // Unknown: declined, but not where an authorization code came.
        for (version, code) in [
            (Dialect.Version.v1987, "77"), (.v1987, "Z3"), (.v1987, "N7"), (.v1993, "188"), (.v1993, "299"),
            (.v1993, "999"),
        ] {
            add(version, [code], approvals: ["AB12CD"], .reversedAsMalformed)
            add(version, [code], approvals: [nil, "000000", "      "], .declined)
        }
        return result
    }()
}

@Suite struct ResponseCodeTests {
    /// Version, code, field 38 and the terminal's capabilities decide what a payment ends as, whether it is reversed and
    /// why; the code is kept as it came.
    @Test(arguments: CodeCase.all) func everyCode(_ row: CodeCase) async throws {
        let interface = try HostInterface.named(row.version == .v1993 ? "generic-93-ascii" : "generic-ascii")
        let host = CodeHost(interface) { answer in
            answer.set(39, row.code)
            if let approval = row.approval { answer.set(38, approval) }
            if let part = row.part {
                answer.set(4, String(repeating: "0", count: 12 - "\(part)".count) + "\(part)")
            }
        }
        let journal = try Journal.inMemory()
        let result = try await Self.pay(row, host, journal)
        let record = try #require(try await journal.show(result.transactionID))
        let reversals = host.reversals.withLock { $0 }
        switch row.end {
        case .approved:
            #expect(result.status == .approved, "\(result.reason ?? "")")
            #expect(record.state == .approved)
            #expect(reversals.isEmpty)
            #expect(record.approvedAmount?.minorUnits == row.part)
            if row.identifies { #expect(result.reason?.contains("identified") == true) }
        case .declined:
            #expect(result.status == .declined)
            #expect(record.state == .declined)
            #expect(reversals.isEmpty)
        case .reversedAsNotTaken:
            #expect(result.status == .declined)
            #expect(record.state == .reversed)
            #expect(reversals.map(\.reason) == [.approvalNotTaken])
            #expect(record.reversalReason == "approvalNotTaken")
            #expect(result.reason?.contains(row.part == nil ? row.code : "part") == true)
            #expect(reversals.first?.authorizationCode == row.approval)
        case .reversedAsMalformed:
            #expect(result.status == .failed)
            #expect(result.online == nil)
            #expect(record.state == .reversed)
            #expect(reversals.map(\.reason) == [.malformedResponse])
        }
        // Of a part that is not said nothing is kept but the reason.
        if record.responseCode == nil {
            #expect(
                record.reason?.contains("39 is \(row.code)") == true
                    || record.reason?.contains("field 4") == true)
        } else {
            #expect(record.responseCode == row.code)
            #expect(result.response?.responseCode == row.code)
            #expect(
                result.receipt?.lines.contains { $0.label == "Response code" && $0.value == row.code } == true
            )
        }
    }

    static func pay(
        _ row: CodeCase, _ host: any AcquirerBackend, _ journal: Journal
    ) async throws -> PaymentResult {
        let field = EmulatedReader()
        field.present(try EmulatedCard(profile: try CardLibrary.profile("visa-credit")))
        var profile = try TerminalProfile.builtIn()
        profile.acceptance.identifiesCardholders = row.identifies
        let session = TerminalSession(profile: profile, reader: field, backend: host, journal: journal)
        return try await session.pay(
            PaymentRequest(amount: Amount(clamping: 1250), acceptsPartialApproval: row.acceptsPart))
    }

    /// Evidence of an approval besides field 38: the issuer's code for the card.
    @Test(arguments: [
        ("8A023030", true), ("910AAABBCCDDEEFF11223030", true), ("8A023035", false), ("", false),
    ])
    func evidenceInChipData(_ chip: String, _ isEvidence: Bool) async throws {
        let host = CodeHost(try .named("generic-ascii")) { answer in
            answer.set(39, "77")
            if !chip.isEmpty { answer.set(55, bytes(chip)) }
        }
        let journal = try Journal.inMemory()
        let row = CodeCase(version: .v1987, code: "77", end: .declined)
        let result = try await Self.pay(row, host, journal)
        #expect(result.status == (isEvidence ? .failed : .declined))
        #expect(host.reversals.withLock { $0.count } == (isEvidence ? 1 : 0))
    }

    /// A host's own codes, from its file, decide as those that they stand for.
    @Test(arguments: [("85", true), ("Z3", false), ("08", true)])
    func ownCodes(_ code: String, _ isApproved: Bool) async throws {
        var interface = try HostInterface.named("generic-ascii")
        interface.responseCodes = ["85": "00", "Z3": "51", "08": "11"]
        let host = CodeHost(interface) { answer in
            answer.set(39, code)
            answer.set(38, "AB12CD")
        }
        let journal = try Journal.inMemory()
        let row = CodeCase(version: .v1987, code: code, end: .approved)
        let result = try await Self.pay(row, host, journal)
        #expect(result.isApproved == isApproved)
        #expect(try await journal.show(result.transactionID)?.responseCode == code)
        #expect(host.reversals.withLock { $0.isEmpty })
    }

    // MARK: - Responses that acknowledge

    enum Acknowledged: Sendable { case yes, later, refused, malformed }

    /// By class of message: what ends it, what is repeated, what is for a person.
    @Test(arguments: [
        ("generic-ascii", 0x0430 as UInt16, "00", Acknowledged.yes), ("generic-ascii", 0x0430, "25", .yes),
        ("generic-ascii", 0x0430, "94", .yes), ("generic-ascii", 0x0430, "91", .later),
        ("generic-ascii", 0x0430, "09", .later), ("generic-ascii", 0x0430, "12", .refused),
        ("generic-ascii", 0x0430, "08", .malformed), ("generic-ascii", 0x0430, "10", .malformed),
        ("generic-ascii", 0x0410, "00", .yes), ("generic-ascii", 0x0230, "00", .yes),
        ("generic-ascii", 0x0230, "16", .yes), ("generic-ascii", 0x0230, "95", .malformed),
        ("generic-93-ascii", 0x1430, "400", .yes), ("generic-93-ascii", 0x1430, "000", .yes),
        ("generic-93-ascii", 0x1430, "914", .yes), ("generic-93-ascii", 0x1430, "913", .yes),
        ("generic-93-ascii", 0x1430, "907", .later), ("generic-93-ascii", 0x1430, "923", .later),
        ("generic-93-ascii", 0x1430, "800", .malformed), ("generic-93-ascii", 0x1430, "500", .malformed),
        ("generic-93-ascii", 0x1430, "007", .malformed), ("generic-93-ascii", 0x1430, "902", .refused),
        ("generic-93-ascii", 0x1430, "499", .refused), ("generic-93-ascii", 0x1230, "000", .yes),
        ("generic-93-ascii", 0x1230, "900", .yes), ("generic-93-ascii", 0x1230, "400", .malformed),
        ("generic-93-ascii", 0x1330, "300", .yes), ("generic-93-ascii", 0x1330, "306", .refused),
    ]) func acknowledgements(_ dialect: String, _ type: UInt16, _ code: String, _ end: Acknowledged) throws {
        let reader = AnswerReader(try .named(dialect))
        var answer = Message(MessageType(rawValue: type))
        answer.set(39, code)
        do throws(AcquirerError) {
            try reader.acknowledgement(answer, alsoAccepted: [.notFound, .duplicate])
            #expect(end == .yes)
        } catch {
            let expected: Ending? =
                switch end {
                case .yes: nil
                case .later: .notReady
                case .refused: .rejected
                case .malformed: .malformed
                }
            #expect(Ending.of(error) == expected)
            #expect("\(error)".contains(code))
        }
    }

    /// Field 66 says "out of balance" in 1987 alone; in 1993 it has fees, and is left out by us.
    @Test(arguments: [
        ("generic-ascii", 0x0510 as UInt16, "00", "1", true), ("generic-ascii", 0x0510, "00", "2", false),
        ("generic-ascii", 0x0510, "95", nil, false), ("generic-93-ascii", 0x1510, "500", nil, true),
        ("generic-93-ascii", 0x1510, "500", "1", true), ("generic-93-ascii", 0x1510, "500", "2", true),
        ("generic-93-ascii", 0x1510, "501", nil, false), ("generic-93-ascii", 0x1510, "502", nil, false),
        ("generic-93-ascii", 0x1510, "504", "2", false),
    ]) func reconciliations(
        _ dialect: String, _ type: UInt16, _ code: String, _ settlement: String?, _ isBalanced: Bool
    ) throws {
        var answer = Message(MessageType(rawValue: type))
        answer.set(39, code)
        if let settlement { answer.set(66, settlement) }
        let read = try AnswerReader(.named(dialect)).reconciliation(answer)
        #expect((read == .balanced) == isBalanced)
    }

    @Test(arguments: ["400", "800", "001", "00"]) func foreignCodesSettleNothing(_ code: String) throws {
        var answer = Message(0x1510)
        answer.set(39, code)
        #expect {
            try AnswerReader(.named("generic-93-ascii")).reconciliation(answer)
        } throws: { ($0 as? AcquirerError)?.isOutcomeUnknown == true }
    }

    @Test(arguments: Dialect.builtInNames, [true, false])
    func field66InAnswers(_ dialect: String, _ isBalanced: Bool) throws {
        let interface = try HostInterface.named(dialect)
        let is1993 = interface.dialect.version == .v1993
        let request = Message(is1993 ? 0x1500 : 0x0500)
        let answer = AnswerBuilder(interface).reconciliation(
            to: request, isBalanced ? .balanced : .outOfBalance(nil))
        let expected = is1993 || interface.dialect[66] == nil ? nil : isBalanced ? "1" : "2"
        #expect(answer.text(66) == expected)
        #expect(answer.text(39) == (is1993 ? isBalanced ? "500" : "501" : isBalanced ? "00" : "95"))
    }

    // MARK: - Another implementation's host

    /// The same over a socket, with a host that pyiso8583 writes: what it was sent after each answer.
    @Test(
        .needs(.oracles),
        arguments: [
            (
                "generic-ascii",
                [
                    ("00:AB12CD", PaymentResult.Status.approved), ("08:AB12CD", .declined),
                    ("16:AB12CD", .approved), ("11:AB12CD", .approved), ("51", .declined), ("77", .declined),
                    ("77:AB12CD", .failed), ("10:AB12CD", .failed), ("09", .failed),
                ], ["0200", "0420"], ["08", "77:AB12CD", "10", "09"]
            ),
            (
                "generic-93-ascii",
                [
                    ("000:AB12CD", .approved), ("001:AB12CD", .declined), ("004:AB12CD", .approved),
                    ("005:AB12CD", .approved), ("006:AB12CD", .failed), ("007:AB12CD", .approved),
                    ("060:AB12CD", .declined), ("400:AB12CD", .failed), ("800:AB12CD", .failed),
                    ("116", .declined),
                ], ["1200", "1420"], ["001", "006", "060", "400", "800"]
            ),
        ] as [(String, [(String, PaymentResult.Status)], [String], [String])])
    func anotherHost(
        _ dialect: String, _ steps: [(String, PaymentResult.Status)], _ types: [String], _ reversed: [String]
    ) async throws {
        let journal = try Journal.inMemory()
        var expected: [String] = []
        let lines = try await PythonHost.during(["iso8583_host.py", dialect] + steps.map(\.0)) { host in
            let acquirer = ISO8583Acquirer(
                interface: try .named(dialect), endpoints: [Endpoint(host: "127.0.0.1", port: host.port)],
                settings: .quick())
            for (step, status) in steps {
                let code = String(step.prefix { $0 != ":" })
                let row = CodeCase(version: .v1987, code: code, end: .approved)
                let result = try await Self.pay(row, acquirer, journal)
                #expect(result.status == status, "\(step): \(result.reason ?? "")")
                expected.append("\(types[0]) \(code)")
                let isReversed = reversed.contains(code) || reversed.contains(step)
                if isReversed { expected.append("\(types[1]) \(dialect == "generic-ascii" ? "00" : "400")") }
                let state = try await journal.show(result.transactionID)?.state
                #expect(
                    state == (isReversed ? .reversed : status == .approved ? .approved : .declined), "\(step)"
                )
            }
            await acquirer.close()
        }
        let heard = lines.map { line in
            let words = line.split(separator: " ")
            return "\(words.first ?? "") \(words.last ?? "")"
        }
        #expect(heard == expected)
    }
}

extension ResponseCodeTests {
    /// A second response on the same line, of another mind than the first: written down, and an approval is taken back.
    @Test(
        .needs(.oracles),
        arguments: [
            ("05+00:AB12CD", TransactionState.reversed, ["0200", "0420"]),
            ("00:AB12CD+05", .approved, ["0200"]), ("00:AB12CD+00:AB12CD", .approved, ["0200"]),
            ("05+05", .declined, ["0200"]),
        ])
    func secondResponses(_ step: String, _ state: TransactionState, _ heard: [String]) async throws {
        let journal = try Journal.inMemory()
        let lines = try await PythonHost.during(["iso8583_host.py", "generic-ascii", step]) { host in
            let acquirer = ISO8583Acquirer(
                interface: try .named("generic-ascii"),
                endpoints: [Endpoint(host: "127.0.0.1", port: host.port)], settings: .quick())
            let recorded = AsyncStream.makeStream(of: LateResponse.Action.self)
            let forwarder = Forwarder(
                terminalID: try TerminalProfile.builtIn().terminalID, journal: journal, backend: acquirer,
                observer: {
                    if case .lateAnswerRecorded(_, let action) = $0 { recorded.continuation.yield(action) }
                })
            let row = CodeCase(version: .v1987, code: "", end: .approved)
            let result = try await Self.pay(row, acquirer, journal)
            let listening = Task { await forwarder.listen() }
            for await _ in recorded.stream { break }
            _ = try await forwarder.flush()
            listening.cancel()
            await listening.value
            #expect(try await journal.show(result.transactionID)?.state == state)
            let second = step.split(separator: "+").last?.prefix { $0 != ":" } ?? ""
            #expect(
                try await journal.changes(of: result.transactionID).contains {
                    $0.detail?.contains("late answer, response code \(second)") == true
                })
            await acquirer.close()
        }
        #expect(lines.map { String($0.prefix(4)) } == heard)
    }
}

/// A program of `Tests/Oracles` that serves: prints `port N`, then lines until it is stopped.
final class PythonHost: Sendable {
    let port: Int
    private let process: Process
    private let output: FileHandle

    /// Its work, stopped afterwards.
    /// - Returns: what it printed after its port.
    static func during(
        _ arguments: [String], _ body: (PythonHost) async throws -> Void
    ) async throws -> [String] {
        let host = try await onOwnThread { try PythonHost(arguments) }
        do { try await body(host) } catch {
            _ = try await onOwnThread { host.stop() }
            throw error
        }
        return try await onOwnThread { host.stop() }
    }

    private init(_ arguments: [String]) throws {
        process = Process()
        let interpreter = try #require(PythonOracle.interpreter)
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Oracles")
        process.executableURL = URL(filePath: interpreter)
        process.currentDirectoryURL = folder
        process.arguments = ["-W", "ignore", "-u"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        output = pipe.fileHandleForReading
        try process.run()
        var line: [UInt8] = []
        while let byte = try output.read(upToCount: 1)?.first, byte != 0x0A { line.append(byte) }
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        port = try #require(words.last.flatMap { Int($0) })
    }

    private func stop() -> [String] {
        // Signals that can be blocked may be, where threads with such a mask start processes.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        return String(decoding: (try? output.readToEnd()) ?? Data(), as: UTF8.self)
            .split(separator: "\n").map { String($0) }
    }
}
