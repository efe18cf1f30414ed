internal import Foundation
public import ProfileFile

/// A setting's place in the layers: the file, and what the environment or a flag puts in its stead.
struct ConfigurationOverride {
    /// Such as `TAPBRIDGE_LISTEN_PORT` or `--port`, for errors.
    var source: String
    var value: ConfigurationValue

    func place(files: FileAccess) throws(ProfileFileError) -> ProfileFile {
        switch value {
        case .text(let text): try ProfileFile(file: source, text: text, files: files)
        case .value(let value): ProfileFile(source: source, value: value, files: files)
        }
    }
}

/// What the environment or the command line gives a setting.
public enum ConfigurationValue: Sendable, Equatable {
    /// As the file would write it (YAML): a variable of the environment, `--set`.
    case text(String)
    /// An option with a type of its own.
    case value(ProfileFile.Value)
}

/// Reads settings one by one and goes on after a mistake, so that all of them are told at once.
final class ConfigurationReader {
    private(set) var mistakes: [ProfileFileError] = []
    let overrides: [String: ConfigurationOverride]
    /// What relative paths of overrides begin at, as those of the file do.
    private let folder: String

    init(overrides: [String: ConfigurationOverride], folder: String) {
        self.overrides = overrides
        self.folder = folder
    }

    func note(_ mistake: ProfileFileError) { mistakes.append(mistake) }

    /// Runs `body`; a mistake is noted and nil is the answer.
    func attempt<T>(_ body: () throws(ProfileFileError) -> T) -> T? {
        do throws(ProfileFileError) { return try body() } catch {
            note(error)
            return nil
        }
    }

    /// What the environment or a flag says, read as the file's value would be.
    func override<T>(_ key: String, _ read: (ProfileFile) throws(ProfileFileError) -> T) -> T? {
        guard let override = overrides[key] else { return nil }
        do throws(ProfileFileError) {
            return try read(override.place(files: .paths(relativeTo: folder)))
        } catch {
            // Line and column of a single value say nothing.
            note(ProfileFileError(file: error.file, path: error.path, reason: error.reason))
            return nil
        }
    }
}

/// A mapping of the file with its settings; also there where the file has none, as overrides may speak of it.
struct ConfigurationSection {
    let reader: ConfigurationReader
    let mapping: ProfileMapping?
    /// With a dot at the end; empty at the top.
    let prefix: String

    init(reader: ConfigurationReader, place: ProfileFile?, prefix: String = "") {
        self.reader = reader
        self.prefix = prefix
        mapping = place.flatMap { place in
            reader.attempt { () throws(ProfileFileError) in try place.mapping() }
        }
    }

    /// The setting's value: the override's, else the file's, else `otherwise`. A mistake of the file is told even where an
    /// override beats it.
    func value<T>(
        _ key: String, _ otherwise: T, _ read: (ProfileFile) throws(ProfileFileError) -> T
    ) -> T {
        let written = mapping?.optional(key).flatMap { place in
            reader.attempt { () throws(ProfileFileError) in try read(place) }
        }
        return reader.override(prefix + key, read) ?? written ?? otherwise
    }

    func optional<T>(_ key: String, _ read: (ProfileFile) throws(ProfileFileError) -> T) -> T? {
        value(key, nil) { (place) throws(ProfileFileError) in try read(place) }
    }

    func section(_ key: String) -> ConfigurationSection {
        ConfigurationSection(reader: reader, place: mapping?.optional(key), prefix: prefix + key + ".")
    }

    /// Tells keys that nobody asked for.
    func finish() {
        for mistake in mapping?.unknownKeys() ?? [] { reader.note(mistake) }
    }
}

extension ProfileFile {
    /// `30 s`, `500 ms`, `2 min`, `1 h`; a bare number is seconds.
    func duration(_ range: ClosedRange<Duration>) throws(ProfileFileError) -> Duration {
        let text = try string()
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)
        let milliseconds: Int64? =
            switch unit {
            case "ms": 1
            case "s", "": 1000
            case "min": 60_000
            case "h": 3_600_000
            default: nil
            }
        guard let number = Int64(digits), let milliseconds, number <= 1_000_000_000,
            range.contains(.milliseconds(number * milliseconds))
        else {
            throw error(
                "expected a time of \(Self.text(range.lowerBound)) to \(Self.text(range.upperBound)), such as \"30 s\", \"500 ms\" or \"2 min\", found \"\(text.prefix(40))\""
            )
        }
        return .milliseconds(number * milliseconds)
    }

    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        if milliseconds % 3_600_000 == 0, milliseconds > 0 { return "\(milliseconds / 3_600_000) h" }
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }

    /// `65536`, `64 KiB`, `1 MiB`.
    func byteCount(_ range: ClosedRange<Int>) throws(ProfileFileError) -> Int {
        let text = try string()
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)
        let factor: Int? =
            switch unit {
            case "", "B": 1
            case "KiB": 1 << 10
            case "MiB": 1 << 20
            default: nil
            }
        guard let number = Int(digits), let factor, number <= 1 << 30, range.contains(number * factor) else {
            throw error(
                "expected \(range.lowerBound) to \(range.upperBound) bytes, such as \"64 KiB\" or \"1 MiB\", found \"\(text.prefix(40))\""
            )
        }
        return number * factor
    }

    /// Letters, digits, dots, hyphens and underscores: for names that become part of a URL.
    func identifier(atMost count: Int = 40) throws(ProfileFileError) -> String {
        let text = try string()
        guard let first = text.utf8.first, text.utf8.count <= count, first != UInt8(ascii: "."),
            text.utf8.allSatisfy({
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                    UInt8(ascii: "."):
                    true
                default: false
                }
            })
        else {
            throw error(
                "expected 1...\(count) letters, digits, hyphens, underscores or dots, found \"\(text.prefix(40))\""
            )
        }
        return text
    }
}
