public import CardReaders
internal import CPCSC

/// What a reader and its driver tell of themselves. What they do not tell is nil.
public struct PCSCReaderDetails: Sendable, Equatable, Codable {
    public var name: String
    public var interface: ReaderListing.Interface
    public var vendor: String?
    public var model: String?
    /// The driver's version of the reader, major.minor.build.
    public var version: String?
    public var firmware: String?
    public var serialNumber: String?
    public var usb: USBIdentifier?
    /// The most command data it carries: 0 and up to 256 mean short APDUs only (PC/SC part 10, 2.6.14).
    public var maximumDataSize: UInt32?
    /// Longest message of the driver (SCARD_ATTR_MAXINPUT), in bytes.
    public var maximumInput: UInt32?
    /// Features by their names in PC/SC part 10, such as "ccid-escape".
    public var features: [String]
    /// Whether the driver lets escape commands through.
    public var allowsEscape: Bool
    /// The driver file for direct control, such as "acs-acr122u".
    public var driver: String?

    public init(name: String, interface: ReaderListing.Interface) {
        self.name = name
        self.interface = interface
        features = []
        allowsEscape = false
    }

    public var takesExtendedAPDUs: Bool? { maximumDataSize.map { $0 > 256 } }
}

extension PCSCContext {
    /// Asks a reader what it is and can. Needs no card, and leaves alone one that another program uses.
    /// - Parameter name: the full name as `readers()` lists it.
    /// - Throws: `.readerUnavailable`, also while another program holds the reader exclusively.
    public static func details(of name: String) async throws(ReaderError) -> PCSCReaderDetails {
        let interface =
            try await readers().first { $0.name == name }?.interface ?? ReaderListing.interface(of: name)
        return try await direct(name) { handle throws(ReaderError) in
            var details = PCSCReaderDetails(name: name, interface: interface)
            func text(_ attribute: UInt32) -> String? {
                PCSCAttributes.read(handle, attribute).flatMap { PCSCAttributes.text($0) }
            }
            func number(_ attribute: UInt32) -> UInt32? {
                guard let bytes = PCSCAttributes.read(handle, attribute), bytes.count == 4 else { return nil }
                return bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            }
            let features = PCSCFeatures.read(handle)
            let properties = PCSCProperties.read(handle, features)
            details.vendor = text(PCSCAttributes.vendorName)
            details.model = text(PCSCAttributes.vendorIFDType)
            // 0xMMmmbbbb (PC/SC part 3, 3.1.2).
            details.version = number(PCSCAttributes.vendorIFDVersion).map {
                "\($0 >> 24).\($0 >> 16 & 0xFF).\($0 & 0xFFFF)"
            }
            details.serialNumber =
                text(PCSCAttributes.vendorIFDSerialNumber) ?? PCSCReaderName(name).serialNumber
            details.maximumInput = number(PCSCAttributes.maximumInput)
            details.firmware = properties.firmware
            details.maximumDataSize = properties.maximumDataSize
            if let vendor = properties.vendorID, let product = properties.productID {
                details.usb = USBIdentifier(vendor: vendor, product: product)
            }
            details.features = features.controlCodes.keys.sorted().map {
                PCSCFeatures.names[$0] ?? "feature-\(String($0, radix: 16))"
            }
            details.allowsEscape = features.controlCodes[PCSCFeatures.escape] != nil
            details.driver = ReaderDriver.driver(for: name, device: details.usb)?.id
            return details
        }
    }

    /// Sends a reader one of its own commands.
    /// - Parameters:
    ///   - name: the full name as `readers()` lists it.
    ///   - driver: nil finds the one for the reader.
    ///   - milliseconds: for the buzzer.
    /// - Returns: what the reader answered, without what only says that all is well.
    /// - Throws: `.readerUnavailable` with what to do: no driver, no such command, escape commands not allowed;
    ///   `.protocolViolation` where the reader refuses.
    @discardableResult
    public static func control(
        _ name: String, _ action: ReaderDriver.Action, _ value: String? = nil, milliseconds: Int = 100,
        driver: ReaderDriver? = nil
    ) async throws(ReaderError) -> [UInt8] {
        try await direct(name) { handle throws(ReaderError) in
            try control(
                name, handle, action, value, milliseconds: milliseconds, driver: driver,
                transmit: { transmit(name, $0) })
        }
    }

