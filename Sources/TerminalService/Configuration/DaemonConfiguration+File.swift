internal import AcquirerFiles
internal import BERTLV
internal import Foundation
internal import HummingbirdTLS
internal import LibNFCReaders
internal import Logging
internal import NIOSSL
public import ProfileFile
internal import RemoteReaders
internal import Terminal
internal import UserDirectories

/// Everything that is wrong in a configuration, each with its place.
public struct ConfigurationMistakes: Error, Sendable, Equatable, CustomStringConvertible {
    public let mistakes: [ProfileFileError]
    public init(_ mistakes: [ProfileFileError]) { self.mistakes = mistakes }
    public var description: String { mistakes.map(\.description).joined(separator: "\n") }
}

/// Where a configuration comes from.
public struct ConfigurationSources: Sendable {
    /// Path of the file; nil is none: defaults.
    public var file: String?
    /// The process's environment: variables that begin with `TAPBRIDGE_` count.
    public var environment: [String: String]
    /// From the command line, the later before the earlier.
    public var flags: [Flag]

    /// A setting (`listen.port`) that an option (`--port`) gives.
    public struct Flag: Sendable, Equatable {
        public var setting: String
        public var option: String
        public var value: ConfigurationValue
        public init(_ setting: String, option: String, _ value: ConfigurationValue) {
            self.setting = setting
            self.option = option
            self.value = value
        }
    }

    public init(
        file: String? = nil, environment: [String: String] = [:],
        flags: [Flag] = []
    ) {
        self.file = file
        self.environment = environment
        self.flags = flags
    }

    /// `$TAPBRIDGE_CONFIG`, else the first of `$XDG_CONFIG_HOME/tapbridge/tapbridge.yaml` and
    /// `/etc/tapbridge/tapbridge.yaml` that is there.
    public static func standardFile(_ environment: [String: String]) -> String? {
        if let file = environment["TAPBRIDGE_CONFIG"], !file.isEmpty { return file }
        return [
            UserDirectories(environment: environment).configuration + "/tapbridge.yaml",
            "/etc/tapbridge/tapbridge.yaml",
        ].first {
            FileManager.default.fileExists(atPath: $0)
        }
    }
}

extension DaemonConfiguration {
    /// The annotated default file.
    public static var defaultText: String { String(decoding: PackageResources.tapbridge_yaml, as: UTF8.self) }

    /// Reads and checks a configuration, with the files that it names.
    /// - Throws: `ConfigurationMistakes`: all that were found.
    public init(_ sources: ConfigurationSources) throws(ConfigurationMistakes) {
        var place: ProfileFile?
        if let file = sources.file {
            do throws(ProfileFileError) {
                place = try ProfileFile(path: file)
            } catch {
                // An empty file, or one of comments alone, changes nothing.
                guard error.reason == "the file is empty" else { throw ConfigurationMistakes([error]) }
            }
        }
        let folder = sources.file.map { ($0 as NSString).deletingLastPathComponent } ?? ""
        try self.init(place: place, folder: folder, sources: sources)
    }

    /// Reads and checks a file's text.
    public init(text: String, file: String = "tapbridge.yaml", folder: String = "")
        throws(ConfigurationMistakes)
    {
        let place: ProfileFile
        do throws(ProfileFileError) {
            place = try ProfileFile(file: file, text: text, files: .paths(relativeTo: folder))
        } catch {
            throw ConfigurationMistakes([error])
        }
        try self.init(place: place, folder: folder, sources: ConfigurationSources())
    }

