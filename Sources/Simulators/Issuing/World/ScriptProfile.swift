/// Issuer script commands that go out with an answer (EMV Book 3, 10.10).
public struct ScriptProfile: Sendable, Equatable {
    public enum When: String, Sendable, Codable, CaseIterable { case approved, declined, always }
    public enum Until: String, Sendable, Codable, CaseIterable {
        /// Until a later CVR counts script commands and tells of no failure.
        case confirmed
        /// With every answer.
        case forever
    }
    public enum Template: UInt8, Sendable, CaseIterable {
        /// Before the second GENERATE AC (contact).
        case template71 = 0x71
        case template72 = 0x72
    }
    /// Unique within its card.
    public var id: String
    public var when: When
    public var until: Until
    public var template: Template
    /// Issuer Script Identifier (9F18), 4 bytes; nil leaves it out.
    public var identifier: [UInt8]?
    public var commands: [ScriptCommand]
    public init(
        id: String, when: When = .always, until: Until = .confirmed, template: Template = .template72,
        identifier: [UInt8]? = nil, commands: [ScriptCommand]
    ) {
        self.id = id
        self.when = when
        self.until = until
        self.template = template
        self.identifier = identifier
        self.commands = commands
    }
}

/// Commands that an issuer sends under secure messaging of format 2 (EMV Book 3, 6.5; Book 2, 9.2).
public enum ScriptCommand: Sendable, Equatable {
    case applicationBlock, applicationUnblock, cardBlock
    /// PIN CHANGE/UNBLOCK with P2 = 00: sets the PIN Try Counter back.
    case pinUnblock
    /// PUT DATA of a primitive tag of two bytes.
    case putData(tag: UInt16, value: [UInt8])
    /// UPDATE RECORD of a whole record.
    case updateRecord(shortFileIdentifier: UInt8, record: UInt8, value: [UInt8])

    /// CLA INS P1 P2 and data before the MAC.
    var parts: (header: [UInt8], data: [UInt8]) {
        switch self {
        case .applicationBlock: ([0x84, 0x1E, 0, 0], [])
        case .applicationUnblock: ([0x84, 0x18, 0, 0], [])
        case .cardBlock: ([0x84, 0x16, 0, 0], [])
        case .pinUnblock: ([0x84, 0x24, 0, 0], [])
        case .putData(let tag, let value):
            ([0x04, 0xDA, UInt8(tag >> 8), UInt8(truncatingIfNeeded: tag)], value)
        case .updateRecord(let file, let record, let value):
            ([0x04, 0xDC, record, file << 3 | 0x04], value)
        }
    }

    /// Most bytes of data that fit a short command with a MAC of eight bytes.
    static let longestData = 247
}
