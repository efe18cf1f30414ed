import Testing

@testable import UserDirectories

@Suite struct UserDirectoriesTests {
    static let cases: [(environment: [String: String], home: String, state: String, configuration: String)] =
        [
            ([:], "/home/db", "/home/db/.local/state/tapbridge", "/home/db/.config/tapbridge"),
            (["HOME": "/h"], "/h", "/h/.local/state/tapbridge", "/h/.config/tapbridge"),
            (
                ["HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"], "/h", "/s/tapbridge",
                "/c/tapbridge"
            ),
            (
                ["HOME": "/h", "XDG_STATE_HOME": "/s", "TAPBRIDGE_STATE": "/t"], "/h", "/t",
                "/h/.config/tapbridge"
            ),
            // Relative and empty paths count for nothing.
            (
                ["HOME": "h", "XDG_STATE_HOME": "s", "TAPBRIDGE_STATE": "", "XDG_CONFIG_HOME": ""],
                "/home/db",
                "/home/db/.local/state/tapbridge", "/home/db/.config/tapbridge"
            ),
        ]

    @Test(arguments: cases.indices) func order(_ index: Int) {
        let each = Self.cases[index]
        let found = UserDirectories(environment: each.environment, database: "/home/db")
        #expect(found.home == each.home)
        #expect(found.state == each.state)
        #expect(found.configuration == each.configuration)
    }
}
