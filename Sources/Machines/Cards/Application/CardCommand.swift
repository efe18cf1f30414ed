import SmartCard

/// A command APDU as the card sees it: a view of the received bytes.
struct CardCommand {
    let cla: UInt8
    let ins: UInt8
    let p1: UInt8
    let p2: UInt8
    let data: ArraySlice<UInt8>
    /// Ne; nil where the command has no Le.
    let expectedLength: Int?

    /// Nil where the lengths do not fit (6700).
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 4 else { return nil }
        cla = bytes[0]
        ins = bytes[1]
        p1 = bytes[2]
        p2 = bytes[3]
        if bytes.count == 4 {
            data = []
            expectedLength = nil
        } else if bytes.count == 5 {
            data = []
            expectedLength = bytes[4] == 0 ? 256 : Int(bytes[4])
        } else if bytes[4] != 0 {
            let end = 5 + Int(bytes[4])
            guard bytes.count == end || bytes.count == end + 1 else { return nil }
            data = bytes[5..<end]
            expectedLength = bytes.count == end ? nil : bytes[end] == 0 ? 256 : Int(bytes[end])
        } else {
            // Extended length, which contactless payment cards rarely see.
            guard let command = try? CommandAPDU(parsing: bytes) else { return nil }
            data = command.data[...]
            expectedLength = command.expectedLength
        }
    }
}

/// Instruction bytes of the commands that the card knows.
enum Instruction {
    static let computeCryptographicChecksum: UInt8 = 0x2A
    static let cardBlock: UInt8 = 0x16
    static let applicationUnblock: UInt8 = 0x18
    static let applicationBlock: UInt8 = 0x1E
    static let pinChangeUnblock: UInt8 = 0x24
    static let externalAuthenticate: UInt8 = 0x82
    static let getChallenge: UInt8 = 0x84
    static let select: UInt8 = 0xA4
    static let getProcessingOptions: UInt8 = 0xA8
    static let readRecord: UInt8 = 0xB2
    static let getData: UInt8 = 0xCA
    static let putData: UInt8 = 0xDA
    static let updateRecord: UInt8 = 0xDC
    static let generateApplicationCryptogram: UInt8 = 0xAE
    static let exchangeRelayResistanceData: UInt8 = 0xEA
    static let recoverApplicationCryptogram: UInt8 = 0xD0
}

extension [UInt8] {
    /// A response without data.
    init(_ status: StatusWord) { self = [status.sw1, status.sw2] }
}
