import BERTLV
public import EMV
public import SmartCard

/// What a genuine card said in a transaction, and whether an approval agrees with it: everything that the card's
/// and the issuer's keys have signed must have arrived unchanged. Works on the bytes, without the kernel's parser.
public struct Genuine {
    public init() {}
    var answers: [[UInt8]] = []
    var objects: [BERTLV.Tag: [UInt8]] = [:]

    public mutating func add(_ answer: [UInt8]?) {
        guard let answer, answer.count >= 2 else { return }
        answers.append(answer)
        func collect(_ nodes: [TLVNode]) {
            for node in nodes {
                switch node.content {
                case .primitive(let value): objects[node.tag] = value
                case .constructed(let children): collect(children)
                }
            }
        }
        collect((try? TLVNode.parse(Array(answer.dropLast(2)))) ?? [])
    }

    /// Certificates and signatures, with the records they cover.
    static let signed: [BERTLV.Tag] = [
        0x90, 0x92, 0x9F46, 0x9F48, 0x9F4B, 0x5A, 0x5F24, 0x5F25, 0x5F28, 0x9F07,
    ]

    /// What is wrong with this approval; nil where nothing is.
    public func objection(to outcome: Outcome, delivered: [[UInt8]]) -> String? {
        // Fast DDA covers the Card Authentication Related Data, CDA all of the answer to GENERATE AC.
        let isVisa = objects[0x84]?.starts(with: [0xA0, 0, 0, 0, 0x03]) ?? true
        let own: [BERTLV.Tag] = isVisa ? [0x9F69] : [0x9F27, 0x9F36, 0x9F10]
        for tag in [0x90, 0x9F46, 0x9F4B] + own where objects[tag] == nil {
            return "approved, and the card has no \(tag)"
        }
        for tag in Self.signed + own {
            guard let value = objects[tag], !value.isEmpty else { continue }
            guard delivered.contains(where: { $0.contains(value) }) else {
                return "approved, and \(tag) did not arrive as it was signed"
            }
            if let told = outcome.dataRecord?[tag], !told.elementsEqual(value) {
                return "approved with another \(tag) than was signed"
            }
        }
        let number = (objects[0x5A].flatMap { PrimaryAccountNumber(compressedNumeric: $0) })
        if let track = outcome.dataRecord?[0x57],
            Track2EquivalentData(track)?.primaryAccountNumber != number
        {
            return "approved with a track 2 of another card number than was signed"
        }
        if isVisa, outcome.cvm == .confirmationCodeVerified,
            outcome.dataRecord?[0x9F6C].map({ Array($0) }) != objects[0x9F6C]
        {
            return "approved by qualifiers that were not signed"
        }
        return nil
    }
}

/// Shows a card's genuine answers before somebody spoils them.
public final class CardSpy: VirtualCard {
    private let card: any VirtualCard
    private let see: ([UInt8]?) -> Void
    public init(_ card: any VirtualCard, see: @escaping ([UInt8]?) -> Void) {
        self.card = card
        self.see = see
    }
    public var answerToReset: [UInt8] { card.answerToReset }
    public var activation: ContactlessActivation { card.activation }
    public func powerOn() { card.powerOn() }
    public func powerOff() { card.powerOff() }
    public func process(_ command: [UInt8]) -> [UInt8]? {
        let answer = card.process(command)
        see(answer)
        return answer
    }
}
