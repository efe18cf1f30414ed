internal import BERTLV
internal import Foundation
public import ProfileFile

/// How a family of readers is controlled directly: escape commands from a driver file (`Drivers/*.yaml`).
public struct ReaderDriver: Sendable, Equatable {
    /// What can be asked of a reader. Not every family has everything.
    public enum Action: String, Sendable, CaseIterable, Codable {
        case led, buzzer, polling, antenna, firmware, apply, reboot
        /// The reader's own beep when a card comes.
        case cardBeep = "card-beep"
    }

    /// How the answer to a command says that it was done.
    public enum Answer: String, Sendable, CaseIterable {
        /// Nothing comes back.
        case none
        /// A status word of 90xx at the end.
        case statusWord = "status-word"
        /// E1 00 00 00, a length byte and as many bytes.
        case acsEscape = "acs-escape"
        /// D5 and the command code plus one.
        case pn53x
    }

    /// A part of a command.
    public enum Element: Sendable, Equatable {
        case byte(UInt8)
        /// A time in units of so many milliseconds, rounded up, from 1 to 255.
        case duration(unit: Int)
    }

    public struct Command: Sendable, Equatable {
        public var elements: [Element]
        /// Where it is written.
        public var source: String
        /// Nobody has seen it work, or it is taken from a related reader.
        public var isUnconfirmed: Bool
        /// The answer's data is text.
        public var isText: Bool

        /// The command's bytes.
        /// - Parameter milliseconds: for the places that take a time.
        public func bytes(milliseconds: Int = 100) -> [UInt8] {
            elements.map { element in
                switch element {
                case .byte(let byte): byte
                case .duration(let unit):
                    UInt8(
                        clamping: min(255, max(1, (max(0, min(milliseconds, 1_000_000)) + unit - 1) / unit)))
                }
            }
        }
    }

    public var id: String
    public var family: String
    public var source: String
    /// USB vendor and product.
    public var devices: [USBIdentifier]
    /// Parts of the names that pcscd gives such readers.
    public var names: [String]
    /// The reader takes its commands through SCardTransmit as well, with a card in the field.
    public var canTransmit: Bool
    public var answer: Answer
    /// By "ACTION VALUE", or "ACTION" alone where there is no choice.
    public var commands: [String: Command]

    public func command(_ action: Action, _ value: String? = nil) -> Command? {
        commands[value.map { "\(action.rawValue) \($0)" } ?? action.rawValue]
    }

    /// The values that an action can have, such as the LED's colours; empty where there is none or no choice.
    public func values(of action: Action) -> [String] {
        commands.keys.filter { $0.hasPrefix(action.rawValue + " ") }
            .map { String($0.dropFirst(action.rawValue.count + 1)) }.sorted()
    }

    /// What the reader answered, without what only says that all is well.
    /// - Returns: nil where it refused.
    public func data(of answer: [UInt8], to command: [UInt8]) -> [UInt8]? {
        switch self.answer {
        case .none: return answer
        case .statusWord:
            guard answer.count >= 2, answer[answer.count - 2] == 0x90 else {
                // The firmware version of an ACR122U has no status word.
                return answer.count > 2 && answer.allSatisfy { 0x20..<0x7F ~= $0 } ? answer : nil
            }
            return Array(answer.dropLast(2))
        case .acsEscape:
            guard answer.count >= 5, answer.prefix(4) == [0xE1, 0, 0, 0], answer.count == 5 + Int(answer[4])
            else { return nil }
            return Array(answer.dropFirst(5))
        case .pn53x:
            guard answer.count >= 2, answer[0] == 0xD5, command.count >= 2, answer[1] == command[1] &+ 1
            else { return nil }
            return Array(answer.dropFirst(2))
        }
    }

    // MARK: - Files

