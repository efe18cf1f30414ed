import TapbridgeKit

let folder = CommandLine.arguments.dropFirst().first ?? "."
let terminal = try await EmulatedTerminal(journal: folder + "/journal.sqlite", pin: "1234")

for name in ["visa-debit", "mc-credit", "apple-pay-visa"] {
    let card = try EmulatedCard(named: name)
    card.unlock()
    let result = try await terminal.pay("12.50 EUR", with: card)
    print(name, result.status.rawValue, result.response?.authorizationCode ?? "offline")
}

for record in try await terminal.journal.list() {
    print(record.id, record.state.rawValue, record.maskedPAN ?? "-")
}
try await terminal.close()
