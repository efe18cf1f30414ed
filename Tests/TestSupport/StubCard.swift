internal import Glibc
public import SmartCard
internal import Synchronization

/// A card made of a few rules, for tests of what carries APDUs.
public final class StubCard: VirtualCard {
    public var answerToReset: [UInt8]
    public var activation: ContactlessActivation
    /// What it saw, in order.
    public private(set) var log: [String] = []
    public private(set) var commands: [[UInt8]] = []
    private let answer: ([UInt8], Int) -> [UInt8]?

    /// - Parameter answer: gives the response to a command and its number from 0; nil is silence.
    public init(
        activation: ContactlessActivation = ContactlessActivation(),
        answer: @escaping ([UInt8], Int) -> [UInt8]? = { _, _ in [0x90, 0x00] }
    ) {
        self.activation = activation
        answerToReset = activation.answerToReset
        self.answer = answer
    }

    public func powerOn() { log.append("on") }
    public func powerOff() { log.append("off") }
    public func process(_ command: [UInt8]) -> [UInt8]? {
        log.append("command")
        commands.append(command)
        return answer(command, commands.count - 1)
    }

    /// The FCI of a PPSE with one Visa application.
    public static let paymentSystemEnvironment: [UInt8] = [
        0x6F, 0x23, 0x84, 0x0E, 0x32, 0x50, 0x41, 0x59, 0x2E, 0x53, 0x59, 0x53, 0x2E, 0x44, 0x44, 0x46,
        0x30, 0x31, 0xA5, 0x11, 0xBF, 0x0C, 0x0E, 0x61, 0x0C, 0x4F, 0x07, 0xA0, 0x00, 0x00, 0x00, 0x03,
        0x10, 0x10, 0x87, 0x01, 0x01,
    ]
    /// SELECT of the PPSE, with Le.
    public static let selectPaymentSystemEnvironment: [UInt8] =
        [0x00, 0xA4, 0x04, 0x00, 0x0E] + Array("2PAY.SYS.DDF01".utf8) + [0x00]

    /// Knows the PPSE and nothing else.
    public static func paymentSystem() -> StubCard {
        StubCard { command, _ in
            command == selectPaymentSystemEnvironment
                ? paymentSystemEnvironment + [0x90, 0x00] : [0x6D, 0x00]
        }
    }
}
