/// A card in software: what an emulated reader, a virtual PC/SC slot or a software PN532 holds in its
/// field. A class, as the non-volatile memory (ATC, counters, logs) outlives each tap.
///
/// Implementations are not concurrent: whoever holds the card calls it from one place at a time.
public protocol VirtualCard: AnyObject {
    /// Answer To Reset that a PC/SC contactless reader gives for this card (PC/SC Part 3, 3.1.3.2.3).
    var answerToReset: [UInt8] { get }
    /// What the card presents during ISO/IEC 14443-3 activation.
    var activation: ContactlessActivation { get }

    /// The field comes on: volatile state (selection, security status) is reset.
    func powerOn()
    /// The field goes off or the card is pulled, maybe in the middle of a command.
    func powerOff()
    /// Processes one command APDU and gives the response with its status word; nil where the card
    /// stays silent (the terminal sees a time-out).
    func process(_ command: [UInt8]) -> [UInt8]?
}

/// ISO/IEC 14443 activation data of a card or phone.
public struct ContactlessActivation: Equatable, Sendable {
    public enum Modulation: String, Sendable, Codable {
        case typeA = "A"
        case typeB = "B"
    }
    public var modulation: Modulation
    /// UID (type A: 4, 7 or 10 bytes) or PUPI (type B: 4 bytes).
    public var identifier: [UInt8]
    /// Type A: ATQA as sent (2 bytes, least significant first) and SAK.
    public var atqa: [UInt8]
    public var sak: UInt8
    /// Type A: ATS with its length byte. Type B: ATQB's application data and protocol info (7 bytes).
    public var ats: [UInt8]

    public init(
        modulation: Modulation = .typeA, identifier: [UInt8] = [0x08, 0x01, 0x02, 0x03],
        atqa: [UInt8] = [0x04, 0x00], sak: UInt8 = 0x20,
        ats: [UInt8] = [0x05, 0x78, 0x80, 0x70, 0x02]
    ) {
        self.modulation = modulation
        self.identifier = identifier
        self.atqa = atqa
        self.sak = sak
        self.ats = ats
    }

    /// The ATR that a PC/SC reader makes of the activation data: `3B 8n 80 01 [historical bytes] TCK`
    /// (PC/SC Part 3, 3.1.3.2.3.1).
    public var answerToReset: [UInt8] {
        var historical: [UInt8] = []
        switch modulation {
        case .typeA:
            // ATS: TL T0 [TA TB TC] historical bytes, as many as TL says (ISO/IEC 14443-4, 5.2).
            let answer = ats.prefix(Int(ats.first ?? 0))
            if answer.count >= 2 {
                let interface = (ats[1] >> 4 & 1) + (ats[1] >> 5 & 1) + (ats[1] >> 6 & 1)
                historical = Array(answer.dropFirst(2 + Int(interface)).prefix(15))
            }
        case .typeB:
            historical = Array(ats.prefix(7)) + [0x00]
        }
        var atr: [UInt8] = [0x3B, 0x80 | UInt8(truncatingIfNeeded: historical.count), 0x80, 0x01]
        atr += historical
        atr.append(atr.dropFirst().reduce(0, ^))
        return atr
    }
}
