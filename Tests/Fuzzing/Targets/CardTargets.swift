import BERTLV
import Cards
import EMV
import Foundation
import SmartCard

extension FuzzTarget {
    /// Emulated cards take commands from any terminal, and their memory from files.
    static let cards: [FuzzTarget] = [
        FuzzTarget("card-commands", longestInput: 1024, mutations: 4, seeds: { CardCommands.seeds }) {
            try CardCommands.check($0)
        },
        FuzzTarget(
            "card-state", longestInput: 4096, mutations: 4,
            seeds: {
                try CardLibrary.profiles().map { profile in
                    try Array(JSONEncoder().encode(CardState(fresh: profile)))
                }
            }
        ) { input in
            guard let state = try? JSONDecoder().decode(CardState.self, from: Data(input)) else { return }
            let again = try JSONDecoder().decode(CardState.self, from: JSONEncoder().encode(state))
            try hold(again == state, "the memory written and read again differs")
            guard let profile = CardCommands.profiles.first(where: { $0.id == state.profile }),
                let card = try? EmulatedCard(profile: profile, state: state, random: SeededGenerator(seed: 1))
            else { return }
            card.powerOn()
            for command in CardCommands.commands(of: profile) { try CardCommands.send(command, to: card) }
        },
    ]
}

enum CardCommands {
    static let profiles: [CardProfile] = (try? CardLibrary.profiles()) ?? []

    /// The commands of the recorded payments, to each card.
    static var seeds: [[UInt8]] {
        TraceFiles.sessions.map(\.commands).enumerated().flatMap { index, commands in
            [UInt8(index % max(1, profiles.count)), UInt8((index + 7) % max(1, profiles.count))].map {
                [$0, 0] + chunks(commands)
            }
        }
    }

    static func check(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        guard let profile = input.pick(profiles) else {
            throw BrokenProperty(description: "no card profiles")
        }
        let card = try EmulatedCard(profile: profile, random: SeededGenerator(seed: 1))
        if input.byte() & 1 == 0 { card.unlock() }
        card.powerOn()
        while !input.isEmpty {
            let command = input.chunk()
            // An empty chunk: the field goes off for a moment.
            if command.isEmpty {
                card.powerOff()
                card.powerOn()
            } else {
                try send(command, to: card)
            }
        }
        let state = card.state
        let read = try JSONDecoder().decode(CardState.self, from: JSONEncoder().encode(state))
        try hold(read == state, "the card's memory written and read again differs")
        _ = try EmulatedCard(profile: profile, state: read, random: SeededGenerator(seed: 1))
    }

    static func send(_ command: [UInt8], to card: EmulatedCard) throws {
        guard let answer = card.process(command) else { return }
        try hold(answer.count >= 2 && answer.count <= 65_538, "an answer of \(answer.count) bytes")
        let status = StatusWord(sw1: answer[answer.count - 2], sw2: answer[answer.count - 1])
        try hold(status.sw1 >> 4 == 0x6 || status == 0x9000, "status word \(status)")
    }

    /// SELECT of each application, GET PROCESSING OPTIONS, records, GENERATE AC.
    static func commands(of profile: CardProfile) -> [[UInt8]] {
        profile.applications.flatMap { application -> [[UInt8]] in
            let name = application.applicationIdentifier
            return [
                [0x00, 0xA4, 0x04, 0x00, UInt8(name.count)] + name + [0x00],
                [0x80, 0xA8, 0x00, 0x00, 0x02, 0x83, 0x00, 0x00], [0x00, 0xB2, 0x01, 0x0C, 0x00],
                [0x80, 0xAE, 0x80, 0x00, 0x00], [0x80, 0xCA, 0x9F, 0x36, 0x00],
                [0x80, 0xCA, 0x9F, 0x17, 0x00],
            ]
        }
    }
}
