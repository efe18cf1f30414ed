internal import EMV
package import Foundation
package import Issuing
package import Journal
internal import Terminal

/// Tables that several commands print.
package enum Tables {
    package static func transactions(_ records: [TransactionRecord]) -> [[String]] {
        [["ID", "TIME (UTC)", "AMOUNT", "CARD", "APPLICATION", "STATE", "CODE", "STAN"]]
            + records.map { record in
                [
                    record.id, time(record.createdAt),
                    (record.isCredit ? "-" : "")
                        + Money(record.amountTaken, record.currency).description, record.maskedPAN ?? "-",
                    record.applicationLabel ?? "-",
                    record.state.rawValue + (record.isParked ? ", parked" : ""),
                    record.responseCode ?? "-",
                    String(record.stan),
                ]
            }
    }

    package static func time(_ date: Date) -> String {
        date.formatted(.iso8601.dateSeparator(.dash).time(includingFractionalSeconds: false))
            .replacingOccurrences(of: "T", with: " ").replacingOccurrences(of: "Z", with: "")
    }

    /// - Parameter onlyMoved: leaves out accounts on which nothing was booked.
    package static func accounts(_ issuer: IssuerSimulator, onlyMoved: Bool = false) -> [[String]] {
        let accounts = issuer.world.accounts.filter {
            !onlyMoved || issuer.balance($0.id) != Int64(clamping: $0.balance)
        }
        return [["ACCOUNT", "BALANCE", "AVAILABLE"]]
            + accounts.map { account in
                let balance = issuer.balance(account.id) ?? 0
                func money(_ units: UInt64) -> String {
                    Money(Amount(clamping: units), account.currency).description
                }
                return [
                    account.id, (balance < 0 ? "-" : "") + money(balance.magnitude),
                    money(issuer.available(account.id) ?? 0),
                ]
            }
    }
}
