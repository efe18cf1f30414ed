import BERTLV

/// Leaves of an encoding, for set-up code.
enum TLVNodes {
    static func leaves(_ bytes: [UInt8]) throws -> [(UInt32, [UInt8])] {
        func walk(_ nodes: [TLVNode]) -> [(UInt32, [UInt8])] {
            nodes.flatMap { node -> [(UInt32, [UInt8])] in
                switch node.content {
                case .primitive(let value): [(node.tag.rawValue, value)]
                case .constructed(let children): walk(children)
                }
            }
        }
        return walk(try TLVNode.parse(bytes))
    }
}

extension BenchCommand {
    /// An FCI and a record of a card, as real cards have them.
    private static let samples: [[UInt8]] = [
        "6F5D8407A0000000031010A552500A564953412044454249549F38189F66049F02069F03069F1A0295055F2A029A039C019F37045F2D02656E9F110101BF0C189F5A0531082608269F0A080001010100000000BF6304DF200180",
        "7081A357134761739001010119D31122011143878089000F5F20105441504252494447452F5445535420205A0847617390010101195F24033112315F25032401015F28020276 5F3401019F0702FF809F0D05B0509C88009F0E0500000000009F0F05B0709C98008C159F02069F03069F1A0295055F2A029A039C019F37048D178A029F02069F03069F1A0295055F2A029A039C019F37048E0E000000000000000042031E031F039F4A0182",
    ].compactMap { Hex.bytes($0) }

    /// Walks a whole encoding; every tag and length counts.
    @inline(never)
    private static func walk(_ bytes: Span<UInt8>, _ range: Range<Int>, _ sum: inout Int) {
        var reader = BERTLVReader(bytes, in: range)
        while let element = try? reader.next() {
            sum &+= Int(element.tag.rawValue) &+ element.value.count
            if element.tag.isConstructed { walk(bytes, element.value, &sum) }
        }
    }

    /// The same with raw pointers and no checks: what a careless C program would do.
    @inline(never)
    private static func bareWalk(_ start: UnsafePointer<UInt8>, _ count: Int, _ sum: inout Int) {
        var p = start
        let end = start + count
        while p < end {
            let first = p.pointee
            var tag = UInt32(first)
            p += 1
            if first & 0x1F == 0x1F {
                repeat {
                    tag = tag << 8 | UInt32(p.pointee)
                    p += 1
                } while p[-1] & 0x80 != 0
            }
            var length = Int(p.pointee)
            p += 1
            if length & 0x80 != 0 {
                let bytes = length & 0x7F
                length = 0
                for _ in 0..<bytes {
                    length = length << 8 | Int(p.pointee)
                    p += 1
                }
            }
            sum &+= Int(tag) &+ length
            if first & 0x20 != 0 { bareWalk(p, length, &sum) }
            p += length
        }
    }

    static func tlv(_ rounds: Int) -> Row {
        let clock = ContinuousClock()
        let count = 20000
        let total = Double(samples.map(\.count).reduce(0, +) * count)
        var ours: [Double] = []
        var bare: [Double] = []
        var sum = 0
        var bareSum = 0
        for _ in 0..<max(3, rounds) {
            let start = clock.now
            for _ in 0..<count {
                for sample in samples { walk(sample.span, 0..<sample.count, &sum) }
            }
            ours.append(total / microseconds(start.duration(to: clock.now)))
            let second = clock.now
            for _ in 0..<count {
                for sample in samples {
                    sample.withUnsafeBufferPointer { buffer in
                        if let base = buffer.baseAddress { bareWalk(base, buffer.count, &bareSum) }
                    }
                }
            }
            bare.append(total / microseconds(second.duration(to: clock.now)))
        }
        precondition(sum == bareSum, "both walks see the same elements")
        return Row(
            name: "tlv", what: "FCI and record bytes, every element / the same with bare pointers, unchecked",
            value: median(ours), unit: "MB/s", reference: median(bare),
            ratio: median(zip(ours, bare).map { $1 / $0 }), goal: "no allocation per element")
    }
}
