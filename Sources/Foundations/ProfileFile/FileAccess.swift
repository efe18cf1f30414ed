internal import BERTLV
internal import Foundation
internal import UserDirectories

/// Which files of this machine a text may name. Every `ProfileFile` carries it, and `ProfileFile.namedFile()` is the one way
/// from a key to a file: no key decides for itself.
public enum FileAccess: Sendable, Equatable {
    /// Any file, for texts that the operator wrote. Relative paths begin at this folder; "" is the working directory.
    case paths(relativeTo: String)
    /// The files that the operator has listed, by their names, for texts that somebody else wrote. No paths.
    case names([String: String])

    /// For texts that need no files.
    public static let noFiles = FileAccess.names([:])

    /// What the file at `path` may name: its author may name any file.
    static func beside(_ path: String) -> FileAccess {
        guard let end = path.lastIndex(of: "/") else { return .paths(relativeTo: "") }
        return .paths(relativeTo: end == path.startIndex ? "/" : String(path[..<end]))
    }
}

/// A file that a text names and may name.
public struct NamedFile: Sendable, Equatable {
    public let path: String
    /// As errors show it: the path, or for a listed file its name alone.
    let shown: String

    /// Not more than `limit` bytes; nil where the file cannot be read or has more.
    func contents(limit: Int) -> [UInt8]? {
        // `FileManager.contents` would read all of an endless file first.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        let piece = min(limit + 1, 1 << 16)
        while bytes.count <= limit {
            let (next, count) = Self.read(descriptor, piece)
            if count < 0 { return nil }
            if count == 0 { return bytes }
            bytes += next.prefix(count)
        }
        return nil
    }

    private static func read(_ descriptor: Int32, _ most: Int) -> (bytes: [UInt8], count: Int) {
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: most) { buffer, initialized in
            repeat {
                count = Foundation.read(descriptor, buffer.baseAddress, most)
            } while count < 0 && errno == EINTR
            initialized = max(0, count)
        }
        return (bytes, count)
    }
}

extension ProfileFile {
    /// The file that is named here, if the text may name it.
    /// - Throws: `ProfileFileError` where it may not; nothing of the file itself is looked at.
    public func namedFile() throws(ProfileFileError) -> NamedFile {
        let text = try string()
        switch files {
        case .paths(let folder):
            guard !text.isEmpty, !text.utf8.contains(0) else { throw error("expected a path") }
            let path =
                if text.hasPrefix("/") { text } else if text == "~" || text.hasPrefix("~/") {
                    UserDirectories.current.home + text.dropFirst(1)
                } else { folder.isEmpty ? text : folder + (folder.hasSuffix("/") ? "" : "/") + text }
            return NamedFile(path: path, shown: path)
        case .names(let listed):
            guard let path = listed[text] else {
                let known =
                    listed.isEmpty ? "none is" : "those are \(listed.keys.sorted().joined(separator: ", "))"
                throw error(
                    "\(found) is no file that this text may name: only names that the operator has listed under \"files\" in the daemon's configuration, and \(known)"
                )
            }
            return NamedFile(path: path, shown: text)
        }
    }

    /// The file that is named here, which can be read.
    public func readableFile() throws(ProfileFileError) -> NamedFile {
        let file = try namedFile()
        guard access(file.path, R_OK) == 0 else {
            throw error("there is no such readable file: \(file.shown)")
        }
        return file
    }

    /// The folder that is named here.
    public func namedFolder() throws(ProfileFileError) -> NamedFile {
        let file = try namedFile()
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), isFolder.boolValue
        else {
            throw error("there is no folder \(file.shown)")
        }
        return file
    }

    /// The bytes whose hexadecimal digits are in the file that is named here, such as a key. Errors tell nothing of what
    /// is in it.
    public func hexadecimalFile() throws(ProfileFileError) -> [UInt8] {
        let file = try namedFile()
        guard access(file.path, R_OK) == 0 else {
            throw error(
                "expected a readable file of hexadecimal digits; there is no such readable file: \(file.shown)"
            )
        }
        guard let contents = file.contents(limit: 4096),
            let bytes = Hex.bytes(String(decoding: contents, as: UTF8.self).filter { !$0.isWhitespace }),
            !bytes.isEmpty
        else { throw error("expected a readable file of hexadecimal digits: \(file.shown)") }
        return bytes
    }
}
