import CommandSupport

/// The demonstration as a program of its own: no daemon, no HTTP, no reader's library, so that a newcomer sees it soon.
@main
enum TapbridgeDemo {
    static func main() async { await Program.run(DemoCommand.self) }
}