    private init(
        place: ProfileFile?, folder: String, sources: ConfigurationSources
    ) throws(ConfigurationMistakes) {
        let (overrides, unknown) = Self.overrides(sources)
        let reader = ConfigurationReader(overrides: overrides, folder: folder)
        for mistake in unknown { reader.note(mistake) }
        self.init()
        let top = ConfigurationSection(reader: reader, place: place)
        readListen(top.section("listen"))
        tokens = top.value("tokens", tokens) { (place) throws(ProfileFileError) in
            try Self.tokens(place, reader)
        }
        terminals = top.value("terminals", terminals) { (place) throws(ProfileFileError) in
            try Self.terminals(place, reader)
        }
        func path(_ place: ProfileFile) throws(ProfileFileError) -> String { try place.namedFile().path }
        func existingFolder(_ place: ProfileFile) throws(ProfileFileError) -> String {
            try place.namedFolder().path
        }
        files = top.value("files", files) { (place) throws(ProfileFileError) in
            var files: [String: String] = [:]
            for (name, file) in try place.mapping().entries() {
                files[try name.identifier()] = try file.readableFile().path
            }
            return files
        }
        profileFolder = top.optional("profile-folder", existingFolder)
        acquirer = top.optional("acquirer") { (place) throws(ProfileFileError) in
            let path = try place.namedFile().path
            try Self.checkAcquirer(path, place)
            return path
        }
        journal = top.optional("journal", path)
        traces = top.optional("traces", existingFolder)
        certificates = top.optional("certificates") { (place) throws(ProfileFileError) in
            let path = try place.namedFile().path
            guard CertificateDirectory(path: path).exists("ca.pem") else {
                throw place.error("there is no ca.pem in \(path): make certificates with `tapbridge certs`")
            }
            return path
        }
        let logging = top.section("log")
        log.format = logging.value("format", log.format) { (place) throws(ProfileFileError) in
            try place.choice()
        }
        log.level = logging.value("level", log.level) { (place) throws(ProfileFileError) in try place.choice()
        }
        logging.finish()
        readLimits(top.section("limits"))
        stopTimeout = top.value("stop-timeout", stopTimeout) { (place) throws(ProfileFileError) in
            try place.duration(.seconds(1) ... .seconds(600))
        }
        top.finish()
        if !listen.isLoopbackOnly {
            let address = listen.address
            let where_ = place.map { $0.file } ?? "configuration"
            if listen.tls == nil {
                reader.note(
                    ProfileFileError(
                        file: where_, path: "listen",
                        reason:
                            "\(address) can be reached from other machines: give listen.tls a certificate and key, or listen on 127.0.0.1"
                    ))
            }
            if tokens.isEmpty {
                reader.note(
                    ProfileFileError(
                        file: where_, path: "tokens",
                        reason:
                            "\(address) can be reached from other machines: give at least one token (`tapbridge config token`), or listen on 127.0.0.1"
                    ))
            }
        }
        guard reader.mistakes.isEmpty else { throw ConfigurationMistakes(reader.mistakes) }
    }

    private mutating func readListen(_ section: ConfigurationSection) {
        listen.address = section.value("address", listen.address) { (place) throws(ProfileFileError) in
            let text = try place.string()
            guard !text.isEmpty, text.utf8.count <= 253, !text.contains(where: \.isWhitespace),
                !text.contains("/")
            else {
                throw place.error("expected a host name or an address, such as 127.0.0.1 or \"::1\"")
            }
            return text
        }
        listen.port = section.value("port", listen.port) { (place) throws(ProfileFileError) in
            try place.integer(in: 0...65535)
        }
        listen.allowedHosts = section.value("allowed-hosts", []) { (place) throws(ProfileFileError) in
            var hosts: [String] = []
            for item in try place.list() {
                let host = try item.string().lowercased()
                guard !host.isEmpty, !host.contains("/"), !host.contains(" "), !host.contains("*") else {
                    throw item.error("expected a host name as clients write it, such as till.example")
                }
                hosts.append(host)
            }
            return hosts
        }
        let tls = section.section("tls")
        func file(_ place: ProfileFile) throws(ProfileFileError) -> String {
            try place.readableFile().path
        }
        let certificate = tls.optional("certificate", file)
        let key = tls.optional("key", file)
        tls.finish()
        section.finish()
        switch (certificate, key) {
        case (let certificate?, let key?):
            let pair = TLS(certificate: certificate, key: key)
            do {
                _ = try pair.context()
                listen.tls = pair
            } catch {
                section.reader.note(
                    ProfileFileError(
                        file: certificate, path: "listen.tls",
                        reason: "certificate and key (\(key)) cannot be used together: \(error)"))
            }
        case (nil, nil): break
        default:
            // Where the other one was there with a mistake of its own, that is told already.
            let hasBoth = tls.mapping?.optional("certificate") != nil && tls.mapping?.optional("key") != nil
            if !hasBoth, let place = tls.mapping?.place {
                section.reader.note(
                    place.error("certificate and key belong together: one of them is missing"))
            } else if !hasBoth {
                section.reader.note(
                    ProfileFileError(
                        file: "configuration", path: "listen.tls",
                        reason: "certificate and key belong together: one of them is missing"))
            }
        }
    }

