import FuzzTargets

/// The target under test: set once, before libFuzzer calls back on the same thread.
nonisolated(unsafe) var chosen: FuzzTarget?
