internal import BERTLV
internal import Foundation
internal import ProfileFile

/// Files that a configuration names.
enum FileReading {
    /// A path as the file means it: relative to its own folder.
    static func path(_ name: String, relativeTo folder: String) -> String {
        name.hasPrefix("/") || folder.isEmpty ? name : folder + "/" + name
    }

    static func folder(of path: String) -> String {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        return path.contains("/") ? folder : ""
    }

    /// Hexadecimal digits of a file, such as a key. Nothing of the content is told where it is wrong.
    static func hexadecimal(
        _ place: ProfileFile, relativeTo folder: String
    ) throws(ProfileFileError) -> [UInt8] {
        let name = path(try place.string(), relativeTo: folder)
        guard let data = FileManager.default.contents(atPath: name) else {
            throw place.error("\(name) cannot be read")
        }
        let digits = String(decoding: data, as: UTF8.self).filter { !$0.isWhitespace }
        guard let bytes = Hex.bytes(digits), !bytes.isEmpty else {
            throw place.error("\(name) does not hold hexadecimal digits")
        }
        return bytes
    }

    /// A path to a file that is there.
    static func existing(_ place: ProfileFile, relativeTo folder: String) throws(ProfileFileError) -> String {
        let name = path(try place.string(), relativeTo: folder)
        guard FileManager.default.isReadableFile(atPath: name) else {
            throw place.error("\(name) cannot be read")
        }
        return name
    }

    /// `500ms`, `30s` or `5m`, more than nothing and up to a day.
    static func duration(_ place: ProfileFile) throws(ProfileFileError) -> Duration {
        let text = try place.string()
        for (suffix, unit) in [("ms", 1), ("s", 1000), ("m", 60_000)] where text.hasSuffix(suffix) {
            guard let number = Int(text.dropLast(suffix.count)), number >= 1, number <= 86_400_000 / unit
            else {
                break
            }
            return .milliseconds(number * unit)
        }
        throw place.error("expected a time such as 500ms, 30s or 5m, found \"\(text)\"")
    }
}
