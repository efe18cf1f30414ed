public import EMV

// The same functions for callers that hold arrays.

extension IssuerPublicKey {
    public func recoverICCPublicKey(
        from certificate: PublicKeyCertificate, pan: [UInt8], on date: EMVDate, staticData: [UInt8]
    ) throws(OfflineDataAuthenticationError) -> ICCPublicKey {
        try recoverICCPublicKey(from: certificate, pan: pan, on: date, staticData: staticData.span)
    }

    public func verifySignedStaticApplicationData(
        _ signature: [UInt8], staticData: [UInt8]
    ) throws(OfflineDataAuthenticationError) -> UInt16 {
        try verifySignedStaticApplicationData(signature.span, staticData: staticData.span)
    }
}

extension ICCPublicKey {
    public func verifySignedDynamicApplicationData(
        _ signature: [UInt8], terminalDynamicData: [UInt8]
    ) throws(OfflineDataAuthenticationError) -> ICCDynamicData {
        try verifySignedDynamicApplicationData(
            signature.span, terminalDynamicData: terminalDynamicData.span)
    }

    public func verifyFastDDA(
        _ signature: [UInt8], version: FastDDAVersion = .version01, format: FastDDAFormat = .offline,
        unpredictableNumber: [UInt8], amountAuthorised: [UInt8], transactionCurrencyCode: [UInt8],
        cardAuthenticationRelatedData: [UInt8]
    ) throws(OfflineDataAuthenticationError) -> ICCDynamicData {
        try verifyFastDDA(
            signature.span, version: version, format: format, unpredictableNumber: unpredictableNumber.span,
            amountAuthorised: amountAuthorised.span, transactionCurrencyCode: transactionCurrencyCode.span,
            cardAuthenticationRelatedData: cardAuthenticationRelatedData.span)
    }

    public func verifyCombined(
        _ signature: [UInt8], unpredictableNumber: [UInt8], cryptogramInformationData: UInt8,
        transactionDataHash: [UInt8]
    ) throws(OfflineDataAuthenticationError) -> CombinedDynamicData {
        try verifyCombined(
            signature.span, unpredictableNumber: unpredictableNumber.span,
            cryptogramInformationData: cryptogramInformationData, transactionDataHash: transactionDataHash)
    }
}

extension TransactionDataHash {
    public mutating func append(_ bytes: [UInt8]) { append(bytes.span) }

    public mutating func append(
        responseDataObjects bytes: [UInt8]
    ) throws(OfflineDataAuthenticationError) { try append(responseDataObjects: bytes.span) }
}

extension CertificateMaking {
    public static func iccCertificate(
        for key: RSAPublicKey, signedBy issuer: RSAPrivateKey, pan: [UInt8], expiry: Int,
        serialNumber: UInt32,
        staticData: [UInt8], format: UInt8 = 0x04
    ) throws(Failure) -> PublicKeyCertificate {
        try iccCertificate(
            for: key, signedBy: issuer, pan: pan, expiry: expiry, serialNumber: serialNumber,
            staticData: staticData.span, format: format)
    }

    public static func signedStaticApplicationData(
        signedBy issuer: RSAPrivateKey, dataAuthenticationCode: UInt16, staticData: [UInt8]
    ) throws(Failure) -> [UInt8] {
        try signedStaticApplicationData(
            signedBy: issuer, dataAuthenticationCode: dataAuthenticationCode, staticData: staticData.span)
    }

    public static func signedDynamicApplicationData(
        signedBy icc: RSAPrivateKey, iccDynamicNumber: [UInt8], terminalDynamicData: [UInt8],
        format: UInt8 = 0x05
    ) throws(Failure) -> [UInt8] {
        try signedDynamicApplicationData(
            signedBy: icc, iccDynamicNumber: iccDynamicNumber, terminalDynamicData: terminalDynamicData.span,
            format: format)
    }

    public static func combinedSignedDynamicApplicationData(
        signedBy icc: RSAPrivateKey, iccDynamicNumber: [UInt8], cryptogramInformationData: UInt8,
        cryptogram: Cryptogram, transactionDataHash: [UInt8], rest: [UInt8] = [],
        unpredictableNumber: [UInt8]
    ) throws(Failure) -> [UInt8] {
        try combinedSignedDynamicApplicationData(
            signedBy: icc, iccDynamicNumber: iccDynamicNumber,
            cryptogramInformationData: cryptogramInformationData, cryptogram: cryptogram,
            transactionDataHash: transactionDataHash, rest: rest,
            unpredictableNumber: unpredictableNumber.span)
    }
}