    private mutating func readLimits(_ section: ConfigurationSection) {
        func count(_ key: String, _ otherwise: Int, _ range: ClosedRange<Int>) -> Int {
            section.value(key, otherwise) { (place) throws(ProfileFileError) in try place.integer(in: range) }
        }
        func time(_ key: String, _ otherwise: Duration, atMost longest: Duration = .seconds(3600)) -> Duration
        {
            section.value(key, otherwise) { (place) throws(ProfileFileError) in
                try place.duration(.milliseconds(100)...longest)
            }
        }
        limits.body = section.value("body", limits.body) { (place) throws(ProfileFileError) in
            try place.byteCount(1024...64 << 20)
        }
        limits.connections = count("connections", limits.connections, 1...100_000)
        limits.requestsPerSecond = count("requests-per-second", limits.requestsPerSecond, 0...1_000_000)
        limits.burst = count("burst", limits.burst, 1...10_000_000)
        limits.eventStreams = count("event-streams", limits.eventStreams, 1...100_000)
        limits.eventStreamsPerClient = count(
            "event-streams-per-client", limits.eventStreamsPerClient, 1...100_000)
        limits.exports = count("exports", limits.exports, 1...1000)
        limits.unread = section.value("unread", limits.unread) { (place) throws(ProfileFileError) in
            try place.byteCount(8 << 20...1024 << 20)
        }
        limits.payments = count("payments", limits.payments, 1...1_000_000)
        limits.headerTimeout = time("header-timeout", limits.headerTimeout)
        limits.bodyTimeout = time("body-timeout", limits.bodyTimeout)
        limits.writeTimeout = time("write-timeout", limits.writeTimeout)
        limits.sessionIdle = time("session-idle", limits.sessionIdle, atMost: .seconds(7 * 24 * 3600))
        limits.sessionLifetime = time(
            "session-lifetime", limits.sessionLifetime, atMost: .seconds(7 * 24 * 3600))
        section.finish()
    }

    private static func tokens(
        _ place: ProfileFile, _ reader: ConfigurationReader
    ) throws(ProfileFileError) -> [AccessToken] {
        var tokens: [AccessToken] = []
        for item in try place.list() {
            let section = ConfigurationSection(reader: reader, place: item)
            guard let mapping = section.mapping else { continue }
            let name = reader.attempt { () throws(ProfileFileError) in
                try mapping.required("name").identifier()
            }
            let role: Role? = reader.attempt { () throws(ProfileFileError) in
                try mapping.required("role").choice()
            }
            let hash = reader.attempt { () throws(ProfileFileError) in
                let place = try mapping.required("sha256")
                guard let bytes = Hex.bytes(try place.string()), bytes.count == 32 else {
                    throw place.error(
                        "expected the SHA-256 of the token, 64 hexadecimal digits: `tapbridge config token` makes both"
                    )
                }
                return bytes
            }
            section.finish()
            guard let name, let role, let hash else { continue }
            if tokens.contains(where: { $0.name == name }) {
                reader.note(item.error("there is another token named \(name)"))
            }
            tokens.append(AccessToken(name: name, role: role, hash: hash))
        }
        return tokens
    }

    private static let mostTerminals = 100_000

    private static func terminals(
        _ place: ProfileFile, _ reader: ConfigurationReader
    ) throws(ProfileFileError) -> [TerminalGroup] {
        var groups: [TerminalGroup] = []
        var names: Set<String> = []
        var readers: Set<ReaderName> = []
        var total = 0
        for item in try place.list() {
            let section = ConfigurationSection(reader: reader, place: item)
            guard let mapping = section.mapping else { continue }
            var group = TerminalGroup()
            group.id = section.optional("id") { (place) throws(ProfileFileError) in
                try place.identifier(atMost: 8)
            }
            group.count = section.value("count", 1) { (place) throws(ProfileFileError) in
                try place.integer(in: 1...mostTerminals)
            }
            total += group.count
            // Each has a name, which is made and compared below.
            guard total <= mostTerminals else {
                throw item.error("with these there are more than \(mostTerminals) terminals")
            }
            group.profile =
                section.value("profile", nil) { (place) throws(ProfileFileError) -> String? in
                    if try place.string() == "built-in" { return nil }
                    let path = try place.namedFile().path
                    do throws(ProfileFileError) {
                        _ = try TerminalProfile(path: path)
                    } catch {
                        // A mistake within the profile has its own file and line.
                        throw error.line == nil ? place.error("\(path): \(error.reason)") : error
                    }
                    return path
                }
            group.reader = section.value("reader", .emulated) { (place) throws(ProfileFileError) in
                try Self.reader(place)
            }
            section.finish()
            if group.reader != .emulated {
                if group.count > 1, let place = mapping.optional("count") {
                    reader.note(
                        place.error("reader \(group.reader) is one: only emulated readers come in numbers"))
                }
                if !readers.insert(group.reader).inserted, let place = mapping.optional("reader") {
                    reader.note(place.error("another terminal has the reader \(group.reader)"))
                }
            }
            let own = group.names.compactMap(\.self)
            if own.contains(where: { $0.utf8.count != 8 }), let place = mapping.optional("id") {
                reader.note(
                    place.error(
                        group.count == 1
                            ? "expected 8 characters, as 9F1C and hosts know a terminal"
                            : "with the numbers of \(group.count) terminals the names have more than 8 characters"
                    ))
            }
            if !names.isDisjoint(with: own), let place = mapping.optional("id") {
                reader.note(place.error("there is another terminal of this name"))
            }
            names.formUnion(own)
            groups.append(group)
        }
        return groups
    }

