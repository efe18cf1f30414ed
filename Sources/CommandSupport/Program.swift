package import ArgumentParser
internal import Foundation

/// How a program of Tapbridge begins and ends.
package enum Program {
    /// Runs the command that the arguments name.
    ///
    /// Errors of our own end with their exit status; usage errors stay ArgumentParser's.
    package static func run(_ root: (some AsyncParsableCommand).Type) async -> Never {
        ProcessMemory.keepPrivate()
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try root.parseAsRoot()
            if command is any MoneyCommand { Console.outliveReader() }
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Console.printError("\(Console.error.styled("error:", .bold, .red)) \(failure)")
            Foundation.exit(failure.status.rawValue)
        } catch let status as ExitWithStatus {
            Foundation.exit(status.status.rawValue)
        } catch {
            // Help, usage errors, and what some library threw, whose words may be anybody's.
            let code = root.exitCode(for: error)
            let message = root.fullMessage(for: error)
            if !message.isEmpty { code.isSuccess ? Console.print(message) : Console.printError(message) }
            Foundation.exit(code.rawValue)
        }
        Foundation.exit(ExitStatus.success.rawValue)
    }
}
