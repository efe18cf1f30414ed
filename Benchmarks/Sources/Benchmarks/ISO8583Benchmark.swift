import BERTLV
import Foundation
import ISO8583
import ISO8583Dialects

extension Benchmarks {
    /// A contactless 0100: 20 fields and 200 bytes of field 55, and its chip data.
    static func authorizationMessage() throws -> Message {
        var message = Message(0x0100)
        for (field, text) in [
            (2, "4761739001010119"), (3, "000000"), (4, "000000001500"), (7, "1120223015"), (11, "000123"),
            (12, "223015"), (13, "1120"), (14, "3112"), (18, "5812"), (19, "840"), (22, "071"), (23, "001"),
            (25, "00"), (32, "47617390"), (35, "4761739001010119D31122011143878089"), (37, "632522000123"),
            (41, "TERM0001"), (42, "MERCHANT0000001"), (43, "ACME COFFEE          SPRINGFIELD  ILUSA "),
            (49, "840"),
        ] { message.set(field, text) }
        let chip =
            Hex.bytes(
                "9F260824C5608C4CDCC70C9F2701809F100706010A03A000009F37041A2B3C4D9F36020042950500000000009A032611209C01009F02060000000015005F2A020840820220009F1A0208409F03060000000000009F3303E0B8C89F34031F03029F3501229F1E08534E3030303030318407A00000000310109F0607A00000000310109F090200969F4104000001235F3401019F6E04207000009F66043600C0009F6C023E005F24033112319F3901079F21032230159F40056000F0A0019F4E0841434D4520434146"
            ) ?? []
        guard chip.count == 200 else {
            throw BenchmarkError("the chip data has \(chip.count) bytes")
        }
        message.set(55, chip)
        return message
    }

    /// Pack and unpack, against copying every field of the message twice and nothing else.
    static func iso8583(_ rounds: Int) throws -> [Row] {
        let message = try authorizationMessage()
        return try ["generic-ascii", "generic-bcd"].map { name in
            guard let dialect = try Dialect.builtIn(name) else {
                throw BenchmarkError("no dialect \(name)")
            }
            let values = message.fields.map { Array(message[$0] ?? []) }
            let count = 20_000
            var ours: [Double] = []
            var bare: [Double] = []
            var sum = 0
            for _ in 0..<max(3, rounds) {
                let start = processorTime()
                for _ in 0..<count {
                    let read = try dialect.unpack(try dialect.pack(message))
                    sum &+= read.fields.count &- 21
                }
                ours.append(Double(count) / (processorTime() - start) * 1e6)
                let second = processorTime()
                for _ in 0..<count { sum &+= copied(values) }
                bare.append(Double(count) / (processorTime() - second) * 1e6)
            }
            guard sum == 0 else { throw BenchmarkError("a message lost fields") }
            return Row(
                name: name == "generic-ascii" ? "iso8583-ascii" : "iso8583-bcd",
                what:
                    "pack and unpack a 0100 of 21 fields, 200 bytes in field 55, a second of one core / bytes copied twice",
                value: median(ours), unit: "/s", reference: median(bare),
                ratio: median(zip(ours, bare).map { $1 / $0 }), goal: ">= 300000/s")
        }
    }

    /// Microseconds that this thread has had: others on the machine do not count.
    private static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
    }

    @inline(never)
    private static func copied(_ values: [[UInt8]]) -> Int {
        var packed: [UInt8] = []
        packed.reserveCapacity(600)
        for value in values { for byte in value { packed.append(byte) } }
        var unpacked: [UInt8] = []
        unpacked.reserveCapacity(600)
        for byte in packed { unpacked.append(byte) }
        return unpacked.count &- packed.count
    }
}
