/// Response codes (field 39) by version of ISO 8583 and class of message, with what a host has otherwise: what each
/// means. The one place that says which codes are approvals.
///
/// A code is looked up whole, as it came. One code means different things in different responses: 400 accepts a
/// reversal and says nothing about a purchase.
///
/// Sources: the code lists of ISO 8583:1987 and of ISO 8583:1993 (action codes) as public documents repeat them, among
/// them SAP's "Action Codes" (POS, taken from the 1993 edition, with the messages of each range) and the lists of
/// processors for 1987. Unconfirmed against the standards' own text: 32 in a purchase's response; 900 and 901 in a
/// reversal's. Not of the standard, but taken: 000 in responses of all classes, from hosts that acknowledge all messages
/// alike.
public struct ResponseCodeTable: Sendable, Equatable {
    public enum Version: Sendable, CaseIterable {
        /// Two letters or digits.
        case v1987
        /// Three digits, the first of which names the class.
        case v1993
    }

    /// What a response answers.
    public enum MessageClass: String, Sendable, CaseIterable {
        /// Requests for authorization, with or without the taking of the amount: 0100, 0200.
        case authorization
        /// What was decided elsewhere: 0120, 0220, 0320.
        case advice
        /// 0400, 0420.
        case reversal
        /// 0500.
        case reconciliation
        /// 0800.
        case networkManagement = "network-management"
    }

    /// What a code is taken for where a host means something of its own by it.
    public enum Replacement: Sendable, Equatable {
        /// Another code, of either version.
        case code(String)
        case meaning(ResponseMeaning)
    }

    /// A host's own codes.
    public struct Overrides: Sendable, Equatable, ExpressibleByDictionaryLiteral {
        private var everywhere: [String: Replacement] = [:]
        private var byClass: [MessageClass: [String: Replacement]] = [:]

        public init() {}
        /// Codes that stand for others, in all classes.
        public init(dictionaryLiteral elements: (String, String)...) {
            for (code, other) in elements { everywhere[code] = .code(other) }
        }

        public var isEmpty: Bool { everywhere.isEmpty && byClass.isEmpty }

        /// - Parameter messageClass: nil for all.
        public subscript(_ code: String, messageClass: MessageClass?) -> Replacement? {
            get {
                if let messageClass, let own = byClass[messageClass]?[code] { return own }
                return everywhere[code]
            }
            set {
                if let messageClass {
                    byClass[messageClass, default: [:]][code] = newValue
                } else {
                    everywhere[code] = newValue
                }
            }
        }
    }

    public var version: Version
    public var overrides: Overrides

    public init(_ version: Version, overrides: Overrides = Overrides()) {
        self.version = version
        self.overrides = overrides
    }

    /// What a code says in the response to a message of this class.
    public func meaning(of code: String, in messageClass: MessageClass) -> ResponseMeaning {
        switch overrides[code, messageClass] {
        case .meaning(let meaning): meaning
        case .code(let other): Self.meaning(of: other, in: messageClass)
        case nil: Self.meaning(of: code, version, messageClass)
        }
    }

    /// A code of either version, which its length tells, as the standard has it.
    public static func meaning(
        of code: String, in messageClass: MessageClass = .authorization
    ) -> ResponseMeaning {
        meaning(of: code, code.utf8.count == 3 ? .v1993 : .v1987, messageClass)
    }