    /// Reads a driver file.
    /// - Throws: `ProfileFileError` with file and line.
    public init(file: String, text: String) throws(ProfileFileError) {
        let top = try ProfileFile(file: file, text: text).mapping()
        id = try top.required("driver").string()
        family = try top.required("family").string()
        source = try top.required("source").string()
        devices = []
        for place in try top.required("usb").list() {
            guard let device = USBIdentifier(try place.string()) else {
                throw place.error("expected vendor and product such as \"072F:2200\"")
            }
            devices.append(device)
        }
        names = []
        for place in try top.required("names").list() { names.append(try place.string()) }
        canTransmit = try top.optional("transmit")?.bool() ?? false
        answer = try top.required("answer").choice()
        commands = [:]
        for (key, place) in try top.required("commands").mapping().entries() {
            let name = try key.string()
            guard let action = name.split(separator: " ").first, Action(rawValue: String(action)) != nil
            else {
                throw key.error(
                    "expected one of \(Action.allCases.map(\.rawValue).joined(separator: ", ")), perhaps with a value"
                )
            }
            let entry = try place.mapping()
            let bytes = try entry.required("bytes")
            var elements: [Element] = []
            for word in try bytes.string().split(separator: " ") {
                if word.utf8.count == 2, let byte = Hex.bytes(word)?.first {
                    elements.append(.byte(byte))
                } else if word.hasPrefix("ms/"), let unit = Int(word.dropFirst(3)), 1...10000 ~= unit {
                    elements.append(.duration(unit: unit))
                } else {
                    throw bytes.error("\"\(word)\" is neither a byte in hexadecimal nor ms/UNIT")
                }
            }
            guard !elements.isEmpty else { throw bytes.error("a command has at least one byte") }
            commands[name] = Command(
                elements: elements, source: try entry.required("source").string(),
                isUnconfirmed: try entry.optional("unconfirmed")?.bool() ?? false,
                isText: try entry.optional("text")?.bool() ?? false)
            try entry.finish()
        }
        try top.finish()
    }

    /// The drivers that come with Tapbridge.
    public static let all: [ReaderDriver] = files.compactMap { file, bytes in
        // The files are part of the program; a test reads them all.
        try? ReaderDriver(file: file, text: String(decoding: bytes, as: UTF8.self))
    }

    /// The texts of the built-in files.
    package static var texts: [String] { files.map { String(decoding: $0.bytes, as: UTF8.self) } }

    static let files: [(name: String, bytes: [UInt8])] = [
        ("acs-acr122u.yaml", PackageResources.acs_acr122u_yaml),
        ("acs-acr1252.yaml", PackageResources.acs_acr1252_yaml),
        ("acs-acr1552.yaml", PackageResources.acs_acr1552_yaml),
        ("hid-omnikey-5x2x.yaml", PackageResources.hid_omnikey_5x2x_yaml),
        ("identiv-utrust-37xx.yaml", PackageResources.identiv_utrust_37xx_yaml),
        ("scm-scl3711.yaml", PackageResources.scm_scl3711_yaml),
    ]

    /// The driver for a reader: by what its driver tells of its USB numbers, else by its name.
    public static func driver(for reader: String, device: USBIdentifier? = nil) -> ReaderDriver? {
        if let device, let found = all.first(where: { $0.devices.contains(device) }) { return found }
        let name = reader.lowercased()
        return all.first { $0.names.contains { name.contains($0.lowercased()) } }
    }
}

/// Vendor and product of a USB device.
public struct USBIdentifier: Sendable, Hashable, Codable, CustomStringConvertible {
    public var vendor: UInt16
    public var product: UInt16

    public init(vendor: UInt16, product: UInt16) {
        self.vendor = vendor
        self.product = product
    }

    /// Four hexadecimal digits, a colon, and four more.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 4 }),
            let vendor = Hex.bytes(parts[0]), let product = Hex.bytes(parts[1]), vendor.count == 2,
            product.count == 2
        else { return nil }
        self.init(
            vendor: UInt16(vendor[0]) << 8 | UInt16(vendor[1]),
            product: UInt16(product[0]) << 8 | UInt16(product[1]))
    }

    public var description: String {
        String(format: "%04x:%04x", Int(vendor), Int(product))
    }
}
