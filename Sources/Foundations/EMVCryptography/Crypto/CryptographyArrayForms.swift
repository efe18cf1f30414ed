public import EMV

// The same functions for callers that hold arrays.

extension TripleDESKey {
    public func encryptECB(_ data: [UInt8]) throws(CryptographyError) -> [UInt8] { try encryptECB(data.span) }
    public func decryptECB(_ data: [UInt8]) throws(CryptographyError) -> [UInt8] { try decryptECB(data.span) }
    public func encryptCBC(
        _ data: [UInt8], initialisationVector: UInt64 = 0
    ) throws(CryptographyError) -> [UInt8] {
        try encryptCBC(data.span, initialisationVector: initialisationVector)
    }
    public func decryptCBC(
        _ data: [UInt8], initialisationVector: UInt64 = 0
    ) throws(CryptographyError) -> [UInt8] {
        try decryptCBC(data.span, initialisationVector: initialisationVector)
    }
    public func retailMAC(_ data: [UInt8], padding: MACPadding) -> Cryptogram {
        retailMAC(data.span, padding: padding)
    }
    public func cbcMAC(_ data: [UInt8], padding: MACPadding) -> Cryptogram {
        cbcMAC(data.span, padding: padding)
    }
    public func applicationCryptogram(over data: [UInt8], padding: MACPadding = .method2) -> Cryptogram {
        retailMAC(data.span, padding: padding)
    }
    public func ivCVC3(trackData: [UInt8]) -> UInt16 { ivCVC3(trackData: trackData.span) }
}

extension AESKey {
    public func encryptECB(_ data: [UInt8]) throws(CryptographyError) -> [UInt8] { try encryptECB(data.span) }
    public func decryptECB(_ data: [UInt8]) throws(CryptographyError) -> [UInt8] { try decryptECB(data.span) }
    public func encryptCBC(
        _ data: [UInt8], initialisationVector: [UInt8]? = nil
    ) throws(CryptographyError) -> [UInt8] {
        try encryptCBC(data.span, initialisationVector: initialisationVector)
    }
    public func decryptCBC(
        _ data: [UInt8], initialisationVector: [UInt8]? = nil
    ) throws(CryptographyError) -> [UInt8] {
        try decryptCBC(data.span, initialisationVector: initialisationVector)
    }
    public func cmac(_ data: [UInt8]) -> [UInt8] { cmac(data.span) }
}

extension SHA1 {
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { hash(bytes.span) }
}

extension SHA256 {
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { hash(bytes.span) }
}

extension RSAPublicKey {
    public func recover(_ block: [UInt8]) throws(CryptographyError) -> [UInt8] { try recover(block.span) }
}

extension RSAPrivateKey {
    public func sign(_ block: [UInt8]) throws(CryptographyError) -> [UInt8] { try sign(block.span) }
}

extension CryptogramVersion {
    public init?(issuerApplicationData data: [UInt8]) { self.init(issuerApplicationData: data.span) }

    public func applicationCryptogram(
        masterKey: TripleDESKey, input: CryptogramInput, issuerApplicationData: [UInt8],
        plaintextCounters: [UInt8]? = nil
    ) -> Cryptogram {
        applicationCryptogram(
            masterKey: masterKey, input: input, issuerApplicationData: issuerApplicationData.span,
            plaintextCounters: plaintextCounters)
    }
}

extension VisaIssuerApplicationData {
    public init?(_ bytes: [UInt8]) { self.init(bytes.span) }
}

extension MChipIssuerApplicationData {
    public init?(_ bytes: [UInt8]) { self.init(bytes.span) }
}
