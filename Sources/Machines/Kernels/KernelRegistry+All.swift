extension KernelRegistry {
    /// Every kernel of this library: one line each.
    public static var all: KernelRegistry {
        var registry = KernelRegistry()
        registry.register(2) { MChipKernel($0) }
        registry.register(3) { QVSDCKernel($0) }
        return registry
    }
}
