import Foundation
import Testing

@testable import TerminalService

/// RFC 9457, section 3.1: the members of a problem and their types.
@Test func problemHasTheMembersOfTheStandard() throws {
    let problem = Problem(
        .terminalBusy, status: 409, title: "Another payment is under way", detail: "till-1", retryable: true)
    let data = try JSONEncoder().encode(problem)
    let members = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(members["type"] as? String == "/problems#terminal_busy")
    #expect(members["title"] as? String == "Another payment is under way")
    #expect(members["status"] as? Int == 409)
    #expect(members["detail"] as? String == "till-1")
    #expect(members["code"] as? String == "terminal_busy")
    #expect(members["retryable"] as? Bool == true)
}
