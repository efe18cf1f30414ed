package import SmartCard

/// A chip of the PN53x family, as GetFirmwareVersion tells it (NXP UM0701-02, 7.2.2).
package struct ChipIdentity: Equatable {
    package enum Family { case pn531, pn532, pn533 }
    var family: Family
    var knowsTypeB: Bool

    /// - Parameter answer: version and revision of a PN531; IC, version, revision and what it supports of the others.
    package init?(_ answer: [UInt8]) {
        switch (answer.count, answer.first) {
        case (2, _): (family, knowsTypeB) = (.pn531, false)
        case (4, 0x32): (family, knowsTypeB) = (.pn532, answer[3] & 0x02 != 0)
        case (4, 0x33): (family, knowsTypeB) = (.pn533, answer[3] & 0x02 != 0)
        default: return nil
        }
    }
}

/// The answer of a PN53x to InListPassiveTarget (NXP UM0701-02, 7.3.5).
package struct PassiveTargets {
    /// The answer contradicts itself: a length leads beyond its end, or is none that a card can have.
    package struct Nonsense: Error, Equatable {}

    /// In the chip's order.
    package private(set) var found: [ContactlessActivation] = []

    private let bytes: [UInt8]
    private var offset = 0

    /// Reads NbTg and the data of that many targets, each with its number first.
    /// - Parameters:
    ///   - type: of the cards that were asked for, at 106 kbit/s.
    ///   - limit: MaxTg of the command.
    package init(
        _ answer: [UInt8], type: ContactlessActivation.Modulation, limit: UInt8, family: ChipIdentity.Family
    ) throws(Nonsense) {
        bytes = answer
        let count = try byte()
        guard count <= limit else { throw Nonsense() }
        for _ in 0..<count {
            _ = try byte()
            let activation = try type == .typeA ? typeA(family) : typeB()
            found.append(activation)
        }
    }

    private mutating func byte() throws(Nonsense) -> UInt8 {
        guard offset < bytes.count else { throw Nonsense() }
        offset += 1
        return bytes[offset - 1]
    }

    private mutating func take(_ count: Int) throws(Nonsense) -> [UInt8] {
        guard count <= bytes.count - offset else { throw Nonsense() }
        offset += count
        return Array(bytes[(offset - count)..<offset])
    }

    /// SENS_RES, SEL_RES, the identifier with its length, and the ATS where the chip asked the card for one.
    private mutating func typeA(_ family: ChipIdentity.Family) throws(Nonsense) -> ContactlessActivation {
        var atqa = try take(2)
        // Least significant byte first, as the card sends it; a PN531 alone gives it so (libnfc, chips/pn53x.c).
        if family != .pn531 { atqa.reverse() }
        let sak = try byte()
        var identifier = try take(Int(try byte()))
        // A PN531 leaves the cascade tags in.
        if identifier.count == 8 || identifier.count == 12 {
            let isTriple = identifier.count == 12
            guard identifier[0] == 0x88, !isTriple || identifier[4] == 0x88 else { throw Nonsense() }
            if isTriple { identifier.remove(at: 4) }
            identifier.removeFirst()
        }
        guard [4, 7, 10].contains(identifier.count) else { throw Nonsense() }
        var ats: [UInt8] = []
        if sak & 0x20 != 0, offset < bytes.count {
            let length = Int(bytes[offset])
            guard length >= 1 else { throw Nonsense() }
            ats = try take(length)
        }
        return ContactlessActivation(
            modulation: .typeA, identifier: identifier, atqa: atqa, sak: sak, ats: ats)
    }

    /// ATQB, and ATTRIB_RES with its length.
    private mutating func typeB() throws(Nonsense) -> ContactlessActivation {
        let atqb = try take(12)
        guard atqb[0] == 0x50 else { throw Nonsense() }
        _ = try take(Int(try byte()))
        return ContactlessActivation(
            modulation: .typeB, identifier: Array(atqb[1...4]), atqa: [], sak: 0, ats: Array(atqb[5...11]))
    }
}
