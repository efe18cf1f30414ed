public import BERTLV

/// Which step of offline data authentication failed, and which field was wrong.
public struct OfflineDataAuthenticationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was being recovered or verified (EMV Book 2, sections 5 and 6).
    public enum Step: String, Sendable, CaseIterable {
        case certificationAuthorityPublicKey = "certification authority public key"
        case issuerPublicKey = "issuer public key certificate (90)"
        case iccPublicKey = "ICC public key certificate (9F46)"
        case iccPINEnciphermentPublicKey = "ICC PIN encipherment public key certificate (9F2D)"
        case signedStaticApplicationData = "signed static application data (93)"
        case signedDynamicApplicationData = "signed dynamic application data (9F4B)"
    }

    public enum Reason: Equatable, Sendable {
        /// No such certification authority key is in the store.
        case keyNotFound(rid: RegisteredApplicationProviderIdentifier, index: UInt8)
        /// The certification authority's key or the certificate was good only until this month or day,
        /// written YYYYMMDD or YYYYMM.
        case expired(Int)
        /// The certificate or signature is not as long as the key's modulus.
        case length(found: Int, expected: Int)
        /// As a number it is not below the key's modulus.
        case notBelowModulus
        /// Too short to hold its fields.
        case tooShort(Int)
        /// Not BC.
        case trailer(UInt8)
        /// Not 6A.
        case header(UInt8)
        /// Certificate format or signed data format.
        case format(UInt8, expected: UInt8)
        /// Not 01 (SHA-1).
        case hashAlgorithm(UInt8)
        /// The hash is not that of the recovered and the accompanying data.
        case hash
        /// The issuer identifier is not the beginning of the PAN.
        case issuerIdentifier
        /// The PAN is not that of the card.
        case primaryAccountNumber
        /// The certificate expiration date is not MMYY in BCD.
        case expirationDate
        /// The certificate is on the revocation list.
        case revoked(serialNumber: UInt32)
        /// Not 01 (RSA).
        case publicKeyAlgorithm(UInt8)
        /// The certified key's declared length does not fit the certificate and the remainder.
        case publicKeyLength(declared: Int, available: Int)
        /// The exponent's declared length is not that of the exponent, or it is not 3 or 65537.
        case exponent
        /// The certified modulus cannot be an RSA modulus.
        case modulus
        /// The ICC dynamic data's length does not fit the signature or its contents.
        case iccDynamicDataLength(UInt8)
        /// The ICC dynamic number has not 2 to 8 bytes.
        case iccDynamicNumberLength(UInt8)
        /// The signed cryptogram information data is not that of the response.
        case cryptogramInformationData(signed: UInt8, found: UInt8)
        /// The signed transaction data hash code is not that of the exchanged data.
        case transactionDataHash
        /// The response to GENERATE AC is not well-formed.
        case response(BERTLVError)
        /// The cryptographic library failed.
        case primitive(CryptographyError)
    }

    public let step: Step
    public let reason: Reason

    public init(_ step: Step, _ reason: Reason) {
        self.step = step
        self.reason = reason
    }

    public var description: String { "\(step.rawValue): \(reason)" }
}

extension OfflineDataAuthenticationError.Reason: CustomStringConvertible {
    public var description: String {
        func hex(_ byte: UInt8) -> String { Hex.string([byte]) }
        switch self {
        case .keyNotFound(let rid, let index): return "no key \(rid) index \(hex(index)) in the store"
        case .expired(let date): return "expired \(date)"
        case .length(let found, let expected): return "\(found) bytes, the key's modulus has \(expected)"
        case .notBelowModulus: return "its value is not below the key's modulus"
        case .tooShort(let count): return "\(count) bytes are too short for its fields"
        case .trailer(let byte): return "recovered data trailer \(hex(byte)) instead of BC"
        case .header(let byte): return "recovered data header \(hex(byte)) instead of 6A"
        case .format(let byte, let expected): return "format \(hex(byte)) instead of \(hex(expected))"
        case .hashAlgorithm(let byte): return "hash algorithm indicator \(hex(byte)) instead of 01"
        case .hash: return "the hash result is wrong"
        case .issuerIdentifier: return "the issuer identifier is not that of the PAN"
        case .primaryAccountNumber: return "the PAN is not that of the card"
        case .expirationDate: return "the expiration date is not a month"
        case .revoked(let number):
            return "revoked, serial number \(String(number, radix: 16, uppercase: true))"
        case .publicKeyAlgorithm(let byte): return "public key algorithm indicator \(hex(byte)) instead of 01"
        case .publicKeyLength(let declared, let available):
            return "a public key of \(declared) bytes is declared, \(available) are there"
        case .exponent: return "the exponent is not as declared, or not 3 or 65537"
        case .modulus: return "the certified modulus is unusable"
        case .iccDynamicDataLength(let length): return "ICC dynamic data length \(length)"
        case .iccDynamicNumberLength(let length): return "ICC dynamic number of \(length) bytes"
        case .cryptogramInformationData(let signed, let found):
            return "cryptogram information data \(hex(found)), signed is \(hex(signed))"
        case .transactionDataHash: return "the transaction data hash code is wrong"
        case .response(let error): return "the response is not well-formed: \(error)"
        case .primitive(let error): return "\(error)"
        }
    }
}
