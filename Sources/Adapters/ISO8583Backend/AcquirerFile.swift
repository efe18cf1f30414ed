public import ProfileFile

/// A readable file that says where an acquirer's host is and how it wants its messages; `sample` explains each key.
public struct AcquirerFile: Sendable {
    public var name: String
    public var endpoints: [Endpoint]
    public var security: TransportSecurity?
    public var settings: LinkSettings
    public var interface: HostInterface

    /// A file with all keys, explained.
    public static var sample: String { String(decoding: PackageResources.acquirer_yaml, as: UTF8.self) }

    /// - Throws: `ProfileFileError` naming file and line.
    public init(path: String) throws(ProfileFileError) {
        try self.init(ProfileFile(path: path))
    }

    /// - Parameter files: which files the text may name; none unless its author may.
    public init(text: String, source: String, files: FileAccess = .noFiles) throws(ProfileFileError) {
        try self.init(ProfileFile(file: source, text: text, files: files))
    }

    private init(_ place: ProfileFile) throws(ProfileFileError) {
        let keys = try place.mapping()
        name = try keys.optional("name")?.string() ?? "iso8583"
        endpoints = []
        let list = try keys.required("hosts")
        for host in try list.list() { endpoints.append(try Endpoint(host)) }
        guard !endpoints.isEmpty else { throw list.error("no host is named") }
        security = try keys.optional("tls").map { (place) throws(ProfileFileError) in
            try TransportSecurity(place)
        }
        settings =
            try keys.optional("connection").map { (place) throws(ProfileFileError) in
                try LinkSettings(place)
            } ?? LinkSettings()
        interface = try HostInterface(try keys.required("messages"))
        try keys.finish()
    }

    public func backend(log: @escaping @Sendable (String) -> Void = { _ in }) -> ISO8583Acquirer {
        ISO8583Acquirer(
            name: name, interface: interface, endpoints: endpoints, security: security, settings: settings,
            log: log)
    }
}
