import CommandSupport
import CardReaders
import Foundation
import PCSCReaders

/// Looks at what a terminal needs of the operating system, and says what to type where something is missing. Reads
/// files only; what pcscd says is handed in.
struct Doctor {
    enum State: String, Encodable {
        case ok, note, warning, problem
    }
    struct Finding: Encodable, Equatable {
        /// Which check, such as "pcscd".
        var check: String
        var state: State
        var text: String
        /// What to type, or to do.
        var advice: String?
    }

    /// Where the file system begins; another root for tests.
    var root = "/"
    var isRoot = geteuid() == 0
    /// Names of the groups that the user is in.
    var groups: Set<String> = Doctor.currentGroups()

    private func path(_ path: String) -> String { root == "/" ? path : root + path }
    private func exists(_ file: String) -> Bool { FileManager.default.fileExists(atPath: path(file)) }
    private func list(_ directory: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path(directory))) ?? []).sorted()
    }
    /// The text of a file, also of one in /proc or /sys, which has no length.
    private func text(_ file: String) -> String? {
        guard let stream = fopen(path(file), "r") else { return nil }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count < 1 << 20 {
            let count = fread(&chunk, 1, chunk.count, stream)
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
    private func word(_ file: String) -> String? {
        text(file)?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    static func currentGroups() -> Set<String> {
        var identifiers = [gid_t](repeating: 0, count: 256)
        let count = getgroups(Int32(identifiers.count), &identifiers)
        var names: Set<String> = []
        for identifier in identifiers.prefix(Int(max(0, count))) + [getegid()] {
            if let group = getgrgid(identifier), let name = group.pointee.gr_name {
                names.insert(String(cString: name))
            }
        }
        return names
    }

    // MARK: - Checks

    /// - Parameter service: pcscd's readers, or why it cannot be used.
    func findings(service: Result<[ReaderListing], ReaderError>) -> [Finding] {
        daemon(service) + [ccidDriver(), escape()].compactMap { $0 } + policy(service) + kernelModules()
            + rules()
            + devices() + readers(service)
    }

    private func daemon(_ service: Result<[ReaderListing], ReaderError>) -> [Finding] {
        guard exists("/usr/sbin/pcscd") || exists("/usr/local/sbin/pcscd") else {
            return [
                Finding(
                    check: "pcscd", state: .problem, text: "the PC/SC daemon is not installed",
                    advice: "apt install pcscd libccid")
            ]
        }
        switch service {
        case .success: return [Finding(check: "pcscd", state: .ok, text: "the PC/SC daemon answers")]
        case .failure(let error):
            return [
                Finding(
                    check: "pcscd", state: .problem, text: "\(error)",
                    advice: "systemctl enable --now pcscd.socket && systemctl restart pcscd")
            ]
        }
    }

    private static let bundle = "/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents/Info.plist"

    private func ccidDriver() -> Finding {
        exists(Self.bundle) || exists("/usr/lib/pcsc/drivers/ifd-ccid.bundle")
            ? Finding(
                check: "ccid-driver", state: .ok, text: "the driver for USB readers (CCID) is installed")
            : Finding(
                check: "ccid-driver", state: .problem,
                text: "the driver for USB readers (CCID) is not installed",
                advice: "apt install libccid")
    }

    /// Whether the CCID driver lets escape commands through: bit 0 of ifdDriverOptions.
    private func escape() -> Finding? {
        guard let plist = text("/etc/libccid_Info.plist") ?? text(Self.bundle) else { return nil }
        guard let key = plist.range(of: "<key>ifdDriverOptions</key>"),
            let open = plist.range(of: "<string>", range: key.upperBound..<plist.endIndex),
            let close = plist.range(of: "</string>", range: open.upperBound..<plist.endIndex)
        else { return nil }
        let value = plist[open.upperBound..<close.lowerBound].trimmingCharacters(in: .whitespaces)
        let options = Int(value.lowercased().hasPrefix("0x") ? String(value.dropFirst(2)) : value, radix: 16)
        if let options, options & 1 == 1 {
            return Finding(
                check: "escape", state: .ok, text: "LED, buzzer and antenna of readers can be controlled")
        }
        return Finding(
            check: "escape", state: .note,
            text:
                "the CCID driver lets no escape commands through: LED, buzzer and antenna cannot be controlled",
            advice:
                "sed -i '/ifdDriverOptions/{n;s/0x0000/0x0001/}' /etc/libccid_Info.plist && systemctl restart pcscd"
        )
    }

    /// Whether a service, which is nobody at the console, may use pcscd.
    private func policy(_ service: Result<[ReaderListing], ReaderError>) -> [Finding] {
        let actions = "/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy"
        guard exists(actions) else { return [] }
        let folders = [
            "/etc/polkit-1/rules.d", "/usr/share/polkit-1/rules.d", "/usr/local/share/polkit-1/rules.d",
        ]
        let found = folders.contains { folder in
            list(folder).contains { text(folder + "/" + $0)?.contains("org.debian.pcsc-lite") == true }
        }
        guard !found else {
            return [
                Finding(
                    check: "polkit", state: .ok, text: "a polkit rule lets users without a console use pcscd")
            ]
        }
        var state = State.note
        if case .failure = service, !isRoot { state = .warning }
        return [
            Finding(
                check: "polkit", state: state,
                text:
                    "no polkit rule for pcscd: only root and users at the console may use readers, no service and no SSH login",
                advice:
                    "install packaging/60-tapbridge-pcscd.rules into /etc/polkit-1/rules.d, then usermod -aG plugdev USER"
            )
        ]
    }

    static let modules = ["pn533_usb", "pn533", "nfc"]

    private func kernelModules() -> [Finding] {
        let loaded = Set(
            (text("/proc/modules") ?? "").split(separator: "\n").compactMap {
                $0.split(separator: " ").first.map(String.init)
            })
        var blocked: Set<String> = []
        for folder in ["/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"] {
            for file in list(folder) where file.hasSuffix(".conf") {
                for line in (text(folder + "/" + file) ?? "").split(separator: "\n") {
                    let words = line.split(whereSeparator: \.isWhitespace)
                    if words.count >= 2, words[0] == "blacklist" {
                        blocked.insert(words[1].replacingOccurrences(of: "-", with: "_"))
                    }
                }
            }
        }
        let wanted = Self.modules
        let present = wanted.filter { loaded.contains($0) }
        if !present.isEmpty {
            return [
                Finding(
                    check: "modules", state: .problem,
                    text:
                        "the kernel's NFC modules \(present.joined(separator: ", ")) are loaded: they take PN533 readers away",
                    advice: "install udev/tapbridge-blacklist.conf into /etc/modprobe.d, then modprobe -r "
                        + present.joined(separator: " "))
            ]
        }
        let open = wanted.filter { !blocked.contains($0) }
        guard !open.isEmpty else {
            return [Finding(check: "modules", state: .ok, text: "the kernel's NFC modules keep off")]
        }
        return [
            Finding(
                check: "modules", state: .note,
                text:
                    "the kernel's NFC modules \(open.joined(separator: ", ")) are not kept off: they would take PN533 readers",
                advice: "install udev/tapbridge-blacklist.conf into /etc/modprobe.d")
        ]
    }

    private func rules() -> [Finding] {
        let folders = [
            "/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d",
        ]
        let found = folders.contains { list($0).contains("60-tapbridge-readers.rules") }
        return [
            found
                ? Finding(check: "udev", state: .ok, text: "the rules for contactless readers are installed")
                : Finding(
                    check: "udev", state: .note,
                    text:
                        "the rules for contactless readers are not installed: libnfc's readers may be root's alone",
                    advice:
                        "install udev/60-tapbridge-readers.rules into /etc/udev/rules.d, then udevadm control --reload && udevadm trigger"
                )
        ]
    }

    /// The USB contactless readers, who may use them, and whether the kernel has taken them.
    private func devices() -> [Finding] {
        var found: [Finding] = []
        let folder = "/sys/bus/usb/devices"
        for entry in list(folder) {
            guard let vendor = word("\(folder)/\(entry)/idVendor"),
                let product = word("\(folder)/\(entry)/idProduct"),
                let device = USBIdentifier("\(vendor):\(product)"), let reader = KnownUSBReader.reader(device)
            else { continue }
            let what = "\(reader.name) (\(device), port \(entry))"
            let interfaces = list(folder).filter { $0.hasPrefix(entry + ":") }
            let drivers = interfaces.compactMap { interface in
                (try? FileManager.default.destinationOfSymbolicLink(
                    atPath: path("\(folder)/\(interface)/driver")))
                    .map { URL(fileURLWithPath: $0).lastPathComponent }
            }
            if let taken = drivers.first(where: { $0.hasPrefix("pn533") }) {
                found.append(
                    Finding(
                        check: "device", state: .problem,
                        text: "\(what) is taken by the kernel's driver \(taken)",
                        advice: "modprobe -r pn533_usb pn533 nfc, then unplug the reader and plug it in again"
                    ))
                continue
            }
            if let bus = word("\(folder)/\(entry)/busnum").flatMap({ Int($0) }),
                let number = word("\(folder)/\(entry)/devnum").flatMap({ Int($0) })
            {
                let node = String(format: "/dev/bus/usb/%03d/%03d", bus, number)
                if reader.kind != .ccid, access(path(node), R_OK | W_OK) != 0 {
                    found.append(
                        Finding(
                            check: "device", state: .problem,
                            text: "\(what): this user may not use \(node), which libnfc needs",
                            advice: groups.contains("plugdev")
                                ? "install udev/60-tapbridge-readers.rules into /etc/udev/rules.d, then udevadm control --reload && udevadm trigger"
                                : "usermod -aG plugdev USER, and log in again"))
                    continue
                }
            }
            found.append(Finding(check: "device", state: .ok, text: what))
        }
        for entry in list("/dev") where entry.hasPrefix("ttyUSB") || entry.hasPrefix("ttyACM") {
            let may = access(path("/dev/" + entry), R_OK | W_OK) == 0
            found.append(
                Finding(
                    check: "serial", state: may ? .note : .warning,
                    text: may
                        ? "a PN532 on /dev/\(entry) would be nfc:pn532_uart:/dev/\(entry)"
                        : "this user may not use the serial line /dev/\(entry)",
                    advice: may ? nil : "usermod -aG dialout USER, and log in again"))
        }
        return found
    }

    private func readers(_ service: Result<[ReaderListing], ReaderError>) -> [Finding] {
        guard case .success(let readers) = service else { return [] }
        return readers.map { reader in
            if reader.isExclusivelyUsed {
                return Finding(
                    check: "reader", state: .warning,
                    text: "\(reader.name): another program holds the card in it",
                    advice: "end that program, or use shared mode")
            }
            switch reader.interface {
            case .contactless:
                return Finding(check: "reader", state: .ok, text: "\(reader.name): contactless")
            case .unknown:
                return Finding(
                    check: "reader", state: .ok,
                    text: "\(reader.name): its name does not tell whether it is contactless")
            case .contact, .sam:
                return Finding(
                    check: "reader", state: .note,
                    text: "\(reader.name): no contactless slot; used when named only")
            }
        }
    }
}
