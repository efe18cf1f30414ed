import BERTLV
import EMV
import EMVCryptography
import Foundation
import ISO8583
import ISO8583Dialects
import ISO8583Backend
import Issuing
import TestTools
import Testing

@testable import AcquirerHost
@testable import Acquiring
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator
@testable import AcquirerSimulator

func bytes(_ hex: String) -> [UInt8] { Hex.bytes(hex)! }
let euro = NumericCode(978)!

/// What a terminal sends after a tap of a test card (Visa, cryptogram version 10).
struct Payment {
    var number = "4761739001010119"
    var amount: UInt64 = 1500
    var terminal = "TERM0001"
    /// Also the card's transaction counter.
    var stan: UInt32 = 1

    var request: AuthorizationRequest {
        let pan = PrimaryAccountNumber(digits: number)!
        let iad: [UInt8] = [0x06, 1, 0x0A, 0x03, 0xA0, 0, 0]
        var data: DataObjects = [
            0x82: bytes("2000"), 0x84: bytes("A0000000031010"), 0x95: bytes("0000000000"),
            0x9A: bytes("261120"),
            0x9C: [0], 0x9F02: BCD.bytes(amount, count: 6), 0x9F03: bytes("000000000000"), 0x9F10: iad,
            0x9F1A: bytes("0276"), 0x9F27: [0x80], 0x9F37: bytes("1A2B3C4D"), 0x5F2A: bytes("0978"),
            0x5F34: [1],
        ]
        data.set(0x9F36, number: UInt64(stan), count: 2)
        var input = CryptogramInput()
        // swift-format-ignore: ReplaceForEachWithForLoop
        for tag in data.tags {
            guard let value = data.span(tag) else { continue }
            _ = input.set(tag: tag, value)
        }
        let master = try! TripleDESKey(bytes("0123456789ABCDEFFEDCBA9876543210")).iccMasterKey(
            pan: pan.compressedNumeric, panSequenceNumber: 1)
        data.set(
            0x9F26,
            CryptogramVersion.visaCVN10.applicationCryptogram(
                masterKey: master, input: input, issuerApplicationData: iad.span
            ).bytes)
        return AuthorizationRequest(
            transactionID: "\(terminal)-\(stan)", terminalID: terminal, merchantID: "MERCHANT0000001",
            merchantName: "Tapbridge Demo Store", merchantCategoryCode: "5812", stan: stan,
            retrievalReference: "6325" + String(100_000_000 + Int(stan)).suffix(8),
            amount: Amount(minorUnits: amount)!, currency: euro,
            country: NumericCode(276)!, transactionType: 0, date: EMVDate(yymmdd: 261120)!, hhmmss: 223015,
            entryMode: .contactlessChip, primaryAccountNumber: pan, panSequenceNumber: 1,
            expiry: EMVDate(yymmdd: 311231),
            track2: Track2EquivalentData(bytes(number + "D31122011143878089000F")), chipData: data.encoded(),
            cvm: .noCVM)
    }

    var reversal: ReversalRequest {
        let request = request
        return ReversalRequest(
            transactionID: request.transactionID, terminalID: terminal, stan: stan,
            retrievalReference: request.retrievalReference, amount: request.amount, currency: euro,
            reason: .timeout, original: request)
    }
}

/// A host on a free port of this machine.
final class TestHost: Sendable {
    let service: HostService
    let simulator: SimulatedAcquirer
    let endpoint: Endpoint
    private let task: Task<Void, any Error>
    private let entries = Observed<[HostLogEntry]>([])

    var log: [HostLogEntry] { entries.value }
    /// Waits for what the host writes into its log.
    func logged(until isSo: @escaping @Sendable ([HostLogEntry]) -> Bool) async -> Bool {
        await entries.wait(until: isSo)
    }

