internal import Foundation
internal import Glibc
internal import Synchronization

/// A real pcscd of our own with vsmartcard's virtual readers, on ports of our own. It leaves a pcscd of the
/// system alone: where the kernel allows, it runs in a mount namespace with a `/run` of its own.
///
/// One at a time in a process: `VirtualPCSC.run` waits for its turn, starts the daemon, and stops it at the
/// end.
public final class VirtualPCSC: Sendable {
    /// Whether what is needed is installed and this user may start it. For `.enabled(if:)`.
    public static let isAvailable: Bool =
        FileManager.default.isExecutableFile(atPath: daemon)
        && FileManager.default.fileExists(atPath: driver)
        && FileManager.default.isExecutableFile(atPath: "/usr/bin/unshare") && canUnshare

    static let daemon = "/usr/sbin/pcscd"
    static let driver = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"

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

    /// The names that the daemon gives the two slots.
    public let readers = ["Virtual PCD 00 00", "Virtual PCD 00 01"]
    /// Where the slots listen.
    public let ports: [UInt16]
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

    private init() throws { ports = try Self.freePorts() }

    /// Runs `body` with a fresh daemon.
    /// - Parameter starts: false leaves the daemon to `start`.
    public static func run(
        starting starts: Bool = true, _ body: @Sendable (VirtualPCSC) async throws -> Void
    ) async throws {
        await turn.take()
        _ = directory
        let service: VirtualPCSC
        do {
            service = try VirtualPCSC()
            if starts { try await service.start() }
        } catch {
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
        let port = String(ports[0], radix: 16, uppercase: true)
        try """
        FRIENDLYNAME "Virtual PCD"
        DEVICENAME /dev/null:0x\(port)
        LIBPATH \(Self.driver)
        CHANNELID 0x\(port)

        """.write(toFile: directory + "/conf/vpcd", atomically: true, encoding: .utf8)
        // The shell ends the daemon when its input ends: when we stop it, and also when we crash.
        let script = """
            mount --bind "$1/run" /run || exit 1
            \(Self.daemon) --foreground --config "$1/conf" >"$1/log" 2>&1 </dev/null &
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
        for _ in 0..<400 {
            if FileManager.default.fileExists(atPath: Self.socketPath(directory)),
                ports.allSatisfy(Self.listens)
            {
                return
            }
            try await Task.sleep(for: .milliseconds(25))
        }
        let log = (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""
        stop()
        throw Failure(description: "pcscd did not start: \(log)")
    }

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

    // MARK: - Ports

    /// Whether somebody listens on the port, found without connecting: the virtual reader would take the
    /// connection for a card.
    private static func listens(_ port: UInt16) -> Bool {
        guard let table = try? String(contentsOfFile: "/proc/net/tcp", encoding: .utf8) else { return true }
        let digits = String(port, radix: 16, uppercase: true)
        let hex = String(repeating: "0", count: 4 - digits.count) + digits
        return table.split(separator: "\n").contains { line in
            let columns = line.split(separator: " ")
            return columns.count > 3 && columns[1].hasSuffix(":" + hex) && columns[3] == "0A"
        }
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