    private static func meaning(
        of code: String, _ version: Version, _ messageClass: MessageClass
    ) -> ResponseMeaning {
        if let row = rows(version)[code] { return row.holds(in: messageClass) ? row.meaning : .invalid }
        switch version {
        case .v1987:
            return code.utf8.count == 2 && code.utf8.allSatisfy(isLetterOrDigit) ? .unknown : .invalid
        case .v1993:
            guard code.utf8.count == 3, code.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                return .invalid
            }
            // What the first digit stands for.
            return switch (code.utf8.first, messageClass) {
            case (UInt8(ascii: "0"), .authorization), (UInt8(ascii: "0"), .advice): .approvedOtherwise
            case (UInt8(ascii: "1"), _), (UInt8(ascii: "2"), _), (UInt8(ascii: "9"), _): .unknown
            case (UInt8(ascii: "3"), .advice), (UInt8(ascii: "4"), .reversal),
                (UInt8(ascii: "5"), .reconciliation), (UInt8(ascii: "8"), .networkManagement):
                .unknown
            default: .invalid
            }
        }
    }

    /// The Authorisation Response Code (tag 8A) that a card is given: cards know the codes of ISO 8583:1987 (EMV Book 4,
    /// Annex A6).
    public func authorisationResponseCode(of code: String) -> String {
        switch overrides[code, .authorization] {
        case .meaning(let meaning): meaning.code
        case .code(let other): Self.authorisationResponseCode(of: other)
        case nil: Self.authorisationResponseCode(of: code)
        }
    }

    public static func authorisationResponseCode(of code: String) -> String {
        guard code.utf8.count != 2 else { return code }
        if let known = rows(.v1993)[code] { return known.code1987 }
        let meaning = meaning(of: code, .v1993, .authorization)
        return switch (meaning, code.utf8.first) {
        case (.unknown, UInt8(ascii: "2")): "04"
        case (.unknown, UInt8(ascii: "9")): "96"
        default: meaning.code
        }
    }

    /// What a code says, in words; nil where no table has it.
    public static func text(_ code: String) -> String? {
        rows(code.utf8.count == 3 ? .v1993 : .v1987)[code]?.text
    }

    /// All codes of a version, in order.
    public static func codes(_ version: Version) -> [String] { rows(version).keys.sorted() }

    /// What a host of this version sends for a code of 1987.
    public func code(for code: String, in messageClass: MessageClass) -> String {
        guard version == .v1993, code.utf8.count == 2 else { return code }
        if code == "00" {
            switch messageClass {
            case .authorization, .advice: return "000"
            case .reversal: return "400"
            case .reconciliation: return "500"
            case .networkManagement: return "800"
            }
        }
        return Self.sent[messageClass]?[code] ?? "100"
    }

    private static let sent: [MessageClass: [String: String]] = {
        var result: [MessageClass: [String: String]] = [:]
        for messageClass in MessageClass.allCases {
            for row in actions.values.sorted(by: { $0.code < $1.code })
            where row.holds(in: messageClass) && result[messageClass]?[row.code1987] == nil {
                result[messageClass, default: [:]][row.code1987] = row.code
            }
        }
        return result
    }()

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}

// MARK: - The tables

extension ResponseCodeTable {
    private struct Row: Sendable {
        let code: String
        /// The nearest code of 1987.
        let code1987: String
        let meaning: ResponseMeaning
        let classes: Set<MessageClass>
        let text: String

        func holds(in messageClass: MessageClass) -> Bool { classes.contains(messageClass) }
    }

    private static func rows(_ version: Version) -> [String: Row] {
        switch version {
        case .v1987: responses
        case .v1993: actions
        }
    }

    /// Reads lines of a code, the nearest code of 1987, its meaning, the classes that it answers by their letters (`*`:
    /// all) and its text. Tests read each back.
    private static func read(_ lines: String) -> [String: Row] {
        let letters: [Character: MessageClass] = [
            "A": .authorization, "V": .advice, "R": .reversal, "C": .reconciliation, "N": .networkManagement,
        ]
        var result: [String: Row] = [:]
        for line in lines.split(separator: "\n") {
            let parts = line.split(separator: "|")
            guard parts.count == 5, let meaning = ResponseMeaning(rawValue: String(parts[2])) else {
                continue
            }
            result[String(parts[0])] = Row(
                code: String(parts[0]), code1987: String(parts[1]), meaning: meaning,
                classes: parts[3] == "*"
                    ? Set(MessageClass.allCases) : Set(parts[3].compactMap { letters[$0] }),
                text: String(parts[4]))
        }
        return result
    }

