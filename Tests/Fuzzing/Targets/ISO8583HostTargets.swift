import Acquiring
import BERTLV
import EMV
import ISO8583
import ISO8583Backend

extension FuzzTarget {
    /// Messages as host and terminal take them.
    static let iso8583Hosts: [FuzzTarget] = [
        FuzzTarget("iso8583-request", mutations: 12, seeds: { try ISOMessages.seeds() }) {
            try ISOMessages.readRequest($0)
        },
        FuzzTarget("iso8583-response", mutations: 12, seeds: { try ISOMessages.responseSeeds() }) {
            try ISOMessages.readResponse($0)
        },
        FuzzTarget("iso8583-mac", mutations: 6, seeds: { try ISOMessages.seeds().map { [0, 5] + $0 } }) {
            try ISOMessages.authenticate($0)
        },
    ]
}

extension ISOMessages {
    static let interfaces: [HostInterface] = dialects.map { HostInterface(dialect: $0) }

    // MARK: Seeds

    static func request() throws -> AuthorizationRequest {
        guard let euro = NumericCode(978), let germany = NumericCode(276), let date = EMVDate(yymmdd: 261120),
            let amount = Amount(minorUnits: 1500),
            let number = PrimaryAccountNumber(digits: "4761739001010119"),
            let track = Hex.bytes("4761739001010119D31122011143878089000F"),
            let chip = Hex.bytes(
                "8202200084" + "07A0000000031010" + "95050000000000" + "9A03261120" + "9C0100"
                    + "9F0206000000001500"
                    + "9F0306000000000000" + "9F100706010A03A00000" + "9F1A020276" + "9F2608A1B2C3D4E5F60718"
                    + "9F270180"
                    + "9F36020001" + "9F37041A2B3C4D" + "5F2A020978" + "5F340101")
        else { throw BrokenProperty(description: "no request to begin with") }
        return AuthorizationRequest(
            transactionID: "TERM0001-1", terminalID: "TERM0001", merchantID: "MERCHANT0000001",
            merchantName: "Tapbridge Demo Store", merchantCategoryCode: "5812", stan: 1,
            retrievalReference: "632500000001", amount: amount, currency: euro, country: germany,
            transactionType: 0,
            date: date, hhmmss: 223_015, entryMode: .contactlessChip, primaryAccountNumber: number,
            panSequenceNumber: 1,
            expiry: EMVDate(yymmdd: 311231), track2: Track2EquivalentData(track), chipData: chip,
            cvm: .onlinePIN,
            onlinePIN: EncipheredPIN(
                block: [1, 2, 3, 4, 5, 6, 7, 8], keySerialNumber: [UInt8](repeating: 0xFF, count: 10)),
            acceptsPartialApproval: true)
    }

    static func requests(_ interface: HostInterface) throws -> [Message] {
        let builder = MessageBuilder(interface)
        let request = try request()
        return [
            builder.authorization(request), builder.advice(request, .approved),
            builder.advice(request, .declined),
            builder.reversal(
                ReversalRequest(
                    transactionID: request.transactionID, terminalID: request.terminalID, stan: 1,
                    retrievalReference: request.retrievalReference, amount: request.amount,
                    currency: request.currency,
                    reason: .timeout, original: request)),
            builder.adjustment(
                AdjustmentRequest(
                    kind: .tip, transactionID: request.transactionID, terminalID: request.terminalID,
                    merchantID: request.merchantID, stan: 2, retrievalReference: request.retrievalReference,
                    authorizationCode: "123456", approvedAmount: request.amount, amount: request.amount,
                    currency: request.currency, revision: 1, transmission: 1, original: request)),
            builder.reconciliation(
                ReconciliationRequest(
                    terminalID: "TERM0001", merchantID: "M", acquirerID: "1", batch: 1, stan: 2,
                    currency: request.currency,
                    totals: BatchTotals(debits: 2, debitAmount: 3000, credits: 1, creditAmount: 500),
                    isAfterUpload: false, date: request.date, hhmmss: 1)),
            builder.upload(
                BatchItem(
                    terminalID: "TERM0001", batch: 1, index: 1, count: 1, transactionID: "T", stan: 3,
                    retrievalReference: "632500000003", authorizationCode: nil, amount: request.amount,
                    currency: request.currency, transactionType: 0, isOffline: false)),
        ]
    }

    static func seeds() throws -> [[UInt8]] {
        try interfaces.enumerated().flatMap { index, interface in
            // Fields that a dialect does not have, or has otherwise, are left out.
            try requests(interface).compactMap { message in
                (try? interface.dialect.pack(writable(message, in: interface.dialect))).map {
                    [UInt8(index)] + $0
                }
            }
        }
    }