    init(
        _ interface: HostInterface, troubles: [String] = [], security: TransportSecurity? = nil,
        port: Int = 0,
        idleTimeout: Duration = .seconds(600), observer: (@Sendable (HostTraffic) -> Void)? = nil
    ) async throws {
        let simulator = SimulatedAcquirer()
        self.simulator = simulator
        let entries = entries
        service = HostService(
            acquirer: simulator, troubles: TroubleScript(rules: try troubles.map { try TroubleRule($0) })
        ) { entry in entries.update { $0.append(entry) } }
        var listener = ISO8583Listener(
            service: service, interface: interface, endpoint: Endpoint(host: "127.0.0.1", port: port),
            security: security)
        listener.idleTimeout = idleTimeout
        listener.observer = observer
        let (addresses, continuation) = AsyncStream.makeStream(of: Endpoint.self)
        task = Task { [listener] in
            defer { continuation.finish() }
            try await listener.run { continuation.yield($0) }
        }
        var found: Endpoint?
        for await address in addresses {
            found = address
            break
        }
        endpoint = try #require(found)
    }

    func stop() async {
        task.cancel()
        _ = await task.result
    }
}

/// What a link tells of its connections.
final class LinkLog: Sendable {
    private let lines = Observed<[String]>([])
    @Sendable func note(_ line: String) { lines.update { $0.append(line) } }
    /// Waits for so many lines with a word.
    func told(_ word: String, times: Int = 1) async -> Bool {
        await lines.wait { lines in lines.count { $0.contains(word) } >= times }
    }
}

extension LinkSettings {
    /// Short times, for tests.
    static func quick(answer: Duration = .seconds(20)) -> LinkSettings {
        var settings = LinkSettings()
        settings.connectTimeout = .seconds(5)
        settings.answerTimeout = answer
        settings.echoTimeout = .seconds(20)
        settings.firstPause = .milliseconds(20)
        settings.longestPause = .milliseconds(100)
        return settings
    }
}

extension HostInterface {
    static func named(
        _ dialect: String, _ framing: String = "2-byte", mac: MessageMAC? = nil
    ) throws -> HostInterface {
        HostInterface(
            dialect: try #require(try Dialect.builtIn(dialect)), framing: try #require(Framing(framing)),
            mac: mac)
    }
}

/// How a call ended.
enum Ending: Equatable, Sendable {
    case approved
    case declined(String)
    case unreachable, notReady, timeout, malformed, lost, rejected

    static func of(_ backend: some AcquirerBackend, _ request: AuthorizationRequest) async -> Ending {
        do throws(AcquirerError) {
            let response = try await backend.authorize(request)
            return response.isApproved ? .approved : .declined(response.responseCode)
        } catch {
            return of(error)
        }
    }
    static func of(_ error: AcquirerError) -> Ending {
        switch error {
        case .unreachable: .unreachable
        case .notReady, .notProcessed: .notReady
        case .timeout: .timeout
        case .malformedResponse: .malformed
        case .connectionLost: .lost
        case .rejected: .rejected
        }
    }
}

/// Certificates of a test authority, made with openssl in a folder of their own.
struct TestCertificates {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "iso-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in ["ca", "other-ca"] {
            try openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                "2",
                "-keyout", "\(name)-key.pem", "-out", "\(name).pem", "-subj", "/CN=Test \(name)",
                "-addext", "basicConstraints=critical,CA:TRUE")
        }
        try sign("host", by: "ca", "subjectAltName=DNS:host.test,IP:127.0.0.1")
        try sign("terminal", by: "ca", "subjectAltName=DNS:terminal.test")
        try sign("stranger", by: "other-ca", "subjectAltName=DNS:stranger.test")
    }

    func path(_ name: String) -> String { folder.appending(path: name).path }
    func remove() { try? FileManager.default.removeItem(at: folder) }

    private func sign(_ name: String, by authority: String, _ extensions: String) throws {
        try openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            "\(name)-key.pem",
            "-out", "\(name).csr", "-subj", "/CN=\(name)")
        try Data("\(extensions)\n".utf8).write(to: folder.appending(path: "\(name).ext"))
        try openssl(
            "x509", "-req", "-in", "\(name).csr", "-CA", "\(authority).pem", "-CAkey", "\(authority)-key.pem",
            "-CAcreateserial", "-days", "2", "-extfile", "\(name).ext", "-out", "\(name).pem")
    }

    private func openssl(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/openssl")
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }
}
