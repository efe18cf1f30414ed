import Acquiring
import AcquirerSimulator
import BERTLV
import EMV
import EMVCryptography
import Foundation
import Journal
import Kernels
import ProfileFile
import Testing

@testable import Terminal

@Suite struct OnlinePINKeyTests {
    static func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pin-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    static let schemes: [(String, @Sendable () throws -> PINKeys, Int, String)] = [
        ("zone key", { .tripleDES(try TestPIN.key(), keySerialNumber: []) }, 8, ""),
        ("Triple DES DUKPT", { try .test() }, 8, "FFFF9876543210E00001"),
        ("AES DUKPT", { try .testAES() }, 16, "123456789012345600000001"),
    ]

    /// The block of the payment is what the host deciphers, and a wrong PIN is a wrong PIN.
    @Test(arguments: 0..<3) func paymentsWithEachScheme(_ index: Int) async throws {
        let (_, keys, count, serial) = Self.schemes[index]
        for (digits, code) in [("1234", "00"), ("4321", "55")] {
            var till = try await Till()
            let pin = try #require(PIN(digits))
            till.environment.pinPad = .software(keys: try keys()) { _ in pin }
            till.field.present(try card("visa-debit"))
            let result = try await till.pay(8000)
            #expect(result.response?.responseCode == code)
            let sent = try #require(
                till.log.all.compactMap { event -> AuthorizationRequest? in
                    if case .authorizationSent(let request) = event { request } else { nil }
                }.first?.onlinePIN)
            #expect(sent.block.count == count)
            #expect(Hex.string(sent.keySerialNumber) == serial)
            #expect(!"\(sent)\(String(reflecting: sent))".contains(Hex.string(sent.block)))
        }
    }

    /// Vectors of X9.24-1: two transactions in a row have two keys.
    @Test func aKeyPerTransaction() async throws {
        let pin = try #require(PIN("1234"))
        let number = try #require(PrimaryAccountNumber(digits: "4012345678909"))
        let pad = PINPad.software(keys: try .test()) { _ in pin }
        let currency = try #require(NumericCode(978))
        let request = PINPad.Request(number: number, amount: .zero, currency: currency, languages: [])
        var blocks: [String] = []
        for _ in 0..<3 { blocks.append(Hex.string(try #require(try await pad.enter(request)).block)) }
        #expect(blocks == ["1B9C1845EB993A7A", "10A01C8D02C69107", "18DC07B94797B466"])
    }

    @Test func countersOutliveTheirProcess() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("counter.txt").path
        let first = try #require(Hex.bytes("FFFF9876543210E00000"))
        let successor: @Sendable ([UInt8]) -> [UInt8]? = {
            (try? TripleDESDUKPT.KeySerialNumber($0))?.successor?.bytes
        }
        func next() async throws -> String {
            Hex.string(try await FileKeyCounter(path: path).next(first, successor: successor))
        }
        #expect(try await next() == "FFFF9876543210E00001")
        #expect(try await next() == "FFFF9876543210E00002")
        // Many at once: each its own.
        let many = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<40 { group.addTask { try await next() } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(many.count == 40)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "FFFF9876543210E0002A\n")
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test(arguments: [
        ("FFFF9876543210E0", "does not hold"), ("nonsense\n", "does not hold"),
        ("FFFF9876543211200005\n", "belongs to another key"),
        ("123456789012345600000001\n", "belongs to another key"),
        ("FFFF9876543210FFF800\n", "used up"),
    ]) func countersThatCannotBeUsed(_ content: String, _ reason: String) async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("counter.txt").path
        try content.write(toFile: path, atomically: false, encoding: .utf8)
        var till = try await Till()
        let pin = try #require(PIN("1234"))
        till.environment.pinPad = .software(keys: try .test(), counter: FileKeyCounter(path: path)) { _ in pin
        }
        till.field.present(try card("visa-debit"))
        let result = try await till.pay(8000)
        #expect(result.status == .failed)
        #expect(result.reason?.contains(reason) == true, "\(result.reason ?? "")")
        // Nothing left the terminal, and the counter is as it was.
        #expect(await till.host.events.isEmpty)
        #expect(try await till.state(result) == .failed)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == content)
    }

    @Test func counterInNoFolder() async throws {
        await #expect(throws: PINPadError.self) {
            try await FileKeyCounter(path: "/nowhere/at/all").next([1, 2]) { $0 }
        }
    }
}

@Suite struct PINPadProfileTests {
    static func profile(_ section: String) throws(ProfileFileError) -> TerminalProfile {
        try TerminalProfile(
            text: "extends: built-in\npin-pad:\n" + section, source: "p.yaml", files: .paths(relativeTo: ""))
    }

