import EMV
import EMVCryptography

extension KernelActivation {
    /// The issuer's key out of the card's certificate, by the certification authority's key that the card names (EMV Book 2, 5.2,
    /// 5.3).
    /// - Throws: what the card did not give, or what is wrong with it.
    func issuerKey(
        of card: borrowing DataObjects, _ number: PrimaryAccountNumber
    ) throws(DataAuthenticationFailure) -> IssuerPublicKey {
        guard let index = card.span(.certificationAuthorityPublicKeyIndex), index.count == 1 else {
            throw .missing(.certificationAuthorityPublicKeyIndex)
        }
        guard let provider = RegisteredApplicationProviderIdentifier(selectedApplication) else {
            throw .missing(.applicationDedicatedFileName)
        }
        let certificate = try card.certificate(
            .issuerPublicKeyCertificate, remainder: .issuerPublicKeyRemainder,
            exponent: .issuerPublicKeyExponent)
        do throws(OfflineDataAuthenticationError) {
            let authority = try terminal.certificationAuthorityKeys.key(
                rid: provider, index: index[0], on: transaction.date)
            return try authority.recoverIssuerPublicKey(
                from: certificate, pan: number.compressedNumeric, on: transaction.date,
                revocations: terminal.revocationList)
        } catch { throw .recovery(error) }
    }

    /// The card's key out of its certificate, which vouches for the static data too (EMV Book 2, 6.4).
    /// - Parameter staticData: static data to be authenticated (EMV Book 3, 10.3), those of the Static Data Authentication Tag
    ///   List included.
    /// - Throws: what the card did not give, or what is wrong with it.
    func cardKey(
        of card: borrowing DataObjects, _ number: PrimaryAccountNumber, staticData: Span<UInt8>
    ) throws(DataAuthenticationFailure) -> ICCPublicKey {
        let issuer = try issuerKey(of: card, number)
        let certificate = try card.certificate(
            .iccPublicKeyCertificate, remainder: .iccPublicKeyRemainder, exponent: .iccPublicKeyExponent)
        do throws(OfflineDataAuthenticationError) {
            return try issuer.recoverICCPublicKey(
                from: certificate, pan: number.compressedNumeric, on: transaction.date, staticData: staticData
            )
        } catch { throw .recovery(error) }
    }
}
