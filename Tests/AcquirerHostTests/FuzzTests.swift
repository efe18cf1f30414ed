import AcquirerHost
import AcquirerSimulator
import Acquiring
import EMV
import ISO8583
import ISO8583Backend
import Testing
import TestTools

/// Well-formed messages with any content: read as something, or refused; the host answers them all.
@Suite struct FuzzTests {
    static func spoil(_ message: inout Message, _ random: inout SplitMix) {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let fields = message.fields
            let field =
                random.next() % 4 == 0
                ? Int.random(in: 2...128, using: &random) : fields.randomElement(using: &random) ?? 2
            var value = Array(message[field] ?? [])
            switch random.next() % 6 {
            case 0: message.remove(field)
            case 1:
                value = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            case 2:
                value = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    UInt8.random(in: 0x30...0x39, using: &random)
                }
            case 3:
                if let place = value.indices.randomElement(using: &random) {
                    value[place] = UInt8.random(in: 0...255, using: &random)
                }
            case 4: value = Array(value.prefix(Int.random(in: 0...value.count, using: &random)))
            default: value = Array(repeating: 0x39, count: value.count)
            }
            if random.next() % 6 != 0 { message.set(field, value) }
        }
    }

    @Test(arguments: ["generic-bcd", "generic-93-ascii"]) func requests(dialect: String) async throws {
        let interface = try HostInterface.named(dialect)
        let builder = MessageBuilder(interface)
        let reader = RequestReader(interface)
        let answers = AnswerBuilder(interface)
        let service = HostService(acquirer: SimulatedAcquirer())
        let request = Payment().request
        let messages = [
            builder.authorization(request), builder.advice(request, .approved),
            builder.reversal(Payment().reversal),
            builder.reconciliation(
                ReconciliationRequest(
                    terminalID: "TERM0001", merchantID: "M", acquirerID: "1", batch: 1, stan: 2,
                    currency: euro,
                    totals: BatchTotals(debits: 1, debitAmount: 1500), isAfterUpload: false,
                    date: request.date,
                    hhmmss: 1)),
            builder.upload(
                BatchItem(
                    terminalID: "TERM0001", batch: 1, index: 1, count: 1, transactionID: "T", stan: 3,
                    retrievalReference: "632500000003", authorizationCode: nil, amount: request.amount,
                    currency: euro,
                    transactionType: 0, isOffline: false)),
        ]
        var random = SplitMix(seed: 0x8583)
        var read = 0
        for round in 0..<2500 {
            var message = messages[round % messages.count]
            Self.spoil(&message, &random)
            do throws(RequestError) {
                let request = try reader.read(message, year: 2026)
                read += 1
                let reply = await service.perform(request)
                #expect(reply.responseCode.utf8.count == 2)
            } catch {
                #expect(!error.reason.isEmpty)
            }
            // Whatever came, it can be answered.
            let answer = answers.answer(to: message, code: "30")
            #expect(answer.contains(39))
        }
        #expect(read > 300 && read < 2400)
    }

    @Test func answers() throws {
        let interface = try HostInterface.named("generic-bcd")
        let reader = AnswerReader(interface)
        let request = Payment().request
        let sent = SentAuthorization(request)
        var response = AuthorizationResponse(responseCode: "00", authorizationCode: "123456")
        response.issuerAuthenticationData = bytes("AABBCCDDEEFF11223030")
        response.issuerScripts = bytes("72079F180400000001")
        response.availableBalance = AccountBalance(
            amount: request.amount, currency: euro, currencyExponent: 2)
        let good = AnswerBuilder(interface).authorization(
            to: MessageBuilder(interface).authorization(request), response)
        var random = SplitMix(seed: 0x0210)
        var accepted = 0
        for _ in 0..<3000 {
            var message = good
            Self.spoil(&message, &random)
            do throws(AcquirerError) {
                let read = try reader.authorization(message, of: sent)
                accepted += 1
                // What is approved is this transaction and no more than was asked for.
                if read.isApproved, let part = read.approvedAmount { #expect(part < sent.amount) }
                if read.isApproved {
                    #expect(message.text(37) == nil || message.text(37) == sent.retrievalReference)
                }
            } catch {
                #expect(error.isOutcomeUnknown || Ending.of(error) == .rejected)
            }
            _ = try? reader.reconciliation(message)
            try? reader.acknowledgement(message)
        }
        #expect(accepted > 100 && accepted < 2900)
    }
}
