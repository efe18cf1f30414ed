/// Dynamic CVC3 of Mastercard's magnetic stripe mode (kernel 2). The key is the card's KD CVC3, derived from
/// the issuer's master key as by `iccMasterKey`.
extension TripleDESKey {
    /// IVCVC3: the last two bytes of the MAC over a track's static data: track 2 as in 9F6B, the dynamic
    /// digits zero, or track 1 as in 56.
    public func ivCVC3(trackData: Span<UInt8>) -> UInt16 {
        UInt16(truncatingIfNeeded: retailMAC(trackData, padding: .method2).rawValue)
    }

    /// CVC3 (9F60 of track 1, 9F61 of track 2): the last two bytes of IVCVC3, unpredictable number and ATC
    /// enciphered. Terminals write it in decimal digits.
    /// - Parameters:
    ///   - unpredictableNumber: 9F6A, eight BCD digits.
    public func cvc3(
        iv: UInt16, unpredictableNumber: UInt32, applicationTransactionCounter: UInt16
    ) -> UInt16 {
        let block =
            UInt64(iv) << 48 | UInt64(unpredictableNumber) << 16 | UInt64(applicationTransactionCounter)
        let result = UInt64(bigEndian: transform(block.bigEndian, encrypt: true))
        return UInt16(truncatingIfNeeded: result)
    }
}
