import BERTLV
import Cards
import EMV
import SmartCard
import Testing

/// A few commands in the order in which a reader sends them.
final class TestTerminal {
    let card: any VirtualCard
    init(_ card: any VirtualCard) { self.card = card }

    struct Response {
        let bytes: [UInt8]
        var status: StatusWord { StatusWord(sw1: bytes[bytes.count - 2], sw2: bytes[bytes.count - 1]) }
        var data: [UInt8] { Array(bytes.dropLast(2)) }
        /// Primitive data objects, templates opened.
        var objects: [BERTLV.Tag: [UInt8]] {
            var result: [BERTLV.Tag: [UInt8]] = [:]
            func add(_ nodes: [TLVNode]) {
                for node in nodes {
                    switch node.content {
                    case .primitive(let value): result[node.tag] = value
                    case .constructed(let children): add(children)
                    }
                }
            }
            add((try? TLVNode.parse(data)) ?? [])
            return result
        }
    }

    func send(_ hex: String) throws -> Response { try send(Hex.bytes(hex)!) }

    func send(_ command: [UInt8]) throws -> Response {
        let answer = try #require(card.process(command), "no answer to \(Hex.string(command))")
        try #require(answer.count >= 2)
        return Response(bytes: answer)
    }

    func select(_ aid: String = "A0000000031010") throws -> Response {
        let name = Hex.bytes(aid)!
        return try send([0x00, 0xA4, 0x04, 0x00, UInt8(name.count)] + name + [0x00])
    }

    func options(_ data: [UInt8]) throws -> Response {
        try send([0x80, 0xA8, 0x00, 0x00, UInt8(data.count + 2), 0x83, UInt8(data.count)] + data + [0x00])
    }

    /// Field on, SELECT, GPO.
    func tap(
        amount: UInt64 = 1234, ttq: String = "36004000", currency: UInt64 = 978, type: UInt8 = 0x00,
        un: UInt32 = 0x1234_5678
    ) throws -> Response {
        card.powerOn()
        _ = try select()
        return try options(Self.pdolData(amount: amount, ttq: ttq, currency: currency, type: type, un: un))
    }

    static func pdolData(
        amount: UInt64 = 1234, ttq: String = "36004000", currency: UInt64 = 978, type: UInt8 = 0x00,
        un: UInt32 = 0x1234_5678
    ) -> [UInt8] {
        var data = Hex.bytes(ttq)!
        data += BCD.bytes(amount, count: 6)
        data += [UInt8](repeating: 0, count: 6)
        data += [0x02, 0x76, 0, 0, 0, 0, 0]
        data += BCD.bytes(currency, count: 2)
        data += [0x26, 0x11, 0x21, type]
        data += (0..<4).map { UInt8(truncatingIfNeeded: un >> (24 - 8 * $0)) }
        return data
    }

    /// Every record that the AFL names, by "SFI.record".
    func records(_ answer: Response) throws -> [(name: String, sfi: UInt8, signed: Bool, response: Response)]
    {
        guard let locator = answer.objects[0x94] else { return [] }
        var result: [(name: String, sfi: UInt8, signed: Bool, response: Response)] = []
        for entry in try ApplicationFileLocator(locator.span).entries {
            for number in entry.firstRecord...entry.lastRecord {
                let response = try send([0x00, 0xB2, number, entry.sfi << 3 | 4, 0x00])
                #expect(response.status == .success)
                result.append(
                    (
                        "\(entry.sfi).\(number)", entry.sfi,
                        number - entry.firstRecord < entry.authenticatedRecords, response
                    ))
            }
        }
        return result
    }
}

func makeCard(_ id: String, change: (inout CardProfile) -> Void = { _ in }) throws -> EmulatedCard {
    var profile = try CardLibrary.profile(id)
    change(&profile)
    return try EmulatedCard(profile: profile, random: SeededGenerator(seed: 7))
}

/// Cryptogram Information Data's type of a GPO answer.
func cryptogramType(_ answer: TestTerminal.Response) -> CryptogramInformationData.CryptogramType? {
    answer.objects[0x9F27].map { CryptogramInformationData(rawValue: $0[0]).type }
}

/// Ids of the profiles with a contactless Visa application.
let visaCards: [String] = CardLibrary.identifiers.filter {
    (try? CardLibrary.profile($0))?.applications.first?.scheme == .visa
}
