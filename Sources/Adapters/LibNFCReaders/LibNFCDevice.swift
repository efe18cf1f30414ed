internal import CardReaders
internal import CNFC
internal import CNFCGuard
internal import Glibc
internal import SmartCard
internal import Synchronization

/// libnfc as this process uses it: one context for all devices, never freed, as `nfc_exit` would take the drivers
/// away from under other devices.
enum LibNFCLibrary {
    // Written once, then only read by libnfc.
    private nonisolated(unsafe) static let context: OpaquePointer? = {
        // Messages of the library are for its developers, unless somebody asks for them.
        setenv("LIBNFC_LOG_LEVEL", "0", 0)
        var context: OpaquePointer?
        nfc_init(&context)
        return context
    }()
    /// Opening and listing walk the library's list of drivers and change the environment.
    private static let turn = Mutex<Void>(())

    /// Longest connection string, with its terminating zero.
    static let nameCapacity = MemoryLayout<nfc_connstring>.size

    static func open(_ connectionString: String) -> OpaquePointer? {
        guard let context, connectionString.utf8.count < nameCapacity else { return nil }
        return turn.withLock { _ in
            nonisolated(unsafe) let device = connectionString.withCString { nfc_guard_open(context, $0) }
            return device
        }
    }

    /// Connection strings of the devices found: those of the configuration and those that are safe to look for.
    static func connectionStrings(limit: Int = 32) -> [String] {
        guard let context else { return [] }
        return turn.withLock { _ in
            let buffer = UnsafeMutablePointer<nfc_connstring>.allocate(capacity: limit)
            defer { buffer.deallocate() }
            memset(buffer, 0, limit * nameCapacity)
            let count = nfc_guard_list_devices(context, buffer, limit)
            return (0..<min(Int(count), limit)).map { index in
                withUnsafeBytes(of: &buffer[index]) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
            }
        }
    }

    static var version: String { String(cString: nfc_version()) }
}

/// What a libnfc driver can carry.
struct LibNFCDriver: Sendable, Equatable {
    var name: String
    /// A PN53x that takes single frames; nil where the device only activates cards by itself.
    var frameLimit: Int?

    /// By the connection string's first part.
    init(connectionString: String) {
        name = String(connectionString.prefix { $0 != ":" })
        switch name {
        case "pn53x_usb", "pn532_uart", "pn532_spi", "pn532_i2c", "arygon": frameLimit = 256
        // The chip's commands travel in short APDUs to the reader: 255 bytes with what is around them. ("usb" may turn
        // out to be one of these.)
        // Unconfirmed on the devices: that they let InCommunicateThru frames of this size through.
        case "acr122_usb", "acr122_pcsc", "acr122s", "usb": frameLimit = 128
        default: frameLimit = nil
        }
    }

    /// Whether the serial line of a device exists: libnfc lists those of its configuration in any case. True for
    /// devices without one.
    static func mayBeThere(_ connectionString: String) -> Bool {
        path(connectionString).map { access($0, F_OK) == 0 } ?? true
    }

    /// The file of the serial line, where there is one.
    static func path(_ connectionString: String) -> String? {
        let parts = connectionString.split(separator: ":", maxSplits: 2).map(String.init)
        guard parts.count >= 2, parts[1].hasPrefix("/") else { return nil }
        return parts[1]
    }
}

/// An open device. Its functions block and are called on one thread; only `abort` may be called from anywhere.
// `overseer` may be used from anywhere; everything else is only touched on the reader's thread.
final class LibNFCDevice: FrameLink, @unchecked Sendable {
    let connectionString: String
    let driver: LibNFCDriver
    /// Single frames go through, and are used; else the device activates cards by itself.
    let usesFrames: Bool
    var frameLimit: Int { driver.frameLimit ?? 64 }

    private var device: OpaquePointer?
    private let overseer = CallOverseer()

    /// Of a chip of the PN53x family that activates cards by itself.
    private var identity: ChipIdentity?
    private var modulation: ContactlessActivation.Modulation?
    private var lastBits: UInt8?
    private var waitCode: UInt8?
    private var lastWait: (duration: Duration, code: UInt8) = (.zero, 1)
    /// TxAuto as the device had it, for the bit that forces full modulation.
    private var automaticTransmission: UInt8 = 0x40

    /// The longest information of a frame to or from the chip.
    static let commandLimit = 264
    private let command = UnsafeMutablePointer<UInt8>.allocate(capacity: 512)
    /// Of `NFC_GUARD_BUFFER_SIZE` bytes, 512.
    private let answer = nfc_guard_buffer()

