import Foundation
import TestSupport
import TestTools
import Testing

/// `tapbridge doctor` on file systems made for it, and the readers' files it speaks of.
@Suite struct DoctorTests {
    /// A root directory with these files; a nil text makes a directory.
    static func root(_ files: [String: String?], in program: Program) throws -> String {
        let root = program.state.appendingPathComponent("root").path
        try? FileManager.default.removeItem(atPath: root)
        for (file, text) in files {
            let path = root + file
            if let text {
                try FileManager.default.createDirectory(
                    atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
                try text.write(toFile: path, atomically: true, encoding: .utf8)
            } else {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            }
        }
        return root
    }

    struct Report: Decodable {
        struct Finding: Decodable {
            var check: String
            var state: String
            var text: String
            var advice: String?
        }
        var findings: [Finding]
        var hasReader: Bool
        func state(_ check: String) -> String? { findings.first { $0.check == check }?.state }
        func advice(_ check: String) -> String { findings.first { $0.check == check }?.advice ?? "" }
    }

    func examine(_ files: [String: String?]) async throws -> (Report, Int32) {
        let program = try Program()
        defer { program.remove() }
        let root = try Self.root(files, in: program)
        let result = try await program.run("doctor", "--json", "--root", root)
        return (try JSONDecoder().decode(Report.self, from: Data(result.output.utf8)), result.status)
    }

    static let plist = "/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents/Info.plist"

    @Test func bareMachine() async throws {
        let (report, status) = try await examine(["/etc": nil])
        #expect(status == 2)
        #expect(report.state("pcscd") == "problem" && report.advice("pcscd").contains("apt install pcscd"))
        #expect(report.state("ccid-driver") == "problem")
        #expect(report.state("modules") == "note" && report.state("udev") == "note")
        #expect(!report.hasReader)
    }

    @Test func wellKeptMachine() async throws {
        let (report, _) = try await examine([
            "/usr/sbin/pcscd": "",
            Self.plist: "<key>ifdDriverOptions</key>\n\t<string>0x0001</string>",
            "/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy": "",
            "/usr/share/polkit-1/rules.d/60-tapbridge-pcscd.rules": "org.debian.pcsc-lite.access_pcsc",
            "/etc/modprobe.d/tapbridge-blacklist.conf":
                "blacklist pn533_usb\nblacklist pn533\nblacklist nfc\n",
            "/usr/lib/udev/rules.d/60-tapbridge-readers.rules": "",
            "/proc/modules": "usbhid 1 0 - Live 0x0\n",
        ])
        for check in ["ccid-driver", "escape", "polkit", "modules", "udev"] {
            #expect(report.state(check) == "ok", "\(check)")
        }
    }

    @Test func troubles() async throws {
        let (report, status) = try await examine([
            "/usr/sbin/pcscd": "",
            Self.plist: "<key>ifdDriverOptions</key>\n\t<string>0x0000</string>",
            "/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy": "",
            "/proc/modules":
                "pn533_usb 16384 0 - Live 0x0\npn533 49152 1 pn533_usb, Live 0x0\nnfc 131072 1 pn533, Live 0x0\n",
            "/sys/bus/usb/devices/1-2/idVendor": "04e6\n", "/sys/bus/usb/devices/1-2/idProduct": "5591\n",
            "/sys/bus/usb/devices/1-2/busnum": "1\n", "/sys/bus/usb/devices/1-2/devnum": "7\n",
            "/sys/bus/usb/devices/1-3/idVendor": "072f\n", "/sys/bus/usb/devices/1-3/idProduct": "223b\n",
            "/sys/bus/usb/devices/1-4/idVendor": "1d6b\n", "/sys/bus/usb/devices/1-4/idProduct": "0002\n",
        ])
        #expect(status == 2)
        #expect(report.state("pcscd") == "problem" && report.advice("pcscd").contains("systemctl"))
        #expect(report.state("escape") == "note" && report.advice("escape").contains("libccid_Info.plist"))
        #expect(report.state("polkit") != "ok" && report.advice("polkit").contains("usermod"))
        #expect(
            report.state("modules") == "problem" && report.advice("modules").contains("modprobe -r pn533_usb")
        )
        // The stick's device node is not there: it cannot be used. The CCID reader is pcscd's affair.
        let devices = report.findings.filter { $0.check == "device" }
        #expect(devices.map(\.state) == ["problem", "ok"])
        #expect(devices[0].text.contains("SCL3711") && devices[0].text.contains("/dev/bus/usb/001/007"))
        #expect(devices[1].text.contains("ACR1252"))
    }

    /// Odd files end in a report, not in a crash.
    @Test func nonsense() async throws {
        let (report, _) = try await examine([
            Self.plist: "<key>ifdDriverOptions</key><string>", "/proc/modules": "\n \n\u{0}",
            "/sys/bus/usb/devices/1-2/idVendor": "zz\n", "/sys/bus/usb/devices/1-2/idProduct": "",
            "/etc/modprobe.d/x.conf": "blacklist\n\nblacklist  pn533\n", "/dev/ttyUSB0": "",
        ])
        #expect(report.findings.contains { $0.check == "serial" })
    }
}

/// The files for the operating system.
@Suite struct OperatingSystemFilesTests {
    static let rules = Program.folder.appendingPathComponent("udev/60-tapbridge-readers.rules")

    /// Each line of the rules is of the forms that udev(7) knows, with jumps to labels that there are.
    @Test func rulesAreWellFormed() throws {
        let text = try String(contentsOf: Self.rules, encoding: .utf8)
        let term =
            #/^(ACTION|SUBSYSTEM|ENV\{[A-Z_]+\}|ATTR\{[a-zA-Z]+\}|TAG|GROUP|MODE|SYMLINK|OPTIONS|GOTO|LABEL)(==|!=|\+=|=)"[^"]*"$/#
        var labels: Set<Substring> = []
        var jumps: Set<Substring> = []
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            for part in line.split(separator: ", ") {
                #expect(part.wholeMatch(of: term) != nil, "\(line)")
                if part.hasPrefix("GOTO=") { jumps.insert(part.dropFirst(5)) }
                if part.hasPrefix("LABEL=") { labels.insert(part.dropFirst(6)) }
            }
        }
        #expect(jumps == labels)
    }

    @Test(.needs(.udevadmVerify)) func udevadmVerifies() async throws {
        let result = try await VirtualPCSC.output(
            of: "/usr/bin/udevadm", ["verify", Self.rules.path],
            environment: ["PATH": "/usr/bin:/bin:/sbin", "LC_ALL": "C"])
        #expect(result.status == 0, "\(result.text)")
    }
}

extension Requirement {
    fileprivate static let udevadmVerify = Requirement(
        "udevadm verify came with systemd 254, and this is an older one or none", isMet: systemdVersion >= 254
    )

    /// What `udevadm --version` says; 0 where there is none.
    private static let systemdVersion: Int = {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/udevadm")
        process.arguments = ["--version"]
        let output = Pipe()
        process.standardOutput = output
        guard (try? process.run()) != nil else { return 0 }
        let text = (try? output.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        return Int(String(decoding: text, as: UTF8.self).prefix { $0.isNumber }) ?? 0
    }()
}