    /// - Parameters:
    ///   - handle: of the reader or of a card in it.
    ///   - transmit: sends a command through the card's channel; nil where there is none.
    static func control(
        _ name: String, _ handle: SCARDHANDLE, _ action: ReaderDriver.Action, _ value: String?,
        milliseconds: Int, driver: ReaderDriver?,
        transmit: ([UInt8]) -> (status: PCSCStatus, bytes: [UInt8])?
    ) throws(ReaderError) -> [UInt8] {
        let features = PCSCFeatures.read(handle)
        let properties = PCSCProperties.read(handle, features)
        var device: USBIdentifier?
        if let vendor = properties.vendorID, let product = properties.productID {
            device = USBIdentifier(vendor: vendor, product: product)
        }
        guard let driver = driver ?? ReaderDriver.driver(for: name, device: device) else {
            throw .readerUnavailable(
                reader: name,
                reason: "there is no driver file for it; families: "
                    + ReaderDriver.all.map(\.family).joined(separator: "; "))
        }
        guard let command = driver.command(action, value) else {
            let values = driver.values(of: action)
            throw .readerUnavailable(
                reader: name,
                reason: values.isEmpty
                    ? "\(driver.family) has no command for \(action.rawValue)"
                    : "\(action.rawValue) can be \(values.joined(separator: ", "))")
        }
        let bytes = command.bytes(milliseconds: milliseconds)
        var sent = PCSCControl.send(
            // SCARD_CTL_CODE(1) is what the CCID driver takes where it does not tell a code.
            handle, code: features.controlCodes[PCSCFeatures.escape] ?? 0x4200_0001, bytes)
        if sent.status != .success, driver.canTransmit { sent = transmit(bytes) ?? sent }
        guard sent.status == .success else {
            if features.controlCodes[PCSCFeatures.escape] == nil {
                throw .readerUnavailable(reader: name, reason: escapeAdvice(driver))
            }
            throw sent.status.error(reader: name)
        }
        guard let data = driver.data(of: sent.bytes, to: bytes) else {
            let answer = sent.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
            throw .protocolViolation(
                "\(name) refuses \(action.rawValue)\(value.map { " \($0)" } ?? ""): "
                    + (answer.isEmpty ? "no answer" : answer.joined(separator: " ")))
        }
        return data
    }

    private static func escapeAdvice(_ driver: ReaderDriver) -> String {
        "the CCID driver lets no escape commands through: set ifdDriverOptions to 0x0001 in /etc/libccid_Info.plist, then systemctl restart pcscd"
            + (driver.canTransmit ? "; or present a card" : "")
    }

    /// Through the card's channel, where a card is there that nobody holds exclusively.
    private static func transmit(_ name: String, _ command: [UInt8]) -> (status: PCSCStatus, bytes: [UInt8])?
    {
        guard let connection = try? PCSCConnection() else { return nil }
        var handle = SCARDHANDLE()
        var active = DWORD()
        let status = PCSCStatus(
            SCardConnect(
                connection.context, name, DWORD(SCARD_SHARE_SHARED),
                DWORD(SCARD_PROTOCOL_T1) | DWORD(SCARD_PROTOCOL_T0), &handle, &active))
        guard status == .success else { return nil }
        defer { SCardDisconnect(handle, DWORD(SCARD_LEAVE_CARD)) }
        return transmit(handle, active, command)
    }

    static func transmit(
        _ handle: SCARDHANDLE, _ active: DWORD, _ command: [UInt8]
    ) -> (status: PCSCStatus, bytes: [UInt8]) {
        var request = SCARD_IO_REQUEST(
            dwProtocol: active, cbPciLength: DWORD(MemoryLayout<SCARD_IO_REQUEST>.size))
        var answer = [UInt8](repeating: 0, count: 264)
        var count = DWORD(answer.count)
        let sent = PCSCStatus(
            SCardTransmit(handle, &request, command, DWORD(command.count), nil, &answer, &count))
        return (sent, sent == .success ? Array(answer.prefix(Int(count))) : [])
    }

    /// Connects to the reader itself, whether or not there is a card.
    static func direct<Value: Sendable>(
        _ name: String, _ body: @escaping @Sendable (SCARDHANDLE) throws(ReaderError) -> Value
    ) async throws(ReaderError) -> Value {
        let thread = BlockingThread(name: "pcsc direct")
        let completion = await thread.perform(deadline: .now + patience) { _ -> Result<Value, ReaderError> in
            do throws(PCSCStatus) {
                let connection = try PCSCConnection()
                var handle = SCARDHANDLE()
                var active = DWORD()
                let status = PCSCStatus(
                    SCardConnect(
                        connection.context, name, DWORD(SCARD_SHARE_DIRECT), 0, &handle, &active))
                guard status == .success else { throw status }
                defer {
                    SCardDisconnect(handle, DWORD(SCARD_LEAVE_CARD))
                    withExtendedLifetime(connection) {}
                }
                return Result { () throws(ReaderError) in try body(handle) }
            } catch {
                return .failure(error.error(reader: name))
            }
        }
        switch completion {
        case .value(let result): return try result.get()
        case .timedOut:
            throw .readerUnavailable(
                reader: name, reason: "it does not answer: unplug it, or systemctl restart pcscd")
        case .cancelled: throw .cancelled
        }
    }
}
