public import ISO8583
public import ProfileFile

extension Dialect {
    /// The dialects that come with the library: one file and one line each.
    public static let builtInNames = sources.map(\.name)

    static let sources: [(name: String, text: [UInt8])] = [
        ("generic-ascii", PackageResources.generic_ascii_yaml),
        ("generic-bcd", PackageResources.generic_bcd_yaml),
        ("generic-ebcdic", PackageResources.generic_ebcdic_yaml),
        ("generic-93-ascii", PackageResources.generic_93_ascii_yaml),
        ("generic-93-bcd", PackageResources.generic_93_bcd_yaml),
        ("jpos-87a", PackageResources.jpos_87a_yaml),
        ("jpos-87b", PackageResources.jpos_87b_yaml),
        ("jpos-93a", PackageResources.jpos_93a_yaml),
        ("jpos-93b", PackageResources.jpos_93b_yaml),
        ("moov-87ascii", PackageResources.moov_87ascii_yaml),
        ("pyiso8583-default", PackageResources.pyiso8583_default_yaml),
        ("moov-87", PackageResources.moov_87_yaml),
    ]

    /// A built-in dialect; nil for an unknown name.
    /// - Throws: `ProfileFileError`, were a built-in file damaged.
    public static func builtIn(_ name: String) throws(ProfileFileError) -> Dialect? {
        guard let source = sources.first(where: { $0.name == name }) else { return nil }
        return try Dialect(text: String(decoding: source.text, as: UTF8.self), source: "\(name).yaml")
    }

    /// The file of a built-in dialect; nil for an unknown name.
    public static func builtInText(_ name: String) -> String? {
        sources.first { $0.name == name }.map { String(decoding: $0.text, as: UTF8.self) }
    }

    /// A built-in dialect by its name, or else the dialect of the file at this path.
    /// - Throws: `ProfileFileError` naming file and line; it lists the built-in names where there is no such file.
    public static func named(_ name: String) throws(ProfileFileError) -> Dialect {
        if let dialect = try builtIn(name) { return dialect }
        guard name.contains("/") || name.contains(".") else {
            throw ProfileFileError(
                file: name,
                reason:
                    "no such dialect; built in are \(builtInNames.joined(separator: ", ")), or name a file")
        }
        return try Dialect(path: name)
    }
}
