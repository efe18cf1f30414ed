internal import EMVCryptography
public import ProfileFile

extension HTTPBackendSettings {
    /// An acquirer file with all keys, explained.
    public static let sample = """
        # Authorize over HTTP: JSON as openapi.yaml describes it.
        http:
          url: https://acquirer.example/v1/messages  # /v1/messages where no path is given
          key-name: till-1                  # names the key to the host
          key-file: till-1.key              # 16 to 64 bytes in hexadecimal; or key: with the digits themselves
          tries: 4                          # how often a message is sent at most (4)
          tls:                              # for https
            trust: authority.pem            # whose certificates the host may have; the system's where not given
            certificate: till-1.pem         # the terminal's own certificate and its key, where the host asks for one
            key: till-1-key.pem

        """

    /// Whether an acquirer file is one for HTTP: it has a section `http`.
    /// - Throws: `ProfileFileError` where it cannot be read.
    public static func isMeant(byFile path: String) throws(ProfileFileError) -> Bool {
        try ProfileFile(path: path).mapping().optional("http") != nil
    }

    /// Reads an acquirer file; the files that it names are relative to its folder.
    /// - Throws: `ProfileFileError` naming file and line; keys are not repeated.
    public init(file path: String) throws(ProfileFileError) {
        try self.init(ProfileFile(path: path))
    }

    /// - Parameter files: which files the text may name; none unless its author may.
    public init(text: String, source: String, files: FileAccess = .noFiles) throws(ProfileFileError) {
        try self.init(ProfileFile(file: source, text: text, files: files))
    }

    private init(_ file: ProfileFile) throws(ProfileFileError) {
        let top = try file.mapping()
        let section = try top.required("http")
        let keys = try section.mapping()
        let url = try keys.required("url").string()
        let name = try keys.required("key-name").string()
        let key: SecretKey?
        let keyPlace: ProfileFile
        if let place = keys.optional("key-file") {
            guard keys.optional("key") == nil else { throw place.error("give either key or key-file") }
            keyPlace = place
            key = SecretKey(try place.hexadecimalFile())
        } else {
            keyPlace = try keys.required("key")
            key = SecretKey(hex: try keyPlace.string())
        }
        guard let key, HTTPSignature.keyCount.contains(key.count) else {
            throw keyPlace.error("expected 16 to 64 bytes in hexadecimal (quote digits-only values)")
        }
        self.init(url: url, keyID: name, key: key)
        if let place = keys.optional("tries") { tries = try place.integer(in: 1...20) }
        if let place = keys.optional("tls") {
            let tls = try place.mapping()
            if let place = tls.optional("trust") { certificateAuthority = try place.readableFile().path }
            if let place = tls.optional("certificate") { clientCertificate = try place.readableFile().path }
            if let place = tls.optional("key") { clientKey = try place.readableFile().path }
            try tls.finish()
        }
        try keys.finish()
        try top.finish()
        do throws(HTTPBackendSettingsError) { try check() } catch { throw section.error("\(error)") }
    }
}