    /// How much longer than the card the host waits for the chip.
    static let margin: Int32 = 350

    init(connectionString: String, isNative: Bool) {
        self.connectionString = connectionString
        driver = LibNFCDriver(connectionString: connectionString)
        usesFrames = driver.frameLimit != nil && !isNative
    }

    deinit {
        close()
        command.deallocate()
        nfc_guard_free_buffer(answer)
    }

    var isOpen: Bool { device != nil }
    var name: String? { device.map { String(cString: nfc_device_get_name($0)) } }

    // MARK: - Opening

    /// Opens the device and makes it a reader, its field off.
    func open() throws(ReaderError) {
        guard device == nil else { return }
        guard Self.hasUsableDescriptors else {
            throw .readerUnavailable(
                reader: connectionString,
                reason: "libnfc works with descriptors below 1024 only, and this process has them all in use")
        }
        guard let opened = LibNFCLibrary.open(connectionString) else {
            throw .readerUnavailable(reader: connectionString, reason: Self.reason(connectionString))
        }
        device = opened
        forget()
        guard nfc_guard_initiator_init(opened) >= 0 else {
            close()
            throw .readerUnavailable(
                reader: connectionString,
                reason: "it was found and does not do what it is told: plug it in again")
        }
        do {
            try setField(false)
            guard usesFrames else {
                try property(NP_INFINITE_SELECT, false)
                if driver.frameLimit != nil {
                    identity = ChipIdentity(try answered([0x02]))
                    if identity == nil { throw LinkFailure.garbled }
                }
                return
            }
            // Checksums are made and checked here, as short frames have none.
            try property(NP_HANDLE_CRC, false)
            try property(NP_EASY_FRAMING, false)
            // Lists and activates at once or not at all (RFConfiguration, item 5).
            try chip([0x32, 0x05, 0x00, 0x00, 0x00])
            let count = try chip([0x06, UInt8(Self.txAuto >> 8), UInt8(truncatingIfNeeded: Self.txAuto)])
            // A PN533 puts its status before the value.
            if count > 0 { automaticTransmission = answer[Int(count) - 1] }
        } catch {
            close()
            throw .readerUnavailable(
                reader: connectionString,
                reason: "it was found and does not do what it is told: plug it in again")
        }
    }

