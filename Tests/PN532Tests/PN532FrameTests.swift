import PN532
import TestTools
import Testing

/// Frames of the chip; the expected bytes are those of NXP UM0701-02 and its application note.
@Suite struct PN532FrameTests {
    static let table: [(PN532Frame, [UInt8])] = [
        (.acknowledge, [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00]),
        (.notAcknowledge, [0x00, 0x00, 0xFF, 0xFF, 0x00, 0x00]),
        (.applicationError, [0x00, 0x00, 0xFF, 0x01, 0xFF, 0x7F, 0x81, 0x00]),
        // GetFirmwareVersion and its answer.
        (
            .information(identifier: 0xD4, data: [0x02]),
            [0x00, 0x00, 0xFF, 0x02, 0xFE, 0xD4, 0x02, 0x2A, 0x00]
        ),
        (
            .information(identifier: 0xD5, data: [0x03, 0x32, 0x01, 0x06, 0x07]),
            [0x00, 0x00, 0xFF, 0x06, 0xFA, 0xD5, 0x03, 0x32, 0x01, 0x06, 0x07, 0xE8, 0x00]
        ),
        // SAMConfiguration: normal mode, no time-out, IRQ.
        (
            .information(identifier: 0xD4, data: [0x14, 0x01, 0x14, 0x01]),
            [0x00, 0x00, 0xFF, 0x05, 0xFB, 0xD4, 0x14, 0x01, 0x14, 0x01, 0x02, 0x00]
        ),
        // InListPassiveTarget: one target of type A.
        (
            .information(identifier: 0xD4, data: [0x4A, 0x01, 0x00]),
            [0x00, 0x00, 0xFF, 0x04, 0xFC, 0xD4, 0x4A, 0x01, 0x00, 0xE1, 0x00]
        ),
    ]

    @Test(arguments: table.indices) func encodesAndParses(_ index: Int) throws {
        let (frame, bytes) = Self.table[index]
        #expect(frame.bytes == bytes)
        var parser = PN532FrameParser()
        let results = bytes.compactMap { parser.take($0) }
        #expect(results == [.success(frame)])
    }

    @Test(arguments: [0, 1, 252, 253, 254, 255, 263, 264]) func lengths(_ count: Int) throws {
        let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let frame = PN532Frame.information(identifier: 0xD4, data: data)
        let bytes = frame.bytes
        // More than 255 bytes with the identifier need the extended frame.
        #expect((Array(bytes[3...4]) == [0xFF, 0xFF]) == (count + 1 > 255))
        var parser = PN532FrameParser()
        #expect(bytes.compactMap { parser.take($0) } == [.success(frame)])
        #expect(!parser.isInsideFrame)
    }

    @Test func damageIsTold() {
        func results(_ bytes: [UInt8]) -> [Result<PN532Frame, PN532FrameParser.Damage>] {
            var parser = PN532FrameParser()
            return bytes.compactMap { parser.take($0) }
        }
        #expect(results([0x00, 0x00, 0xFF, 0x02, 0xFD]) == [.failure(.lengthChecksum)])
        #expect(
            results([0x00, 0x00, 0xFF, 0x02, 0xFE, 0xD4, 0x02, 0x2B, 0x00]) == [.failure(.dataChecksum)])
        #expect(results([0x00, 0xFF, 0xFF, 0xFF, 0x01, 0x0A, 0xF5]) == [.failure(.length(266))])
        #expect(results([0x00, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00]) == [.failure(.length(0))])
    }

    /// Any bytes: no trap, and a good frame after them is found.
    @Test func noiseDoesNotHoldUpTheParser() {
        var random = SplitMix(seed: 532)
        let good = PN532Frame.information(identifier: 0xD4, data: [0x02])
        for _ in 0..<3000 {
            var parser = PN532FrameParser()
            let noise = (0..<Int.random(in: 0..<400, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            for byte in noise { _ = parser.take(byte) }
            // As many zero bytes as the longest frame that the noise may have begun.
            for _ in 0..<300 { _ = parser.take(0) }
            #expect(good.bytes.compactMap { parser.take($0) }.contains(.success(good)))
        }
    }
}
