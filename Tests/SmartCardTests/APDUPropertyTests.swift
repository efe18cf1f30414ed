import SmartCard
import TestTools
import Testing

@Suite struct APDUEncodingTests {
    /// ISO/IEC 7816-3, 12.1.3, tables of the cases: header, Lc field, Le field in hexadecimal for each Nc and
    /// Ne. Extended fields are taken where either number needs them.
    @Test(
        arguments: [
            // Case 1, 2S, 2E.
            (0, nil, "", ""), (0, 1, "", "01"), (0, 255, "", "FF"), (0, 256, "", "00"),
            (0, 257, "", "000101"),
            (0, 65535, "", "00FFFF"), (0, 65536, "", "000000"),
            // Case 3S, 3E.
            (1, nil, "01", ""), (255, nil, "FF", ""), (256, nil, "000100", ""), (257, nil, "000101", ""),
            (65535, nil, "00FFFF", ""),
            // Case 4S, 4E.
            (1, 1, "01", "01"), (1, 256, "01", "00"), (255, 255, "FF", "FF"), (255, 256, "FF", "00"),
            (1, 257, "000001", "0101"), (255, 65535, "0000FF", "FFFF"), (256, 1, "000100", "0001"),
            (256, 256, "000100", "0100"), (256, 65536, "000100", "0000"), (65535, 65536, "00FFFF", "0000"),
        ] as [(Int, Int?, String, String)]) func fields(
            _ nc: Int, _ ne: Int?, _ lc: String, _ le: String
        ) throws
    {
        let data = (0..<nc).map { UInt8(truncatingIfNeeded: $0 + 1) }
        let command = CommandAPDU(cla: 0x80, ins: 0xCA, p1: 0x9F, p2: 0x7F, data: data, expectedLength: ne)
        let expected = [0x80, 0xCA, 0x9F, 0x7F] + Self.bytes(lc) + data + Self.bytes(le)
        #expect(command.bytes == expected)
        #expect(try CommandAPDU(parsing: expected) == command)
        // Also from the middle of a longer buffer.
        #expect(try CommandAPDU(parsing: ([9, 9] + expected)[2...]) == command)
    }

    static func bytes(_ hex: String) -> [UInt8] {
        var rest = Substring(hex)
        var result: [UInt8] = []
        while let byte = UInt8(rest.prefix(2), radix: 16) {
            result.append(byte)
            rest = rest.dropFirst(2)
        }
        return result
    }

    @Test func writtenAndReadIsTheSame() throws {
        var random = SplitMix(seed: 21)
        let lengths = [0, 0, 1, 5, 127, 128, 254, 255, 256, 257, 300, 1000, 65534, 65535]
        let wanted: [Int?] = [nil, 1, 2, 127, 128, 255, 256, 257, 1000, 32768, 65535, 65536]
        for _ in 0..<2000 {
            let header = random.bytes(4)
            let count = lengths[random.below(random.below(20) == 0 ? lengths.count : lengths.count - 3)]
            let command = CommandAPDU(
                cla: header[0], ins: header[1], p1: header[2], p2: header[3],
                data: random.bytes(count), expectedLength: wanted[random.below(wanted.count)])
            #expect(try CommandAPDU(parsing: command.bytes) == command)
        }
    }

    /// A command cut or grown is refused with the numbers at fault, or is another command of that very length.
    @Test func cutAndGrown() {
        var random = SplitMix(seed: 22)
        for _ in 0..<5000 {
            let header = random.bytes(4)
            let command = CommandAPDU(
                cla: header[0], ins: header[1], p1: header[2], p2: header[3],
                data: random.bytes([0, 1, 20, 256][random.below(4)]),
                expectedLength: [nil, 256, 300][random.below(3)])
            var bytes = command.bytes
            if random.below(2) == 0 {
                bytes.removeLast(1 + random.below(min(bytes.count, 6)))
            } else {
                bytes += random.bytes(1 + random.below(3))
            }
            do throws(APDUError) {
                let read = try CommandAPDU(parsing: bytes)
                #expect(read != command && read.bytes.count <= bytes.count)
            } catch {
                switch error {
                case .truncatedHeader(let count): #expect(count == bytes.count && count < 4)
                case .badLength(let count, let declared):
                    #expect(count == bytes.count && (0...65535).contains(declared))
                    #expect(error.description.contains("\(count)"))
                case .truncatedResponse: Issue.record("a command is no response")
                }
            }
        }
    }

