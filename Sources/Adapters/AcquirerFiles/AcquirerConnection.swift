public import Acquiring
internal import HTTPBackend
public import ISO8583Backend
public import ProfileFile

/// A backend that was opened from an acquirer file, and what ends its connections. The one place that tells the kinds of
/// acquirer files apart.
public struct AcquirerConnection: Sendable {
    public let backend: any AcquirerBackend
    private let end: @Sendable () async -> Void

    /// Opens the backend that a file describes: over HTTP where it has a section `http`, else over ISO 8583.
    /// - Parameters:
    ///   - path: the acquirer file; the files that it names are relative to its folder.
    ///   - responseTimeout: how long a request waits for its response.
    ///   - log: gets what happens to the connections, a line each.
    /// - Throws: `AcquirerFileError`: the file's place and reason, or why its settings cannot be used together.
    public init(
        file path: String, responseTimeout: Duration, log: @escaping @Sendable (String) -> Void
    ) throws(AcquirerFileError) {
        switch try AcquirerFileKind(path) {
        case .http(let settings):
            do throws(HTTPBackendSettingsError) {
                let backend = try HTTPBackend(.init(settings: settings, answerTimeout: responseTimeout))
                self.backend = backend
                end = { await backend.close() }
            } catch {
                throw .settings(file: path, reason: "\(error)")
            }
        case .iso8583(let file):
            let backend = file.backend(log: log)
            self.backend = backend
            end = { await backend.close() }
        }
    }

    /// Ends the connections; what is under way fails as a line that broke.
    public func close() async { await end() }

    /// Reads a file and opens nothing.
    /// - Returns: what the file says, in a line.
    /// - Throws: as `init(file:responseTimeout:log:)`.
    public static func check(file path: String) throws(AcquirerFileError) -> String {
        switch try AcquirerFileKind(path) {
        case .http(let settings): return "\(settings)"
        case .iso8583(let file):
            let hosts = file.endpoints.map(\.description).joined(separator: ", ")
            return
                "\(file.name) at \(hosts)\(file.security == nil ? "" : " over TLS"), \(file.interface.dialect.name), \(file.interface.framing)\(file.interface.settlementNote)"
        }
    }

    /// How the host of a file wants its messages; nil for a host over HTTP, whose messages have one form.
    /// - Throws: as `init(file:responseTimeout:log:)`.
    public static func interface(file: String) throws(AcquirerFileError) -> HostInterface? {
        switch try AcquirerFileKind(file) {
        case .http: nil
        case .iso8583(let file): file.interface
        }
    }
}

/// Why no backend can be opened from an acquirer file.
public enum AcquirerFileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file cannot be read, or says something that it cannot mean.
    case file(ProfileFileError)
    /// Each setting is right, but not all of them together.
    case settings(file: String, reason: String)

    public var description: String {
        switch self {
        case .file(let error): "\(error)"
        case .settings(let file, let reason): "\(file): \(reason)"
        }
    }
}

private enum AcquirerFileKind {
    case http(HTTPBackendSettings)
    case iso8583(AcquirerFile)

    init(_ path: String) throws(AcquirerFileError) {
        do throws(ProfileFileError) {
            self =
                try HTTPBackendSettings.isMeant(byFile: path)
                ? .http(HTTPBackendSettings(file: path)) : .iso8583(AcquirerFile(path: path))
        } catch {
            throw .file(error)
        }
    }
}