    @Test func readKeys() throws {
        let tdes = try Self.profile(
            "  keys: tdes-dukpt\n  key: 6AC292FAA1315B4D858AB3A3D7D5933A\n  serial-number: FFFF9876543210E00000\n"
        )
        guard case .tripleDESDUKPT(let key, let number)? = tdes.pinKeys else {
            Issue.record("\(String(describing: tdes.pinKeys))")
            return
        }
        // X9.24-1: what the published base key gives for this device.
        #expect(
            try key == TripleDESDUKPT.initialKey(baseKey: TestPIN.tripleDESBaseKey, keySerialNumber: number))
        #expect(!"\(String(describing: tdes.pinKeys)) \(String(reflecting: tdes.pinKeys))".contains("6AC2"))
        let aes = try Self.profile(
            "  keys: aes-dukpt\n  key: 1273671EA26AC29AFA4D1084127652A1\n  serial-number: \"123456789012345600000000\"\n"
        )
        guard case .aesDUKPT? = aes.pinKeys else {
            Issue.record("\(String(describing: aes.pinKeys))")
            return
        }
        #expect(try TerminalProfile.builtIn().pinKeys == nil)
    }

    @Test func readKeyFile() throws {
        let folder = try OnlinePINKeyTests.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("pin.key").path
        try "CAFEBABEDEADBEEF0123456789ABCDEF\n".write(toFile: path, atomically: true, encoding: .utf8)
        let profile = try Self.profile("  keys: tdes\n  key-file: \(path)\n")
        guard case .tripleDES(let key, let serial)? = profile.pinKeys else {
            Issue.record("\(String(describing: profile.pinKeys))")
            return
        }
        #expect(try key == TestPIN.key())
        #expect(serial.isEmpty)
    }

    @Test(arguments: [
        ("  keys: des\n  key: \"00\"\n", "3:9", "expected one of tdes, aes, tdes-dukpt, aes-dukpt"),
        ("  keys: tdes\n  key: 0123456789ABCDEFXX\n", "4:8", "expected hexadecimal digits"),
        ("  keys: tdes\n  key: ABCDEF\n", "4:8", "expected a key of 16 or 24 bytes, found 3"),
        ("  keys: aes\n  key: ABCDEFABCDEFABCDEF\n", "4:8", "expected a key of 16, 24 or 32 bytes, found 9"),
        (
            "  keys: tdes-dukpt\n  key: 6AC292FAA1315B4D858AB3A3D7D5933A\n  serial-number: FFFF98\n", "5:18",
            "a key serial number of 3 bytes where 10 are needed"
        ),
        (
            "  keys: tdes-dukpt\n  key: 6AC292FAA1315B4D858AB3A3D7D5933A\n", "3:3",
            "a key serial number of 0 bytes"
        ),
        ("  keys: tdes\n  key-file: /nowhere/key\n", "4:13", "expected a readable file"),
        ("  keys: tdes\n  key: ABCDEF\n  key-file: /nowhere\n", "5:13", "either key or key-file"),
        ("  keys: tdes\n", "3:3", "key"),
        ("  keys: tdes\n  key: 6AC292FAA1315B4D858AB3A3D7D5933A\n  serial: AA\n", "5:", "serial"),
    ]) func mistakes(_ section: String, _ place: String, _ reason: String) throws {
        do throws(ProfileFileError) {
            _ = try Self.profile(section)
            Issue.record("no error")
        } catch {
            let text = "\(error)"
            #expect(text.hasPrefix("p.yaml:\(place)"), "\(text)")
            #expect(text.contains(reason), "\(text)")
            #expect(!text.contains("0123456789ABCDEF") && !text.contains("6AC292FA"), "\(text)")
        }
    }
}

/// The C library's search, which its headers hide from Swift.
@_silgen_name("memmem")
private func memmem(
    _ haystack: UnsafeRawPointer, _ count: Int, _ needle: UnsafeRawPointer, _ needleCount: Int
) -> UnsafeMutableRawPointer?

/// After a payment with an online PIN no writable memory of the process holds it: not typed, not as digits, not in a
/// clear PIN block.
@Suite(.serialized) struct PINMemoryTests {
    /// Digits that are kept masked, and the forms in which they could be left behind.
    struct Secret: ~Copyable {
        static let mask: UInt8 = 0x5A
        private let masked: [UInt8]

        init() { masked = (0..<12).map { _ in UInt8.random(in: 0...9) ^ Self.mask } }

        private func digit(_ index: Int) -> UInt8 { masked[index] ^ Self.mask }

        func pin() -> PIN? {
            var typed = masked
            for index in typed.indices { typed[index] = typed[index] ^ Self.mask | 0x30 }
            defer { explicit_bzero(&typed, typed.count) }
            return PIN(typed: typed.span)
        }

        static let names = ["typed", "digits", "PIN field", "clear block of format 0"]