    /// libnfc waits with `select`, which writes outside its memory for descriptors from 1024 on (FD_SETSIZE). A line and
    /// the pipe for aborts take three, and three more while an abort makes a new pipe.
    private static var hasUsableDescriptors: Bool {
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { Glibc.close(descriptor) } }
        for _ in 0..<6 {
            let descriptor = Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return false }
            descriptors.append(descriptor)
            guard descriptor < 1024 else { return false }
        }
        return true
    }

    /// Frees the device. One that is gone costs a second.
    func close() {
        guard let device else { return }
        self.device = nil
        nfc_guard_close(device)
    }

    private func forget() {
        modulation = nil
        lastBits = nil
        waitCode = nil
    }

    /// Why a device could not be opened, and what to do.
    static func reason(_ connectionString: String) -> String {
        let driver = LibNFCDriver(connectionString: connectionString)
        guard let path = LibNFCDriver.path(connectionString) else {
            return connectionString.contains(":")
                ? "libnfc does not find it: plug it in, see that the user may use it, and that the kernel module pn533 is not loaded (modprobe -r pn533_usb pn533 nfc)"
                : "libnfc \(LibNFCLibrary.version) knows no driver \"\(driver.name)\": write it as nfc:pn532_uart:/dev/ttyUSB0"
        }
        if access(path, F_OK) != 0 { return "\(path) is not there: plug it in" }
        if access(path, R_OK | W_OK) != 0 {
            return "no permission for \(path): add the user to the group dialout (usermod -aG dialout NAME)"
        }
        return
            "nothing answers on \(path) as \(driver.name) does, or another program has it open: end that program, or plug it in again"
    }

    // MARK: - Calls

    /// Does a call that `abort` may interrupt: one whose answer's first byte is set before. `nfc_abort_command` clears
    /// the error of a call that fails in the same moment, which then ends well, with no bytes.
    ///
    /// A chip that promises more again and again, and sends none of it, holds libnfc for ever: the call is interrupted
    /// when it has lasted longer than libnfc itself would wait.
    private func interruptible(_ device: OpaquePointer, milliseconds: Int32, _ body: () -> Int32) -> Int32 {
        overseer.begin(device, limit: UInt64(max(0, milliseconds)) * 1_000_000 + 1_000_000_000)
        defer { overseer.end() }
        return body()
    }

    /// Interrupts the running call.
    func abort() { overseer.abort() }

    /// One command of the chip; the answer is in `answer`.
    /// - Returns: its length; negative as libnfc has it.
    @discardableResult
    private func chip(
        count: Int, milliseconds: Int32 = LibNFCDevice.margin
    ) throws(LinkFailure) -> Int32 {
        guard let device else { throw .gone }
        // Without an answer the first byte must not be what was there before.
        answer[0] = 0
        let result = interruptible(device, milliseconds: milliseconds) {
            nfc_guard_pn53x_transceive(device, command, count, answer, Self.commandLimit, milliseconds)
        }
        if let failure = Self.failure(result) { throw failure }
        return result
    }

    @discardableResult
    private func chip(_ bytes: [UInt8]) throws(LinkFailure) -> Int32 {
        for (index, byte) in bytes.enumerated() { command[index] = byte }
        let result = try chip(count: bytes.count)
        guard result >= 0 else { throw .refused("the chip refuses command \(bytes[0])") }
        return result
    }

    private func answered(_ bytes: [UInt8]) throws(LinkFailure) -> [UInt8] {
        let count = try chip(bytes)
        return Array(UnsafeBufferPointer(start: answer, count: Int(count)))
    }

    private func property(_ property: nfc_property, _ value: Bool) throws(LinkFailure) {
        guard let device else { throw .gone }
        let result = nfc_guard_set_property_bool(device, property, value)
        if let failure = Self.failure(result) { throw failure }
        guard result >= 0 else { throw .refused("it does not let us set property \(property.rawValue)") }
    }

    /// What libnfc's error says about the way to the reader; nil for what the card or the chip did.
    static func failure(_ result: Int32) -> LinkFailure? {
        switch result {
        case NFC_EIO, NFC_EOVFLOW, NFC_GUARD_ABORTED: .garbled
        case NFC_ETIMEOUT: .timeout
        case NFC_EOPABORTED: .aborted
        case NFC_ENOTSUCHDEV: .gone
        case NFC_ESOFT: .refused("libnfc has no memory or no descriptors left")
        case NFC_EINVARG: .refused("the chip does not allow it in its present state")
        default: nil
        }
    }

    // MARK: - Frames

    /// Registers of the radio chip (NXP UM0701-02, 8.6.22).
    private static let txMode: UInt16 = 0x6302
    private static let rxMode: UInt16 = 0x6303
    private static let txAuto: UInt16 = 0x6305
    private static let bitFraming: UInt16 = 0x633D
    private static let control: UInt16 = 0x633C

    private func write(_ registers: (UInt16, UInt8)...) throws(LinkFailure) {
        var bytes: [UInt8] = [0x08]
        for (address, value) in registers {
            bytes += [UInt8(truncatingIfNeeded: address >> 8), UInt8(truncatingIfNeeded: address), value]
        }
        try chip(bytes)
    }

    func use(_ new: ContactlessActivation.Modulation) throws(LinkFailure) {
        guard modulation != new else { return }
        modulation = nil
        // 106 kbit/s, no checksum, framing of the type; type B is modulated at 10 %, type A at 100 %.
        // Unconfirmed: that chips on their boards need no other analogue settings for type B than the ones in force.
        let framing: UInt8 = new == .typeA ? 0x00 : 0x03
        try write(
            (Self.txMode, framing), (Self.rxMode, framing),
            (
                Self.txAuto,
                new == .typeA ? automaticTransmission | 0x40 : automaticTransmission & ~0x40
            ))
        modulation = new
    }

    func setField(_ isOn: Bool) throws(LinkFailure) { try property(NP_ACTIVATE_FIELD, isOn) }

    func pause(_ duration: Duration) {
        let parts = duration.components
        guard parts.seconds > 0 || parts.attoseconds > 0 else { return }
        usleep(UInt32(clamping: parts.seconds * 1_000_000 + parts.attoseconds / 1_000_000_000_000))
    }

    /// RFConfiguration's code of a time: 100 us * 2^(n-1), n up to 16: 3.28 s (UM0701-02, 7.3.1, item 2).
    private func timeoutCode(_ wait: Duration) -> UInt8 {
        if wait == lastWait.duration { return lastWait.code }
        let microseconds =
            wait.components.seconds * 1_000_000 + wait.components.attoseconds / 1_000_000_000_000
        var code: UInt8 = 1
        while code < 16, Int64(100) << (code - 1) < microseconds { code += 1 }
        lastWait = (wait, code)
        return code
    }

    func exchange(
        _ frame: [UInt8], lastBits bits: Int, checked: Bool, wait: Duration
    ) throws(LinkFailure) -> FrameAnswer {
        guard let modulation else { throw .refused("no modulation was set") }
        guard !frame.isEmpty, frame.count + (checked ? 2 : 0) <= Self.commandLimit - 2 else {
            throw .refused("a frame of \(frame.count) bytes")
        }
        if lastBits != UInt8(bits) {
            lastBits = nil
            try write((Self.bitFraming, UInt8(bits)))
            lastBits = UInt8(bits)
        }
        let code = timeoutCode(wait)
        if waitCode != code {
            waitCode = nil
            try chip([0x32, 0x02, 0x00, 0x0B, code])
            waitCode = code
        }
        command[0] = 0x42
        var count = 1
        for byte in frame {
            command[count] = byte
            count += 1
        }
        if checked {
            let checksum = FrameChecksum.value(frame, modulation)
            command[count] = UInt8(truncatingIfNeeded: checksum)
            command[count + 1] = UInt8(truncatingIfNeeded: checksum >> 8)
            count += 2
        }
        let result = try chip(
            count: count, milliseconds: Int32((Int64(100) << (code - 1)) / 1000) + Self.margin)
        if result == NFC_ERFTRANS {
            // Error codes of the chip (UM0701-02, 7.1).
            switch answer[0] & 0x3F {
            case 0x01: return .silence
            case 0x06: return .collision
            default: return .damaged
            }
        }
        // A chip whose buffer overflowed, or an answer without status.
        guard result >= 1 else { return .damaged }
        guard checked else {
            let received = Array(UnsafeBufferPointer(start: answer + 1, count: Int(result) - 1))
            return received.isEmpty ? .damaged : .frame(received)
        }
        guard result >= 4 else { return .damaged }
        let body = UnsafeBufferPointer(start: answer + 1, count: Int(result) - 3)
        let checksum = UInt16(answer[Int(result) - 2]) | UInt16(answer[Int(result) - 1]) << 8
        guard FrameChecksum.value(body, modulation) == checksum else { return .damaged }
        return .frame(Array(body))
    }

    /// SENSF_REQ for all systems at 212 kbit/s (InListPassiveTarget, type 01); who answers does not matter.
    func pollTypeF() throws(LinkFailure) {
        // The chip sets its registers for it.
        modulation = nil
        lastBits = nil
        try chip([0x4A, 0x01, 0x01, 0x00, 0xFF, 0xFF, 0x01, 0x00])
    }

    /// `nfc_initiator_transceive_bytes` again and again with the messages in turn, and nothing around it.
    func bareLoop(_ messages: [[UInt8]], count: Int) throws(LinkFailure) -> Duration {
        guard let device else { throw .gone }
        let start = ContinuousClock.now
        for index in 0..<count {
            let message = messages[index % messages.count]
            let result = nfc_initiator_transceive_bytes(
                device, message, message.count, answer, Self.commandLimit, 5000)
            guard result >= 0 else { throw Self.failure(result) ?? .garbled }
        }
        return start.duration(to: .now)
    }

    // MARK: - Cards as the device activates them by itself

    /// Cards of a type, each activated and, but for the last, put to sleep again.
    ///
    /// libnfc copies what a chip says about a card as far as the chip's own lengths lead, on its stack: what chips of the
    /// PN53x family answer is read here. For those, the field is to be off before cards that were listed answer again.
    /// - Parameter limit: 1, or 2 to see whether there are more.
    /// - Throws: `.garbled` where the answer contradicts itself.
    func list(
        _ type: ContactlessActivation.Modulation, limit: UInt8 = 2
    ) throws(LinkFailure) -> [ContactlessActivation] {
        guard let identity else { return try listByLibrary(type, limit: limit) }
        // Type A without an identifier wished for; type B of all application families.
        if type == .typeB, !identity.knowsTypeB { return [] }
        let received: [UInt8]
        do throws(LinkFailure) {
            received = try answered([0x4A, limit] + (type == .typeA ? [0x00] : [0x03, 0x00]))
        } catch {
            // A search without end that ran into our own limit.
            guard error == .timeout else { throw error }
            return []
        }
        do throws(PassiveTargets.Nonsense) {
            return try PassiveTargets(received, type: type, limit: limit, family: identity.family).found
        } catch {
            throw .garbled
        }
    }

    private func listByLibrary(
        _ type: ContactlessActivation.Modulation, limit: UInt8
    ) throws(LinkFailure) -> [ContactlessActivation] {
        guard let device else { throw .gone }
        let modulation = nfc_modulation(nmt: type == .typeA ? NMT_ISO14443A : NMT_ISO14443B, nbr: NBR_106)
        var targets = [nfc_target](repeating: nfc_target(), count: Int(limit))
        let result =
            limit == 1
            ? nfc_guard_select_passive_target(device, modulation, &targets[0])
            : nfc_guard_list_passive_targets(device, modulation, &targets, targets.count)
        if let failure = Self.failure(result), failure != .timeout { throw failure }
        return targets.prefix(Int(max(0, result))).map { Self.activation($0, type) }
    }

    private static func activation(
        _ target: nfc_target, _ type: ContactlessActivation.Modulation
    ) -> ContactlessActivation {
        switch type {
        case .typeA:
            let info = target.nti.nai
            let ats = withUnsafeBytes(of: info.abtAts) { Array($0.prefix(min(Int(info.szAtsLen), 254))) }
            return ContactlessActivation(
                modulation: .typeA,
                identifier: withUnsafeBytes(of: info.abtUid) {
                    Array($0.prefix(min(Int(info.szUidLen), 10)))
                },
                // libnfc keeps the bytes most significant first, and the ATS without its length.
                atqa: [info.abtAtqa.1, info.abtAtqa.0], sak: info.btSak,
                ats: ats.isEmpty ? [] : [UInt8(ats.count + 1)] + ats)
        case .typeB:
            let info = target.nti.nbi
            return ContactlessActivation(
                modulation: .typeB, identifier: withUnsafeBytes(of: info.abtPupi) { Array($0) }, atqa: [],
                sak: 0,
                ats: withUnsafeBytes(of: info.abtApplicationData) { Array($0) }
                    + withUnsafeBytes(of: info.abtProtocolInfo) { Array($0) })
        }
    }

    /// The longest command that libnfc carries without cutting it itself.
    static let exchangeLimit = 262

    /// An APDU through the device's own block protocol.
    /// - Returns: the response's length in `answer`; negative as libnfc has it.
    func exchangeData(_ bytes: [UInt8], milliseconds: Int32) -> Result<[UInt8], LibNFCError> {
        guard let device else { return .failure(LibNFCError(code: NFC_ENOTSUCHDEV)) }
        guard driver.frameLimit != nil else {
            // No call that may be interrupted: libnfc would take the length from an answer that did not come.
            let result = nfc_guard_transceive_bytes(
                device, bytes, bytes.count, answer, Self.commandLimit, milliseconds)
            guard result >= 0 else { return .failure(LibNFCError(code: result)) }
            return .success(Array(UnsafeBufferPointer(start: answer, count: Int(result))))
        }
        // InDataExchange to the one target (NXP UM0701-02, 7.3.8), into the buffer that nothing is written beyond.
        command[0] = 0x40
        command[1] = 0x01
        for (index, byte) in bytes.enumerated() { command[2 + index] = byte }
        answer[0] = 0
        let result = interruptible(device, milliseconds: milliseconds) {
            nfc_guard_pn53x_transceive(
                device, command, bytes.count + 2, answer, Self.commandLimit, milliseconds)
        }
        guard result >= 0 else { return .failure(LibNFCError(code: result)) }
        // Status and data; without a status, as after an interruption, nothing was answered.
        guard result >= 1 else { return .failure(LibNFCError(code: NFC_EIO)) }
        return .success(Array(UnsafeBufferPointer(start: answer + 1, count: Int(result) - 1)))
    }

    /// Presence of the one card that `list` activated; nil where the device cannot tell.
    func isPresent(_ card: ContactlessActivation) -> Bool? {
        guard let device else { return false }
        guard let identity else {
            let result = nfc_guard_target_is_present(device)
            if result >= 0 { return true }
            return result == NFC_EDEVNOTSUPP || result == NFC_ENOTIMPL ? nil : false
        }
        // As libnfc found out by trying (chips/pn53x.c): a PN533 checks by itself (Diagnose 06), on a PN532 an R(NAK) has to
        // do. That one gives type B cards that know CIDs the first.
        let question: [UInt8]
        switch identity.family {
        case .pn531: return nil
        case .pn532:
            let hasIdentifier = card.modulation == .typeB && (card.ats.last ?? 0) & 0x01 != 0
            question = hasIdentifier ? [0x42, 0xBA, 0x01] : [0x42, 0xB2]
        case .pn533: question = [0x00, 0x06]
        }
        // Anything but silence may be a card at the edge of the field.
        for _ in 0..<2 {
            for (index, byte) in question.enumerated() { command[index] = byte }
            // A card that is gone costs the chip some hundred milliseconds.
            guard let result = try? chip(count: question.count, milliseconds: 1000) else { continue }
            if result >= 1 { return true }
            let isSilence = result == NFC_ERFTRANS && answer[0] & 0x3F == 0x01
            if isSilence || result == NFC_ETGRELEASED { return false }
        }
        return false
    }
}

