internal import CLibCrypto

extension CertificateError {
    /// libcrypto's latest error; its queue is empty afterwards.
    static var last: CertificateError {
        let code = ERR_get_error()
        ERR_clear_error()
        return .libcrypto(code: UInt(code))
    }
}

/// Lets libcrypto read a text; its error queue is empty afterwards.
func withPEM<Result>(_ text: String, _ read: (OpaquePointer) -> Result?) -> Result? {
    var text = text
    let result = text.withUTF8 { bytes -> Result? in
        guard let count = Int32(exactly: bytes.count), let bio = BIO_new_mem_buf(bytes.baseAddress, count)
        else {
            return nil
        }
        defer { BIO_free(bio) }
        return read(bio)
    }
    ERR_clear_error()
    return result
}

/// What libcrypto writes.
func collected(_ write: (OpaquePointer) -> Int32) throws(CertificateError) -> String {
    guard let bio = BIO_new(BIO_s_mem()) else { throw .last }
    defer { BIO_free(bio) }
    guard write(bio) == 1 else { throw .last }
    var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(bio))
    let count = BIO_read(bio, &bytes, Int32(clamping: bytes.count))
    guard Int(count) == bytes.count else { throw .last }
    return String(decoding: bytes, as: UTF8.self)
}