        /// Writes form `form` and gives its length.
        func write(_ form: Int, to memory: UnsafeMutablePointer<UInt8>, card: PrimaryAccountNumber) -> Int {
            switch form {
            case 0: for index in 0..<12 { memory[index] = digit(index) | 0x30 }
            case 1: for index in 0..<12 { memory[index] = digit(index) }
            default:
                for index in 0..<6 { memory[index] = digit(2 * index) << 4 | digit(2 * index + 1) }
                guard form == 3 else { return 6 }
                // The number's twelve digits before the check digit begin under the third digit of the PIN.
                let number = card.compressedNumeric
                let packed = Hex.bytes(Hex.string(number).dropLast(1).suffix(12)) ?? []
                for index in 1..<6 { memory[index] ^= packed[index - 1] }
                return 6
            }
            return 12
        }
    }

    /// How often the bytes at `needle` are in writable memory elsewhere.
    static func count(_ needle: UnsafeMutablePointer<UInt8>, _ length: Int) throws -> Int {
        let size = 1 << 20
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        defer {
            explicit_bzero(buffer, size)
            buffer.deallocate()
        }
        let memory = open("/proc/self/mem", O_RDONLY)
        try #require(memory >= 0)
        defer { close(memory) }
        let own = [
            UInt(bitPattern: needle)..<UInt(bitPattern: needle + 32),
            UInt(bitPattern: buffer)..<UInt(bitPattern: buffer + size),
        ]
        var count = 0
        for line in try maps().split(separator: "\n") {
            let words = line.split(separator: " ")
            let ends = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard words[1].hasPrefix("rw"), ends.count == 2 else { continue }
            var start = ends[0]
            while start < ends[1] {
                // Pieces overlap by the needle's length.
                let wanted = min(Int(ends[1] - start), size)
                let got = pread(memory, buffer, wanted, off_t(start))
                guard got > 0 else { break }
                var offset = 0
                while offset + length <= got, let hit = memmem(buffer + offset, got - offset, needle, length)
                {
                    offset = hit - UnsafeMutableRawPointer(buffer)
                    let address = start + UInt(offset)
                    if !own.contains(where: { $0.contains(address) }) { count += 1 }
                    offset += 1
                }
                start += UInt(got == size ? size - 16 : got)
            }
        }
        return count
    }

    /// Foundation ends at a short read, of which this file has many.
    static func maps() throws -> String {
        let file = open("/proc/self/maps", O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while case let got = read(file, &piece, piece.count), got > 0 { text += piece.prefix(got) }
        return String(decoding: text, as: UTF8.self)
    }

    static func findings(_ secret: borrowing Secret, card: PrimaryAccountNumber) throws -> [String] {
        let needle = UnsafeMutablePointer<UInt8>.allocate(capacity: 32)
        defer { needle.deallocate() }
        var found: [String] = []
        for form in 0..<4 {
            let length = secret.write(form, to: needle, card: card)
            let hits = try count(needle, length)
            explicit_bzero(needle, 32)
            if hits > 0 { found.append("\(Secret.names[form]): \(hits)") }
        }
        return found
    }

    @Test(arguments: 0..<3) func nothingStays(_ scheme: Int) async throws {
        let secret = Secret()
        let number = try #require(PrimaryAccountNumber(digits: "4761739001010135"))
        let pins = PINSource(secret)
        var till = try await Till()
        till.environment.pinPad = .software(keys: try OnlinePINKeyTests.schemes[scheme].1()) { _ in pins.pin()
        }
        till.field.present(try card("visa-debit"))
        let result = try await till.pay(8000)
        // The host deciphered it: a PIN, and not the card's.
        #expect(result.response?.responseCode == "55")
        try pins.withSecret { secret throws in
            let found = try Self.findings(secret, card: number)
            #expect(found.isEmpty, "\(found)")
        }
    }

    /// The search finds what is there.
    @Test(arguments: 0..<4) func search(_ form: Int) throws {
        let secret = Secret()
        let number = try #require(PrimaryAccountNumber(digits: "4761739001010135"))
        let planted = UnsafeMutablePointer<UInt8>.allocate(capacity: 32)
        defer {
            explicit_bzero(planted, 32)
            planted.deallocate()
        }
        #expect(try Self.findings(secret, card: number) == [])
        _ = secret.write(form, to: planted, card: number)
        let found = try Self.findings(secret, card: number)
        #expect(found == ["\(Secret.names[form]): 1"])
    }

    final class PINSource: Sendable {
        private let secret: Secret
        init(_ secret: consuming Secret) { self.secret = secret }
        func pin() -> PIN? { secret.pin() }
        func withSecret(_ body: (borrowing Secret) throws -> Void) rethrows { try body(secret) }
    }
}
