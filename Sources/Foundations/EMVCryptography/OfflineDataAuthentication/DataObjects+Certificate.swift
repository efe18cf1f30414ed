public import BERTLV
public import EMV

extension DataObjects {
    /// A certificate with what belongs to it, as the card gave them: 90, 92, 9F32 or 9F46, 9F48, 9F47. The remainder is there
    /// only where the key is longer than its place in the certificate.
    public func certificate(
        _ value: Tag, remainder: Tag, exponent: Tag
    ) throws(DataAuthenticationFailure) -> PublicKeyCertificate {
        guard let certificate = self[value] else { throw .missing(value) }
        guard let exponentValue = self[exponent] else { throw .missing(exponent) }
        return PublicKeyCertificate(
            certificate: Array(certificate), remainder: self[remainder].map(Array.init) ?? [],
            exponent: Array(exponentValue))
    }
}