/// Interrupts calls of a device that last too long, or that nobody waits for any more.
private final class CallOverseer: Sendable {
    /// In nanoseconds of the stopwatch's clock.
    private struct Call {
        var device: OpaquePointer
        var number: UInt64
        var began: UInt64
        var due: UInt64
    }
    private struct State {
        // Only handed to nfc_abort_command, while the call that it belongs to lasts.
        nonisolated(unsafe) var call: Call?
        var lastNumber: UInt64 = 0
        /// When the watchdog looks after the calls, which do not set an alarm each; nil where it does not.
        var nextLook: UInt64?
    }
    private let state = Mutex(State())
    private static let second: UInt64 = 1_000_000_000

    /// - Parameter limit: nanoseconds after which the call is interrupted, and again as long as it lasts.
    func begin(_ device: OpaquePointer, limit: UInt64) {
        let now = Stopwatch.now
        let due = now &+ limit
        nonisolated(unsafe) let device = device
        let isFirst = state.withLock { state in
            state.lastNumber += 1
            state.call = Call(device: device, number: state.lastNumber, began: now, due: due)
            if let next = state.nextLook, next <= due { return false }
            state.nextLook = due
            return true
        }
        if isFirst { look(at: due) }
    }

    func end() { state.withLock { $0.call = nil } }

