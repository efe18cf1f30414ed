internal import CLibCrypto
public import Foundation

extension Certificate {
    /// What a certificate is for.
    public enum Use: Sendable {
        /// Signs certificates of ends and revocation lists; no further authorities (path length 0).
        case authority
        case server
        case client
    }

    /// By what a server or client may be known.
    public enum AlternativeName: Sendable, Equatable {
        /// Letters, digits, `-` and `.`; at most 253 bytes.
        case dns(String)
        /// 4 or 16 bytes, in network order.
        case address([UInt8])
    }

    /// What is written into a new certificate besides its key.
    public struct Contents: Sendable {
        public var commonName: String
        public var use: Use
        public var alternativeNames: [AlternativeName]
        public var notValidBefore: Date
        public var notValidAfter: Date

        public init(
            commonName: String, use: Use, alternativeNames: [AlternativeName] = [], notValidBefore: Date,
            notValidAfter: Date
        ) {
            self.commonName = commonName
            self.use = use
            self.alternativeNames = alternativeNames
            self.notValidBefore = notValidBefore
            self.notValidAfter = notValidAfter
        }
    }

    /// Makes a certificate (version 3, a random serial number of 20 bytes at most, ECDSA with SHA-256).
    /// - Parameters:
    ///   - key: whose public half it certifies.
    ///   - issuer: the authority's certificate; nil for one that `key` signs itself.
    ///   - issuerKey: the authority's key; `key` where there is no issuer.
    /// - Throws: `.invalidValue`, `.libcrypto`.
    public static func make(
        _ contents: Contents, for key: PrivateKey, issuer: Certificate? = nil, issuerKey: PrivateKey? = nil
    ) throws(CertificateError) -> Certificate {
        guard let x509 = X509_new() else { throw .last }
        let certificate = Certificate(owning: x509)
        let signer = issuerKey ?? key
        try check(X509_set_version(x509, 2))
        try setSerialNumber(x509)
        try setName(contents.commonName, x509)
        try check(
            X509_set_issuer_name(
                x509, issuer.map { X509_get_subject_name($0.x509) } ?? X509_get_subject_name(x509)))
        try setTime(contents.notValidBefore) { X509_set1_notBefore(x509, $0) }
        try setTime(contents.notValidAfter) { X509_set1_notAfter(x509, $0) }
        try check(X509_set_pubkey(x509, key.key))
        let subject = issuer?.x509 ?? x509
        switch contents.use {
        case .authority:
            try add(NID_basic_constraints, "critical,CA:TRUE,pathlen:0", x509, issuer: subject)
            try add(NID_key_usage, "critical,keyCertSign,cRLSign", x509, issuer: subject)
        case .server, .client:
            try add(NID_basic_constraints, "critical,CA:FALSE", x509, issuer: subject)
            try add(NID_key_usage, "critical,digitalSignature", x509, issuer: subject)
            try add(
                NID_ext_key_usage, contents.use == .server ? "serverAuth" : "clientAuth", x509,
                issuer: subject)
        }
        if !contents.alternativeNames.isEmpty {
            var names: [String] = []
            for name in contents.alternativeNames { names.append(try text(name)) }
            try add(NID_subject_alt_name, names.joined(separator: ","), x509, issuer: subject)
        }
        try add(NID_subject_key_identifier, "hash", x509, issuer: subject)
        if issuer != nil { try add(NID_authority_key_identifier, "keyid", x509, issuer: subject) }
        // The result of X509_sign is the signature's length.
        guard X509_sign(x509, signer.key, EVP_sha256()) > 0 else { throw .last }
        return certificate
    }

    private static func check(_ result: Int32) throws(CertificateError) {
        guard result == 1 else { throw .last }
    }

    private static func setSerialNumber(_ x509: OpaquePointer) throws(CertificateError) {
        // 159 bits: positive, and at most 20 bytes long (RFC 5280, 4.1.2.2).
        guard let number = BN_new() else { throw .last }
        defer { BN_free(number) }
        try check(BN_rand(number, 159, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY))
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != nil else { throw .last }
    }

    private static func setName(_ commonName: String, _ x509: OpaquePointer) throws(CertificateError) {
        // RFC 5280, appendix A.1: ub-common-name is 64.
        guard (1...64).contains(commonName.unicodeScalars.count) else {
            throw .invalidValue("a common name of \(commonName.unicodeScalars.count) characters (1 to 64)")
        }
        guard let name = X509_NAME_new() else { throw .last }
        defer { X509_NAME_free(name) }
        try check(
            X509_NAME_add_entry_by_NID(
                name, NID_commonName, MBSTRING_UTF8, Array(commonName.utf8), Int32(commonName.utf8.count), -1,
                0))
        try check(X509_set_subject_name(x509, name))
    }

    private static func setTime(
        _ date: Date, _ set: (UnsafePointer<ASN1_TIME>) -> Int32
    ) throws(CertificateError) {
        // From 1970 to the end of 9999, the last that a certificate can hold.
        guard (0...253_402_300_799).contains(date.timeIntervalSince1970) else {
            throw .invalidValue("the time \(date.timeIntervalSince1970) (seconds since 1970)")
        }
        guard let time = ASN1_TIME_set(nil, time_t(date.timeIntervalSince1970)) else { throw .last }
        defer { ASN1_TIME_free(time) }
        try check(set(time))
    }

    /// A name in libcrypto's notation for extensions, in which only these characters are safe.
    private static func text(_ name: AlternativeName) throws(CertificateError) -> String {
        switch name {
        case .dns(let name):
            let isSafe = name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || $0 == 0x2D || $0 == 0x2E
            }
            guard isSafe, (1...253).contains(name.utf8.count) else {
                throw .invalidValue("the name \"\(name)\"")
            }
            return "DNS:\(name)"
        case .address(let bytes) where bytes.count == 4:
            return "IP:" + bytes.map(String.init).joined(separator: ".")
        case .address(let bytes) where bytes.count == 16:
            let groups = stride(from: 0, to: 16, by: 2).map {
                String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16)
            }
            return "IP:" + groups.joined(separator: ":")
        case .address(let bytes): throw .invalidValue("an address of \(bytes.count) bytes")
        }
    }

    private static func add(
        _ identifier: Int32, _ value: String, _ x509: OpaquePointer, issuer: OpaquePointer
    ) throws(CertificateError) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, x509, nil, nil, 0)
        guard let made = X509V3_EXT_conf_nid(nil, &context, identifier, value) else { throw .last }
        defer { X509_EXTENSION_free(made) }
        try check(X509_add_ext(x509, made, -1))
    }
}