    /// ISO 8583:1987, response codes.
    private static let responses = read(
        """
        00|00|approved|*|approved
        01|01|referral|*|refer to card issuer
        02|02|referral|*|refer to card issuer
        03|03|declined|*|invalid merchant
        04|04|pick-up|*|pick up card
        05|05|declined|*|do not honour
        06|06|declined|*|error
        07|07|pick-up|*|pick up card, special condition
        08|08|approved-with-identification|AV|honour with identification
        09|09|in-progress|*|request in progress
        10|10|approved-in-part|AV|approved for a partial amount
        11|11|approved|AV|approved (VIP)
        12|12|declined|*|invalid transaction
        13|13|declined|*|invalid amount
        14|14|declined|*|invalid card number
        15|15|declined|*|no such issuer
        16|16|approved|AV|approved, update track 3
        17|17|declined|*|customer cancellation
        18|18|declined|*|customer dispute
        19|19|declined|*|re-enter transaction
        20|20|declined|*|invalid response
        21|21|declined|*|no action taken
        22|22|declined|*|suspected malfunction
        23|23|declined|*|unacceptable transaction fee
        24|24|declined|*|file update not supported
        25|25|not-found|*|unable to locate the record
        26|26|declined|*|duplicate record
        27|27|declined|*|field edit error
        28|28|declined|*|file locked out
        29|29|declined|*|file update not successful
        30|30|format-error|*|format error
        31|31|declined|*|bank not supported by switch
        32|32|approved-in-part|AV|completed partially
        33|33|pick-up|*|expired card, pick up
        34|34|pick-up|*|suspected fraud, pick up
        35|35|pick-up|*|contact acquirer, pick up
        36|36|pick-up|*|restricted card, pick up
        37|37|pick-up|*|call acquirer security, pick up
        38|38|pick-up|*|PIN tries exceeded, pick up
        39|39|declined|*|no credit account
        40|40|declined|*|requested function not supported
        41|41|pick-up|*|lost card, pick up
        42|42|declined|*|no universal account
        43|43|pick-up|*|stolen card, pick up
        44|44|declined|*|no investment account
        51|51|declined|*|not sufficient funds
        52|52|declined|*|no cheque account
        53|53|declined|*|no savings account
        54|54|declined|*|expired card
        55|55|declined|*|incorrect PIN
        56|56|declined|*|no card record
        57|57|declined|*|transaction not permitted to cardholder
        58|58|declined|*|transaction not permitted to terminal
        59|59|declined|*|suspected fraud
        60|60|referral|*|contact acquirer
        61|61|declined|*|exceeds withdrawal amount limit
        62|62|declined|*|restricted card
        63|63|declined|*|security violation
        64|64|declined|*|original amount incorrect
        65|65|declined|*|exceeds withdrawal frequency limit
        66|66|referral|*|call acquirer security
        67|67|pick-up|*|hard capture, pick up
        68|68|try-again|*|response received too late
        75|75|declined|*|allowable number of PIN tries exceeded
        78|78|declined|*|no such account, or not yet activated
        90|90|try-again|*|cutoff is in process
        91|91|try-again|*|issuer or switch inoperative
        92|92|try-again|*|no route to the destination
        93|93|declined|*|violation of law
        94|94|duplicate|*|duplicate transmission
        95|95|out-of-balance|C|reconcile error
        96|96|try-again|*|system malfunction
        """)