    static func responseSeeds() throws -> [[UInt8]] {
        let request = try request()
        var response = AuthorizationResponse(responseCode: "00", authorizationCode: "123456")
        response.issuerAuthenticationData = [0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0x11, 0x22, 0x30, 0x30]
        response.issuerScripts = [0x72, 0x07, 0x9F, 0x18, 0x04, 0, 0, 0, 1]
        response.availableBalance = AccountBalance(
            amount: request.amount, currency: request.currency, currencyExponent: 2)
        return try interfaces.enumerated().flatMap { index, interface in
            let answers = AnswerBuilder(interface)
            var messages = [
                answers.authorization(to: MessageBuilder(interface).authorization(request), response),
                answers.answer(
                    to: MessageBuilder(interface).authorization(request), code: "51", text: "NO MONEY"),
            ]
            if let last = try requests(interface).dropLast().last {
                messages.append(
                    answers.reconciliation(
                        to: last,
                        .outOfBalance(BatchTotals(debits: 1, debitAmount: 2, credits: 3, creditAmount: 4))))
            }
            return messages.compactMap { message in
                (try? interface.dialect.pack(writable(message, in: interface.dialect))).map {
                    [UInt8(index)] + $0
                }
            }
        }
    }

    /// Without the fields that the dialect cannot write.
    private static func writable(_ message: Message, in dialect: Dialect) -> Message {
        var result = message
        for field in message.fields {
            var one = Message(message.type)
            if let value = message[field] { one.set(field, value) }
            if (try? dialect.pack(one)) == nil { result.remove(field) }
        }
        return result
    }

    // MARK: Host and terminal

    /// The host's side: whatever came, it is refused or answered, and the answer can be written.
    static func readRequest(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let interface = interfaces[input.number(below: interfaces.count)]
        guard let message = try? interface.dialect.unpack(input.remainder()) else { return }
        let answers = AnswerBuilder(interface)
        let request: TerminalRequest?
        do throws(RequestError) { request = try RequestReader(interface).read(message, year: 2026) } catch {
            try hold(
                !error.reason.isEmpty && !CardNumbers.hasRun(error.reason), "refused with \"\(error.reason)\""
            )
            request = nil
        }
        if let request { try passOn(request, through: interface) }
        let answer = answers.answer(to: message, code: "30", text: "FORMAT")
        if interface.dialect[39] != nil { try hold(answer.contains(39), "an answer without a code") }
        _ = try? interface.dialect.pack(answer)
    }

    /// A request that was read goes on to another host of the same kind, and is read there as the same.
    private static func passOn(_ request: TerminalRequest, through interface: HostInterface) throws {
        let builder = MessageBuilder(interface)
        switch request {
        case .authorization(let request):
            let message = builder.authorization(request)
            // A dialect may have no room for what another one brought.
            guard let written = try? interface.dialect.pack(message),
                let unpacked = try? interface.dialect.unpack(written, from: message.header.count),
                case .authorization(let again)? = try? RequestReader(interface).read(unpacked, year: 2026)
            else { return }
            try hold(
                again.amount == request.amount && again.currency == request.currency
                    && again.primaryAccountNumber == request.primaryAccountNumber,
                "an authorization written and read again is another one")
        case .advice(let request, let decision): _ = builder.advice(request, decision)
        case .adjustment(let request): _ = builder.adjustment(request)
        case .reversal(let request): _ = builder.reversal(request)
        case .reconciliation(let request): _ = builder.reconciliation(request)
        case .upload(let item): _ = builder.upload(item)
        case .management: break
        }
    }

    /// The terminal's side: what is approved is this transaction and no more than was asked for.
    static func readResponse(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let interface = interfaces[input.number(below: interfaces.count)]
        guard let message = try? interface.dialect.unpack(input.remainder()) else { return }
        let reader = AnswerReader(interface)
        let sent = SentAuthorization(try request())
        let response: AuthorizationResponse?
        do throws(AcquirerError) { response = try reader.authorization(message, of: sent) } catch {
            response = nil
            try hold(!CardNumbers.hasRun("\(error)"), "an error shows a card number: \(error)")
        }
        if let response, response.isApproved, let part = response.approvedAmount {
            try hold(part < sent.amount && part != .zero, "approved for \(part) of \(sent.amount)")
        }
        _ = try? reader.reconciliation(message)
        try? reader.acknowledgement(message)
    }

    /// A message that was written with its code verifies; with one byte changed, or under another key, it does not.
    static func authenticate(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let way = input.byte()
        let place = Int(input.byte())
        let dialect = dialects[input.number(below: dialects.count)]
        let received = input.remainder()
        let algorithm = MessageMAC.Algorithm.allCases[Int(way) % MessageMAC.Algorithm.allCases.count]
        let mac = try MessageMAC(algorithm, key: [UInt8](1...16))
        let other = try MessageMAC(algorithm, key: [UInt8](2...17))
        guard let message = try? dialect.unpack(received) else { return }
        _ = mac.verifies(message, in: received, dialect)
        guard let written = try? dialect.pack(message, authenticatedBy: { mac.code($0) }) else { return }
        let read = try dialect.unpack(written)
        try hold(mac.verifies(read, in: written, dialect), "a code that was just made does not verify")
        try hold(!other.verifies(read, in: written, dialect), "a code verifies under another key")
        var changed = written
        changed[place % changed.count] ^= 0x01
        if let damaged = try? dialect.unpack(changed) {
            try hold(!mac.verifies(damaged, in: changed, dialect), "a changed message verifies")
        }
    }
}
