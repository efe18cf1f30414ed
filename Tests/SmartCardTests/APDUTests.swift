import SmartCard
import Testing

@Suite struct CommandTests {
    /// ISO/IEC 7816-3, 12.1: the four cases, short and extended, at their borders.
    @Test(
        arguments: [
            (0, nil, "1", 4), (0, 1, "2S", 5), (0, 256, "2S", 5), (0, 257, "2E", 7), (0, 65536, "2E", 7),
            (1, nil, "3S", 6), (255, nil, "3S", 260), (256, nil, "3E", 263), (65535, nil, "3E", 65542),
            (1, 1, "4S", 7), (255, 256, "4S", 261), (255, 257, "4E", 264), (256, 1, "4E", 265),
            (256, 65536, "4E", 265), (1, 65536, "4E", 10), (65535, 65536, "4E", 65544),
        ] as [(Int, Int?, String, Int)]) func cases(
            _ data: Int, _ expected: Int?, _ name: String, _ count: Int
        ) throws
    {
        let command = CommandAPDU(
            cla: 0x80, ins: 0xA8, p1: 1, p2: 2, data: [UInt8](repeating: 0x5A, count: data),
            expectedLength: expected)
        let bytes = command.bytes
        #expect(bytes.count == count)
        #expect(command.isExtended == name.hasSuffix("E"))
        #expect(try CommandAPDU(parsing: bytes) == command)
    }

    /// Known encodings.
    @Test(
        arguments: [
            ([0x00, 0xB2, 0x01, 0x0C, 0x00], 0, 256), ([0x00, 0xB0, 0x00, 0x00, 0x00, 0x01, 0x00], 0, 256),
            ([0x00, 0xB0, 0x00, 0x00, 0x00, 0x00, 0x00], 0, 65536),
            ([0x00, 0xA4, 0x04, 0x00, 0x01, 0xA0], 1, nil),
            ([0x00, 0xA4, 0x04, 0x00, 0x01, 0xA0, 0x00], 1, 256),
            ([0x00, 0xA4, 0x04, 0x00, 0x00, 0x00, 0x01, 0xA0], 1, nil),
            ([0x00, 0xA4, 0x04, 0x00, 0x00, 0x00, 0x01, 0xA0, 0x01, 0x00], 1, 256),
        ] as [([UInt8], Int, Int?)]) func parsing(_ bytes: [UInt8], _ data: Int, _ expected: Int?) throws
    {
        let command = try CommandAPDU(parsing: bytes)
        #expect(command.data.count == data)
        #expect(command.expectedLength == expected)
    }

    @Test(
        arguments: [
            [], [0], [0, 0, 0], [0, 0, 0, 0, 2, 1], [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 2, 1],
            [0, 0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 1, 1, 1],
        ] as [[UInt8]]) func malformed(_ bytes: [UInt8])
    {
        #expect(throws: APDUError.self) { try CommandAPDU(parsing: bytes) }
    }

    @Test func noise() {
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        for _ in 0..<20_000 {
            let bytes = (0..<random(20)).map { _ in UInt8(random(4) == 0 ? 0 : random(256)) }
            guard let command = try? CommandAPDU(parsing: bytes) else { continue }
            // What was read is written and read the same, though maybe in a shorter form.
            #expect((try? CommandAPDU(parsing: command.bytes)) == command)
        }
    }
}

@Suite struct ResponseTests {
    @Test(arguments: [[], [0x90]] as [[UInt8]]) func needsStatusBytes(_ bytes: [UInt8]) {
        #expect(throws: APDUError.truncatedResponse(count: bytes.count)) { try ResponseAPDU(bytes: bytes) }
    }

    @Test func parts() throws {
        let response = try ResponseAPDU(bytes: [1, 2, 0x90, 0x00])
        #expect(Array(response.data) == [1, 2] && response.isSuccess && response.dataRange == 0..<2)
        #expect(ResponseAPDU(data: [1, 2], status: 0x6A82).bytes == [1, 2, 0x6A, 0x82])
        #expect(!(try ResponseAPDU(bytes: [0x62, 0x83])).isSuccess)
    }

    @Test(
        arguments: [
            (0x9000, "9000 (success)"), (0x6A82, "6A82 (file or application not found)"),
            (0x63C3, "63C3 (verification failed, 3 tries left)"), (0x6100, "6100 (256 more bytes to get)"),
            (0x0001, "0001"),
        ] as [(UInt16, String)]) func words(_ value: UInt16, _ text: String)
    {
        #expect(StatusWord(rawValue: value).description == text)
    }
}

/// PC/SC part 3, 3.1.3.2.3.1: what a reader makes of activation data.
@Suite struct AnswerToResetTests {
    @Test func withoutHistoricalBytes() {
        let activation = ContactlessActivation()
        #expect(activation.answerToReset == [0x3B, 0x80, 0x80, 0x01, 0x01])
    }

    /// The check character makes the exclusive or over all bytes but the first vanish (ISO/IEC 7816-3, 8.2.5); at
    /// most fifteen historical bytes.
    @Test func checkCharacter() {
        for count in 0...20 {
            var activation = ContactlessActivation()
            activation.ats =
                [UInt8(count + 5), 0x78, 0x80, 0x70, 0x02]
                + (0..<count).map { UInt8(truncatingIfNeeded: $0 + 1) }
            let answer = activation.answerToReset
            #expect(answer.count == min(count, 15) + 5)
            #expect(answer.dropFirst().reduce(0, ^) == 0)
            #expect(answer[1] == 0x80 | UInt8(min(count, 15)))
            #expect(Array(answer.dropFirst(4).dropLast()) == (0..<min(count, 15)).map { UInt8($0 + 1) })
        }
    }
}
