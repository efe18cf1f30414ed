public import ProfileFile

extension Dialect {
    /// The dialects that come with the library: one file and one line each.
    public static let builtInNames = sources.map(\.name)

    static let sources: [(name: String, text: [UInt8])] = [
        ("generic-ascii", PackageResources.generic_ascii_yaml),
        ("generic-bcd", PackageResources.generic_bcd_yaml),
        ("generic-ebcdic", PackageResources.generic_ebcdic_yaml),
        ("jpos-87a", PackageResources.jpos_87a_yaml),
        ("jpos-87b", PackageResources.jpos_87b_yaml),
        ("moov-87ascii", PackageResources.moov_87ascii_yaml),
        ("pyiso8583-default", PackageResources.pyiso8583_default_yaml),
    ]

    /// A built-in dialect; nil for an unknown name.
    /// - Throws: `ProfileFileError`, were a built-in file damaged.
    public static func builtIn(_ name: String) throws(ProfileFileError) -> Dialect? {
        guard let source = sources.first(where: { $0.name == name }) else { return nil }
        return try Dialect(text: String(decoding: source.text, as: UTF8.self), source: "\(name).yaml")
    }
}