    /// Looks at a time whether the call that runs then is overdue, and again while there are calls.
    private func look(at time: UInt64) {
        Watchdog.shared.arm(nanoseconds: time) { [self] in
            let next: UInt64? = state.withLock { state in
                // An earlier look took this one's place.
                guard state.nextLook == time else { return nil }
                state.nextLook = state.call.map { call in
                    let now = Stopwatch.now
                    guard call.due <= now else { return call.due }
                    nfc_abort_command(call.device)
                    return now &+ 3 * Self.second / 10
                }
                return state.nextLook
            }
            if let next { look(at: next) }
        }
    }

    /// Interrupts the running call. The chip has to have confirmed the command by then: an abort that comes earlier is lost
    /// in libnfc, and costs a descriptor.
    func abort() {
        guard let (number, began) = state.withLock({ $0.call.map { ($0.number, $0.began) } }) else { return }
        interrupt(number, at: began &+ Self.second / 10)
    }

    private func interrupt(_ number: UInt64, at time: UInt64) {
        Watchdog.shared.arm(nanoseconds: time) { [self] in
            let isRunning = state.withLock { state in
                guard let call = state.call, call.number == number else { return false }
                nfc_abort_command(call.device)
                return true
            }
            if isRunning { interrupt(number, at: Stopwatch.now &+ 3 * Self.second / 10) }
        }
    }
}

/// A libnfc error code.
struct LibNFCError: Error, Equatable {
    var code: Int32

    var words: String {
        switch code {
        case NFC_EIO: "input or output error"
        case NFC_EINVARG: "invalid argument"
        case NFC_EDEVNOTSUPP: "not supported by the device"
        case NFC_ENOTSUCHDEV: "no such device"
        case NFC_EOVFLOW: "buffer overflow"
        case NFC_ETIMEOUT: "time-out"
        case NFC_EOPABORTED: "aborted"
        case NFC_ENOTIMPL: "not implemented"
        case NFC_ETGRELEASED: "target released"
        case NFC_ERFTRANS: "error on the air"
        case NFC_ESOFT: "no memory or descriptors"
        case NFC_ECHIP: "error of the chip"
        case NFC_GUARD_ABORTED: "the chip answered nonsense"
        default: "error \(code)"
        }
    }
}
