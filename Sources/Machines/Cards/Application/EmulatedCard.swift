import BERTLV
import EMV
public import SmartCard

/// A card or phone in software, made from a profile: it has real keys and certificates of the Test CA, makes
/// real cryptograms, and remembers its counters.
///
/// Not concurrent, as every `VirtualCard`.
public final class EmulatedCard: VirtualCard {
    public let profile: CardProfile
    private let applications: [any CardApplication]
    private let device: DeviceState
    private let directory: [UInt8]
    private enum Selection: Equatable {
        case nothing
        case directory
        case application(Int)
    }
    private var selection = Selection.nothing

    /// A phone's owner unlocks it after it asked to (6986): the next time that it meets a field, it is
    /// unlocked. For demonstrations and tests without a hand on `unlock()`.
    public var ownerUnlocksWhenAsked = false

    /// - Parameters:
    ///   - state: non-volatile memory from earlier; nil is a card fresh from personalisation.
    ///   - random: where the card's unpredictable numbers come from. A seeded generator makes traces
    ///     reproducible.
    /// - Throws: where the profile cannot be personalised, or `state` belongs to another profile.
    public init(
        profile: CardProfile, state: CardState? = nil,
        random: any RandomNumberGenerator = SystemRandomNumberGenerator()
    ) throws(PersonalisationError) {
        guard !profile.applications.isEmpty else { throw .malformed("the profile has no application") }
        if let state, state.profile != profile.id {
            throw .malformed("the state belongs to card \(state.profile), not to \(profile.id)")
        }
        self.profile = profile
        device = DeviceState(phone: profile.phone, random: random)
        device.cardBlocked = state?.cardBlocked ?? false
        device.keysUsed = max(0, state?.keysUsed ?? 0)
        var applications: [any CardApplication] = []
        for application in profile.applications {
            let name = Hex.string(application.applicationIdentifier)
            let kept = state?.applications[name] ?? ApplicationState(fresh: application)
            applications.append(try Self.makeApplication(application, profile.faults, kept))
        }
        self.applications = applications
        directory = Self.directory(applications.map(\.directoryEntry))
    }

    static func makeApplication(
        _ profile: ApplicationProfile, _ faults: CardFaults, _ state: ApplicationState
    ) throws(PersonalisationError) -> any CardApplication {
        switch profile.scheme {
        case .visa: VisaApplication(try Personalisation(profile, faults: faults), state: state)
        case .mastercard: try MChipApplication(try Personalisation(profile, faults: faults), state: state)
        }
    }

    /// The non-volatile memory as it is now.
    public var state: CardState {
        var result = CardState(profile: profile.id)
        result.cardBlocked = device.cardBlocked
        if device.phone?.limitedUseKeys != nil { result.keysUsed = device.keysUsed }
        for application in applications {
            result.applications[Hex.string(application.identifier)] = application.state
        }
        return result
    }

    // MARK: Phone

    /// The owner unlocks the phone (face, finger, code) for the next payment, and its wallet fetches new limited-use keys.
    /// Nothing happens to plastic.
    public func unlock() {
        guard profile.kind == .phone else { return }
        device.unlocked = true
        device.asksToUnlock = false
        device.keysUsed = 0
    }

    /// The owner locks the phone.
    public func lock() { device.unlocked = false }

    public var isUnlocked: Bool { device.unlocked }

    /// The phone asked its owner to unlock it and still waits.
    public var asksToUnlock: Bool { device.asksToUnlock }

    /// The reader tells in its polling that it is a transit gate; until the field goes off.
    public func announceTransitReader() { device.transitReader = true }

    // MARK: VirtualCard

    public var activation: ContactlessActivation { profile.activation }
    public var answerToReset: [UInt8] { profile.activation.answerToReset }

    public func powerOn() {
        resetSelection()
        if ownerUnlocksWhenAsked, device.asksToUnlock { unlock() }
    }

    public func powerOff() {
        resetSelection()
        device.transitReader = false
    }

    private func resetSelection() {
        selection = .nothing
        for application in applications { application.reset() }
    }

    public func process(_ bytes: [UInt8]) -> [UInt8]? {
        guard let command = CardCommand(bytes) else { return [UInt8](.wrongLength) }
        let faults = profile.faults
        if !faults.silent.isEmpty, faults.silent.contains(command.ins) { return nil }
        if !faults.statusWords.isEmpty, let status = faults.statusWords[command.ins] {
            return [UInt8](status)
        }
        let response: [UInt8]
        if command.ins == Instruction.select {
            response = command.cla == 0x00 ? select(command) : [UInt8](.classNotSupported)
        } else if device.cardBlocked {
            response = [UInt8](.functionNotSupported)
        } else if case .application(let index) = selection {
            response = applications[index].process(command, device: device)
        } else {
            response = [UInt8](Self.knows(command.ins) ? .conditionsNotSatisfied : .instructionNotSupported)
        }
        // An Le that is too short is answered with the right one (ISO/IEC 7816-4, 5.6).
        if let expected = command.expectedLength, expected < 256, response.count - 2 > expected {
            return [0x6C, UInt8(truncatingIfNeeded: response.count - 2)]
        }
        return response
    }

    private static func knows(_ instruction: UInt8) -> Bool {
        switch instruction {
        case Instruction.getProcessingOptions, Instruction.readRecord, Instruction.getData,
            Instruction.externalAuthenticate, Instruction.getChallenge, Instruction.applicationBlock,
            Instruction.applicationUnblock, Instruction.cardBlock, Instruction.pinChangeUnblock,
            Instruction.putData, Instruction.updateRecord, Instruction.computeCryptographicChecksum,
            Instruction.generateApplicationCryptogram, Instruction.exchangeRelayResistanceData,
            Instruction.recoverApplicationCryptogram:
            true
        default: false
        }
    }

    // MARK: SELECT

    static let directoryName = Array("2PAY.SYS.DDF01".utf8)

    /// SELECT by DF name, whole or partial, first or next occurrence (EMV Book 1, 11.3 and 12.3.1).
    private func select(_ command: CardCommand) -> [UInt8] {
        guard command.p1 == 0x04, command.p2 == 0x00 || command.p2 == 0x02 else {
            return [UInt8](.incorrectParameters)
        }
        guard (1...16).contains(command.data.count) else { return [UInt8](.wrongLength) }
        // A blocked card answers every SELECT so (EMV Book 1, 11.3.5).
        if device.cardBlocked { return [UInt8](.functionNotSupported) }
        if command.data.elementsEqual(Self.directoryName), command.p2 == 0x00 {
            resetSelection()
            selection = .directory
            return directory
        }
        var start = 0
        if command.p2 == 0x02 {
            guard case .application(let current) = selection else { return [UInt8](.fileNotFound) }
            start = current + 1
        }
        for index in start..<max(start, applications.count)
        where applications[index].identifier.starts(with: command.data) {
            resetSelection()
            selection = .application(index)
            return applications[index].select()
        }
        return [UInt8](.fileNotFound)
    }

    /// FCI of the PPSE (Book B, 3.3.2, Table 3-2).
    private static func directory(_ entries: [[UInt8]]) -> [UInt8] {
        var fci = BERTLVWriter()
        fci.template(0x6F) {
            $0.append(0x84, directoryName)
            $0.template(0xA5) {
                $0.template(0xBF0C) {
                    for entry in entries { $0.append(encoded: entry) }
                }
            }
        }
        return fci.bytes + [0x90, 0x00]
    }
}