    /// The forms that no case has (ISO/IEC 7816-3, 12.1.3): Lc of zero, half an Le, Lc beyond the data.
    @Test(arguments: [
        "00A404000000", "00A40400000000000000", "00A4040002A0", "00A4040001A00000", "00A40400000000000001",
        "00A40400000001A001", "00A40400000002A0", "00A4040000000102A00000",
    ]) func noCase(_ hex: String) {
        #expect(throws: APDUError.self) { try CommandAPDU(parsing: Self.bytes(hex)) }
    }

    @Test func responses() throws {
        var random = SplitMix(seed: 23)
        for _ in 0..<2000 {
            let bytes = random.bytes(random.below(300))
            guard bytes.count >= 2 else {
                #expect(throws: APDUError.truncatedResponse(count: bytes.count)) {
                    try ResponseAPDU(bytes: bytes)
                }
                continue
            }
            let response = try ResponseAPDU(bytes: bytes)
            #expect(Array(response.data) == bytes.dropLast(2))
            #expect(response.status.sw1 == bytes[bytes.count - 2] && response.status.sw2 == bytes.last)
            #expect(ResponseAPDU(data: Array(response.data), status: response.status) == response)
        }
    }

    /// Every status word has a description that begins with its four digits.
    @Test func statusWords() {
        for value in UInt16.min...UInt16.max {
            let word = StatusWord(rawValue: value)
            let digits = String(value, radix: 16, uppercase: true)
            let hex = String(repeating: "0", count: 4 - digits.count) + digits
            #expect(word.description.hasPrefix(hex) && StatusWord(sw1: word.sw1, sw2: word.sw2) == word)
        }
        #expect(StatusWord(rawValue: 0x63C0).meaning == "verification failed, 0 tries left")
        #expect(StatusWord(rawValue: 0x6100).meaning == "256 more bytes to get")
    }
}

/// Activation data and the ATR that readers on the market give for them.
@Suite struct KnownAnswerToResetTests {
    @Test(
        arguments: [
            // MIFARE DESFire: one historical byte 80.
            (.typeA, "067577810280", "3B8180018080"),
            // No ATS, a T0 alone, and an ATS of TA, TB, TC alone.
            (.typeA, "", "3B80800101"), (.typeA, "0170", "3B80800101"), (.typeA, "0578807002", "3B80800101"),
            // Historical bytes without interface bytes.
            (.typeA, "0400AABB", "3B828001AABB12"),
            // Bytes beyond TL are none of the ATS.
            (.typeA, "0678807002 80 DEAD", "3B8180018080"),
            // Type B: application data, protocol info, MBLI byte (Calypso card).
            (.typeB, "00000000338181", "3B88800100000000338181003A"),
        ] as [(ContactlessActivation.Modulation, String, String)]) func known(
            _ modulation: ContactlessActivation.Modulation, _ ats: String, _ expected: String
        )
    {
        var activation = ContactlessActivation(modulation: modulation)
        activation.ats = APDUEncodingTests.bytes(ats.replacing(" ", with: ""))
        #expect(activation.answerToReset == APDUEncodingTests.bytes(expected))
    }

    @Test func anyActivationData() {
        var random = SplitMix(seed: 24)
        for round in 0..<5000 {
            var activation = ContactlessActivation(modulation: round.isMultiple(of: 2) ? .typeA : .typeB)
            activation.ats = random.bytes(random.below(40))
            let answer = activation.answerToReset
            #expect(answer.count == 5 + Int(answer[1] & 0x0F) && answer[1] >> 4 == 8 && answer.count <= 20)
            #expect(answer.dropFirst().reduce(0, ^) == 0)
        }
    }
}
