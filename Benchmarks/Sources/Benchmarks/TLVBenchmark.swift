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

extension Benchmarks {
    /// An FCI and a record such as real cards have.
    private static let samples: [[UInt8]] = {
        func bytes(_ hex: String) -> [UInt8] { Hex.bytes(hex) ?? [] }
        var fci = BERTLVWriter()
        fci.template(0x6F) { fci in
            fci.append(0x84, bytes("A0000000031010"))
            fci.template(0xA5) { inside in
                inside.append(0x50, Array("VISA DEBIT".utf8))
                inside.append(0x9F38, bytes("9F66049F02069F03069F1A0295055F2A029A039C019F3704"))
                inside.append(0x5F2D, Array("deen".utf8))
                inside.append(0x9F11, [1])
                inside.template(0xBF0C) { discretionary in
                    discretionary.append(0x9F5A, bytes("3108260826"))
                    discretionary.append(0x9F4D, bytes("0B0A"))
                    discretionary.template(0xBF63) { $0.append(0xDF20, bytes("80")) }
                }
            }
        }
        var record = BERTLVWriter()
        record.template(0x70) { record in
            record.append(0x57, bytes("4761739001010119D31122011143878089000F"))
            record.append(0x5F20, Array("TAPBRIDGE/TEST CARD".utf8))
            record.append(0x5A, bytes("4761739001010119"))
            record.append(0x5F24, bytes("311231"))
            record.append(0x5F25, bytes("240101"))
            record.append(0x5F28, bytes("0276"))
            record.append(0x5F34, [1])
            record.append(0x9F07, bytes("FF80"))
            record.append(0x9F0D, bytes("B0509C8800"))
            record.append(0x9F0E, bytes("0000000000"))
            record.append(0x9F0F, bytes("B0709C9800"))
            record.append(0x8C, bytes("9F02069F03069F1A0295055F2A029A039C019F3704"))
            record.append(0x8D, bytes("8A029F02069F03069F1A0295055F2A029A039C019F3704"))
            record.append(0x8E, bytes("000000000000000042031E031F03"))
            record.append(0x9F4A, bytes("82"))
        }
        return [fci.bytes, record.bytes]
    }()

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

    static func tlv(_ rounds: Int) throws -> Row {
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
        guard sum == bareSum else { throw BenchmarkError("the two walks saw different elements") }
        return Row(
            name: "tlv", what: "FCI and record bytes, every element / the same with bare pointers, unchecked",
            value: median(ours), unit: "MB/s", reference: median(bare),
            ratio: median(zip(ours, bare).map { $1 / $0 }), goal: "no allocation per element")
    }
}
