import BERTLV
import EMV
import SmartCard

/// The commands that kernels and Entry Point send, by name.
extension CommandAPDU {
    /// SELECT by name, first occurrence (EMV Book 1, 11.3).
    static func select(_ name: [UInt8]) -> CommandAPDU {
        CommandAPDU(cla: 0x00, ins: 0xA4, p1: 0x04, p2: 0x00, data: name)
    }

    /// GET PROCESSING OPTIONS (EMV Book 3, 6.5.8).
    /// - Parameter data: what the PDOL asks for.
    /// - Returns: nil for more than 252 bytes: with its template 83 the command would be an extended one, which contactless
    ///   readers do not send (Book D).
    static func getProcessingOptions(_ data: [UInt8]) -> CommandAPDU? {
        guard data.count <= 252 else { return nil }
        var field: [UInt8] = []
        field.reserveCapacity(data.count + 3)
        field.append(0x83)
        BERTLVWriter.append(length: data.count, to: &field)
        field.append(contentsOf: data)
        return CommandAPDU(cla: 0x80, ins: 0xA8, p1: 0, p2: 0, data: field)
    }

    /// READ RECORD (EMV Book 3, 6.5.11).
    /// - Parameters:
    ///   - number: record number, from 1.
    ///   - file: Short File Identifier, 1 to 30.
    static func readRecord(_ number: UInt8, of file: UInt8) -> CommandAPDU {
        CommandAPDU(cla: 0x00, ins: 0xB2, p1: number, p2: file << 3 | 0x04)
    }

    /// GENERATE AC (EMV Book 3, 6.5.5), first and only one.
    static func generateCryptogram(
        _ type: CryptogramInformationData.CryptogramType, combined: Bool, data: [UInt8]
    ) -> CommandAPDU {
        CommandAPDU(cla: 0x80, ins: 0xAE, p1: type.rawValue << 6 | (combined ? 0x10 : 0), p2: 0, data: data)
    }

    /// RECOVER AC (Book C-2, 5.9).
    /// - Parameter data: DRDOL Related Data, at most 255 bytes.
    static func recoverCryptogram(_ data: [UInt8]) -> CommandAPDU {
        CommandAPDU(cla: 0x80, ins: 0xD0, p1: 0, p2: 0, data: data)
    }

    /// EXCHANGE RELAY RESISTANCE DATA (Book C-2, 5.3).
    /// - Parameter entropy: the terminal's, 4 bytes.
    static func exchangeRelayResistanceData(_ entropy: [UInt8]) -> CommandAPDU {
        CommandAPDU(cla: 0x80, ins: 0xEA, p1: 0, p2: 0, data: entropy)
    }

    /// COMPUTE CRYPTOGRAPHIC CHECKSUM (Book C-2, 5.2).
    /// - Parameter data: UDOL Related Data, at most 255 bytes.
    static func computeCryptographicChecksum(_ data: [UInt8]) -> CommandAPDU {
        CommandAPDU(cla: 0x80, ins: 0x2A, p1: 0x8E, p2: 0x80, data: data)
    }

    /// GET DATA (EMV Book 3, 6.5.7; Book C-2, 5.5).
    /// - Parameter tag: of one or two bytes.
    static func getData(_ tag: Tag) -> CommandAPDU {
        CommandAPDU(
            cla: 0x80, ins: 0xCA, p1: UInt8(truncatingIfNeeded: tag.rawValue >> 8),
            p2: UInt8(truncatingIfNeeded: tag.rawValue))
    }

    /// PUT DATA (Book C-2, 5.8).
    /// - Parameters:
    ///   - tag: of one or two bytes.
    ///   - value: at most 255 bytes.
    static func putData(_ tag: Tag, _ value: [UInt8]) -> CommandAPDU {
        CommandAPDU(
            cla: 0x80, ins: 0xDA, p1: UInt8(truncatingIfNeeded: tag.rawValue >> 8),
            p2: UInt8(truncatingIfNeeded: tag.rawValue), data: value)
    }

    /// EXTERNAL AUTHENTICATE (EMV Book 3, 6.5.4).
    /// - Parameter data: Issuer Authentication Data, 8 to 16 bytes.
    static func externalAuthenticate(_ data: [UInt8]) -> CommandAPDU {
        CommandAPDU(cla: 0x00, ins: 0x82, p1: 0, p2: 0, data: data, expectedLength: nil)
    }
}