    /// `emulated`, `pcsc`, `pcsc:NAME`, `nfc:…`, `remote:host:port/name`.
    static func reader(_ place: ProfileFile) throws(ProfileFileError) -> ReaderName {
        let text = try place.string()
        if text == "emulated" { return .emulated }
        if text == "pcsc" { return .pcsc(nil) }
        if text.hasPrefix("pcsc:"), text.count > 5 { return .pcsc(String(text.dropFirst(5))) }
        if LibNFCContext.isName(text) { return .libnfc(text) }
        if RemoteReaderAddress.isRemote(text) {
            do throws(RemoteReaderError) { _ = try RemoteReaderAddress(text) } catch {
                throw place.error("\(error)")
            }
            return .remote(text)
        }
        throw place.error(
            "expected emulated, pcsc, pcsc:NAME, nfc:CONNECTION or remote:HOST:PORT/NAME, found \"\(text.prefix(40))\""
        )
    }

    private static func checkAcquirer(_ path: String, _ place: ProfileFile) throws(ProfileFileError) {
        do throws(AcquirerFileError) {
            _ = try AcquirerConnection.check(file: path)
        } catch {
            switch error {
            case .file(let error): throw error.line == nil ? place.error("\(path): \(error.reason)") : error
            case .settings(_, let reason): throw place.error("\(path): \(reason)")
            }
        }
    }

    /// Overrides of the environment and of flags, flags before the environment, and those that name no setting.
    static func overrides(
        _ sources: ConfigurationSources
    ) -> ([String: ConfigurationOverride], unknown: [ProfileFileError]) {
        var overrides: [String: ConfigurationOverride] = [:]
        var mistakes: [ProfileFileError] = []
        let variables = Dictionary(
            uniqueKeysWithValues: ConfigurationSetting.all.map { ($0.variable, $0.key) })
        for (name, value) in sources.environment.sorted(by: { $0.key < $1.key })
        where name.hasPrefix("TAPBRIDGE_") && !["TAPBRIDGE_CONFIG", "TAPBRIDGE_STATE"].contains(name) {
            guard let key = variables[name] else {
                // Tests, scripts and other units have variables of their own: only what is near a setting is a mistake.
                let rest = String(name.dropFirst("TAPBRIDGE_".count))
                let hint = ProfileFile.suggestion(
                    for: rest, among: variables.keys.map { String($0.dropFirst("TAPBRIDGE_".count)) })
                if !hint.isEmpty || ["LISTEN_", "LOG_", "LIMITS_"].contains(where: rest.hasPrefix) {
                    mistakes.append(
                        ProfileFileError(
                            file: name,
                            reason: "no such setting" + hint.replacing("mean \"", with: "mean \"TAPBRIDGE_")))
                }
                continue
            }
            // An empty variable is as none: service managers often set them so.
            if !value.isEmpty { overrides[key] = ConfigurationOverride(source: name, value: .text(value)) }
        }
        for flag in sources.flags {
            guard ConfigurationSetting.all.contains(where: { $0.key == flag.setting }) else {
                mistakes.append(
                    ProfileFileError(
                        file: flag.option,
                        reason: "no such setting: \(flag.setting)"
                            + ProfileFile.suggestion(
                                for: flag.setting, among: ConfigurationSetting.all.map(\.key))
                    ))
                continue
            }
            overrides[flag.setting] = ConfigurationOverride(source: flag.option, value: flag.value)
        }
        return (overrides, mistakes)
    }
}

extension DaemonConfiguration.TLS {
    /// - Throws: where a file cannot be read, or the key is not that of the certificate.
    func configuration() throws -> TLSConfiguration {
        let chain = try NIOSSLCertificate.fromPEMFile(certificate).map {
            NIOSSLCertificateSource.certificate($0)
        }
        let privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return configuration
    }

    func context() throws -> NIOSSLContext { try NIOSSLContext(configuration: configuration()) }
}
