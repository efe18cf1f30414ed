internal import Foundation
internal import Glibc
internal import Synchronization
public import TestTools

/// A real pcscd of our own with vsmartcard's virtual readers, on ports of our own. It leaves a pcscd of the
/// system alone: where the kernel allows, it runs in a mount namespace with a `/run` of its own.
///
/// One at a time in a process: `VirtualPCSC.run` waits for its turn, starts the daemon, and stops it at the
/// end.
public final class VirtualPCSC: Sendable {
    /// Whether what is needed is installed and this user may start it.
    static let isAvailable: Bool =
        FileManager.default.isExecutableFile(atPath: daemon)
        && FileManager.default.fileExists(atPath: driver)
        && FileManager.default.isExecutableFile(atPath: "/usr/bin/unshare") && canUnshare

    static let daemon = "/usr/sbin/pcscd"
    static let driver = URL(fileURLWithPath: "/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
        .resolvingSymlinksInPath().path

    private static let canUnshare: Bool = {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        process.arguments = unshareOptions + ["true"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }()
    private static let unshareOptions =
        getuid() == 0 ? ["--mount"] : ["--user", "--map-root-user", "--mount"]

    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// One directory per process: libpcsclite looks up the socket's path once and keeps it.
    private static let directory: String = {
        let path = NSTemporaryDirectory() + "/tapbridge-pcsc-\(getpid())"
        setenv("PCSCLITE_CSOCK_NAME", socketPath(path), 1)
        return path
    }()
    private static func socketPath(_ directory: String) -> String { directory + "/run/pcscd/pcscd.comm" }
    private static let turn = AsyncTurn()

    /// The names that the daemon gives the slots: two for each reader.
    public let readers: [String]
    /// Where the slots listen.
    public let ports: [UInt16]
    private let isWrapped: Bool
    /// For child processes: where the daemon's socket is.
    public var environment: [String: String] {
        ProcessInfo.processInfo.environment.merging(
            ["PCSCLITE_CSOCK_NAME": Self.socketPath(Self.directory)]) { $1 }
    }
    private struct Child: Sendable {
        var process: Process?
        var input: Pipe?
    }
    private let child = Mutex(Child())

    private let names: [String]

    private init(names: [String], wrapped: Bool) throws {
        self.names = names
        isWrapped = wrapped
        ports = try names.flatMap { _ in try Self.freePorts() }
        readers = names.flatMap { ["\($0) 00 00", "\($0) 00 01"] }
    }

    /// Runs `body` with a fresh daemon.
    /// - Parameters:
    ///   - starts: false leaves the daemon to `start`.
    ///   - names: a reader of two slots each, named differently; pcscd knows 16 slots.
    ///   - wrapped: the driver has what `ReaderDriver/ifd-wrapper.c` adds; `driverFile` reaches its files.
    public static func run(
        names: [String] = ["Virtual PCD"], wrapped: Bool = false, starting starts: Bool = true,
        _ body: @Sendable (VirtualPCSC) async throws -> Void
    ) async throws {
        await turn.take()
        _ = directory
        let service: VirtualPCSC
        do {
            service = try VirtualPCSC(names: names, wrapped: wrapped)
            if starts { try await service.start() }
        } catch {
            try? FileManager.default.removeItem(atPath: directory)
            await turn.give()
            throw error
        }
        do {
            try await body(service)
        } catch {
            await service.finish()
            throw error
        }
        await service.finish()
    }

    private func finish() async {
        stop()
        try? FileManager.default.removeItem(atPath: Self.directory)
        await Self.turn.give()
    }

    /// Starts the daemon and waits until it listens.
    public func start() async throws {
        let directory = Self.directory
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(
            atPath: directory + "/run/pcscd", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: directory + "/conf", withIntermediateDirectories: true)
        let fresh = try names.enumerated().map { device, name in
            let port = String(ports[2 * device], radix: 16, uppercase: true)
            return """
                FRIENDLYNAME "\(name)"
                DEVICENAME /dev/null:0x\(port)
                LIBPATH \(try driverCopy(device))
                CHANNELID 0x\(port)

                """
        }
        try fresh.joined(separator: "\n").write(
            toFile: directory + "/conf/vpcd", atomically: true, encoding: .utf8)
        // The shell ends the daemon when its input ends: when we stop it, and also when we crash.
        let script = """
            mount --bind "$1/run" /run || exit 1
            \(Self.daemon) --foreground --debug $TAPBRIDGE_PCSCD_OPTIONS --config "$1/conf" >"$1/log" 2>&1 </dev/null &
            daemon=$!
            echo $daemon >"$1/pid"
            read -r _
            kill -KILL $daemon 2>/dev/null
            wait $daemon
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        process.arguments = Self.unshareOptions + ["/bin/sh", "-c", script, "sh", directory]
        let input = Pipe()
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        child.withLock { $0 = Child(process: process, input: input) }
        do {
            try await eventually("pcscd listens") {
                FileManager.default.fileExists(atPath: Self.socketPath(directory))
                    && ports.allSatisfy(Self.listens)
            }
        } catch {
            let log = (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""
            stop()
            throw Failure(description: "pcscd did not start: \(error): \(log)")
        }
    }

    /// A driver of its own for each reader: vsmartcard's keeps its slots in one table per library.
    private func driverCopy(_ device: Int) throws -> String {
        let copy = Self.directory + "/driver\(device).so"
        guard isWrapped else {
            try FileManager.default.copyItem(atPath: Self.driver, toPath: copy)
            return copy
        }
        try FileManager.default.copyItem(atPath: Self.driver, toPath: copy + ".inner")
        try FileManager.default.copyItem(atPath: try Self.wrapper.get(), toPath: copy)
        for (suffix, text) in driverFiles.withLock({ $0[device] ?? [:] }) {
            try text.write(toFile: "\(copy).\(suffix)", atomically: true, encoding: .utf8)
        }
        return copy
    }

    /// Writes a file that the wrapped driver of a reader reads ("properties", "escape", "gone"), or takes it away. It
    /// outlives a restart.
    public func setDriverFile(_ suffix: String, of device: Int = 0, _ text: String?) throws {
        driverFiles.withLock { $0[device, default: [:]][suffix] = text }
        let path = Self.directory + "/driver\(device).so.\(suffix)"
        if let text {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } else {
            try FileManager.default.removeItem(atPath: path)
        }
    }
    /// The escape commands that came to a reader's wrapped driver, in hexadecimal.
    public func escapeCommands(of device: Int = 0) -> [String] {
        let log = try? String(contentsOfFile: Self.directory + "/driver\(device).so.log", encoding: .utf8)
        return (log ?? "").split(separator: "\n").map(String.init)
    }
    private let driverFiles = Mutex<[Int: [String: String]]>([:])

    /// The wrapping driver, built once per process.
    private static let wrapper = Result { () throws -> String in
        let library = NSTemporaryDirectory() + "/tapbridge-ifd-\(getpid()).so"
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("ReaderDriver/ifd-wrapper.c").path
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "cc", "-shared", "-fPIC", "-I/usr/include/PCSC", "-o", library, source, "-ldl",
        ]
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        let text = String(decoding: (try? errors.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: text) }
        atexit { unlink(NSTemporaryDirectory() + "/tapbridge-ifd-\(getpid()).so") }
        return library
    }
    /// Whether `wrapped` can be had: a C compiler and pcsc-lite's headers are there.
    static let canWrap: Bool = isAvailable && (try? wrapper.get()) != nil

    /// Kills the daemon, without any farewell to its clients.
    public func stop() {
        let child = child.withLock { child in
            defer { child = Child() }
            return child
        }
        try? child.input?.fileHandleForWriting.close()
        child.process?.waitUntilExit()
        try? FileManager.default.removeItem(atPath: Self.socketPath(Self.directory))
    }

    /// The daemon's messages.
    public var log: String {
        (try? String(contentsOfFile: Self.directory + "/log", encoding: .utf8)) ?? ""
    }

    /// Waits until the daemon has been asked `count` more times for something than when `before` was read: how a test
    /// knows that a thread is inside the PC/SC library.
    public func asked(_ command: Command, more count: Int = 1, than before: Int) async throws {
        try await eventually("pcscd is asked for \(command)") { self.count(of: command) >= before + count }
    }
    /// How often the daemon was asked for something since it started.
    public func count(of command: Command) -> Int {
        log.split(separator: "\n").count { $0.contains("Received command: \(command.rawValue) ") }
    }
    /// As pcscd's log has them.
    public enum Command: String, Sendable {
        case wait = "CMD_WAIT_READER_STATE_CHANGE"
        case connect = "CONNECT"
    }

    // MARK: - Ports

    /// Whether somebody listens on the port, found without connecting: the virtual reader would take the
    /// connection for a card.
    private static func listens(_ port: UInt16) -> Bool {
        // Line by line: files of /proc have no length, and a busy machine's table is long.
        guard let table = fopen("/proc/net/tcp", "r") else { return true }
        defer { fclose(table) }
        let digits = String(port, radix: 16, uppercase: true)
        let hex = ":" + String(repeating: "0", count: 4 - digits.count) + digits
        var line = [CChar](repeating: 0, count: 512)
        while fgets(&line, Int32(line.count), table) != nil {
            let columns = String(
                decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self
            )
            .split(separator: " ")
            if columns.count > 3, columns[1].hasSuffix(hex), columns[3] == "0A" { return true }
        }
        return false
    }

    private static func freePorts() throws -> [UInt16] {
        for _ in 0..<200 {
            let port = UInt16.random(in: 20000..<30000)
            if isFree(port), isFree(port + 1) { return [port, port + 1] }
        }
        throw Failure(description: "no free TCP ports")
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    // MARK: - Other programs

    /// Runs another program to its end and gives what it wrote.
    public static func output(
        of program: String, _ arguments: [String], environment: [String: String]
    ) async throws -> (text: String, status: Int32) {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: program)
                process.arguments = arguments
                process.environment = environment
                let pipe = Pipe()
                process.standardOutput = pipe
                process.standardError = pipe
                do {
                    try process.run()
                } catch {
                    continuation.resume(throwing: error)
                    return
                }
                let data = (try? pipe.fileHandleForReading.readToEnd()) ?? Data()
                process.waitUntilExit()
                continuation.resume(
                    returning: (String(decoding: data, as: UTF8.self), process.terminationStatus))
            }
        }
    }
}

extension Requirement {
    public static let virtualPCSC = Requirement(
        "pcscd, vsmartcard-vpcd or the right to make a mount namespace is missing",
        isMet: VirtualPCSC.isAvailable)
    /// For `VirtualPCSC.run(wrapped: true)`.
    public static let wrappedDriver = Requirement(
        "pcscd, vsmartcard-vpcd, the right to make a mount namespace, a C compiler or libpcsclite-dev is missing",
        isMet: VirtualPCSC.canWrap)
}

/// One at a time, in order.
private actor AsyncTurn {
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func take() async {
        if !isTaken {
            isTaken = true
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }
    func give() {
        if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
    }
}