    /// ISO 8583:1993, action codes.
    private static let actions = read(
        """
        000|00|approved|*|approved
        001|08|approved-with-identification|AV|honour with identification
        002|10|approved-in-part|AV|approved for a partial amount
        003|11|approved|AV|approved (VIP)
        004|16|approved|AV|approved, update track 3
        005|00|approved|AV|approved, account type specified by card issuer
        006|10|approved-in-part|AV|approved for a partial amount, account type specified by card issuer
        007|00|approved|AV|approved, update ICC
        100|05|declined|*|do not honour
        101|54|declined|*|expired card
        102|59|declined|*|suspected fraud
        103|60|referral|*|contact acquirer
        104|62|declined|*|restricted card
        105|66|referral|*|call acquirer security
        106|75|declined|*|allowable number of PIN tries exceeded
        107|01|referral|*|refer to card issuer
        108|02|referral|*|refer to card issuer, special conditions
        109|03|declined|*|invalid merchant
        110|13|declined|*|invalid amount
        111|14|declined|*|invalid card number
        112|05|declined|*|PIN data required
        113|23|declined|*|unacceptable fee
        114|05|declined|*|no account of type requested
        115|40|declined|*|requested function not supported
        116|51|declined|*|not sufficient funds
        117|55|declined|*|incorrect PIN
        118|56|declined|*|no card record
        119|57|declined|*|transaction not permitted to cardholder
        120|58|declined|*|transaction not permitted to terminal
        121|61|declined|*|exceeds withdrawal amount limit
        122|63|declined|*|security violation
        123|65|declined|*|exceeds withdrawal frequency limit
        124|93|declined|*|violation of law
        125|78|declined|*|card not effective
        126|05|declined|*|invalid PIN block
        127|05|declined|*|PIN length error
        128|05|declined|*|PIN key synchronization error
        129|05|declined|*|suspected counterfeit card
        200|04|pick-up|*|do not honour, pick up
        201|33|pick-up|*|expired card, pick up
        202|34|pick-up|*|suspected fraud, pick up
        203|35|pick-up|*|contact acquirer, pick up
        204|36|pick-up|*|restricted card, pick up
        205|37|pick-up|*|call acquirer security, pick up
        206|38|pick-up|*|PIN tries exceeded, pick up
        207|07|pick-up|*|pick up card, special condition
        208|41|pick-up|*|lost card, pick up
        209|43|pick-up|*|stolen card, pick up
        210|04|pick-up|*|suspected counterfeit card, pick up
        300|00|approved|V|file action successful
        301|24|declined|V|not supported by receiver
        302|25|not-found|V|unable to locate the record
        303|94|duplicate|V|duplicate record, old record replaced
        304|27|declined|V|field edit error
        305|28|declined|V|file locked out
        306|29|declined|V|file action not successful
        307|30|format-error|V|file data format error
        308|26|declined|V|duplicate record, new record rejected
        309|05|declined|V|unknown file
        400|00|approved|R|reversal accepted
        500|00|approved|C|reconciled, in balance
        501|95|out-of-balance|C|reconciled, out of balance
        502|95|out-of-balance|C|amount not reconciled, totals provided
        503|05|declined|C|totals not available
        504|95|out-of-balance|C|not reconciled, totals provided
        800|00|approved|N|network management accepted
        900|00|approved|VR|advice acknowledged, no financial liability accepted
        901|00|approved|VR|advice acknowledged, financial liability accepted
        902|12|declined|*|invalid transaction
        903|19|declined|*|re-enter transaction
        904|30|format-error|*|format error
        905|31|declined|*|acquirer not supported by switch
        906|90|try-again|*|cutover in process
        907|91|try-again|*|issuer or switch inoperative
        908|15|declined|*|no route to the destination
        909|96|try-again|*|system malfunction
        910|91|try-again|*|card issuer signed off
        911|68|try-again|*|card issuer timed out
        912|91|try-again|*|card issuer unavailable
        913|94|duplicate|*|duplicate transmission
        914|25|not-found|*|not able to trace back to original transaction
        915|95|out-of-balance|C|reconciliation cutover or checkpoint error
        916|05|declined|*|MAC incorrect
        917|05|declined|*|MAC key synchronization error
        918|05|declined|*|no communication keys available
        919|05|declined|*|encryption key synchronization error
        920|96|try-again|*|security error, try again
        921|96|declined|*|security error, no action
        922|12|declined|*|message number out of sequence
        923|09|in-progress|*|request in progress
        950|05|declined|*|violation of business arrangement
        """)
}
