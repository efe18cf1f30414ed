internal import EMV
internal import EMVCryptography
internal import Journal
internal import Kernels

/// What kernels keep from one payment to the next, in this program and in the journal.
extension TerminalSession {
    /// What kernels kept before this program was started: Kernel 2's torn transactions.
    func loadKernelMemory() async {
        guard !memoryIsLoaded else { return }
        memoryIsLoaded = true
        for kernel in Set(profile.configuration.combinations.map(\.kernel)) {
            do {
                guard let kept = try await journal.kept(Self.memoryName(kernel), for: profile.terminalID)
                else { continue }
                kernelMemory[kernel] = DataObjects(encoded: kept.bytes.clearBytes)
            } catch {
                environment.observer?(.kernelMemoryFailed("\(error)"))
            }
        }
    }

    func keepKernelMemory(since before: [KernelIdentifier: DataObjects]) async {
        for kernel in Set(kernelMemory.keys).union(before.keys).union(uncleanMemory)
        where kernelMemory[kernel] != before[kernel] || uncleanMemory.contains(kernel) {
            do {
                try await journal.keep(
                    Self.memoryName(kernel), for: profile.terminalID,
                    kernelMemory[kernel].map { SensitiveBytes($0.encoded()) })
                uncleanMemory.remove(kernel)
            } catch {
                // It stays in this program, and is tried again with the next payment.
                uncleanMemory.insert(kernel)
                environment.observer?(.kernelMemoryFailed("\(error)"))
            }
        }
    }

    private static func memoryName(_ kernel: KernelIdentifier) -> String { "kernel-\(kernel)" }

    /// Kernel 2's CLEAN signal before each payment: Torn Records that are too old to be recovered are forgotten (Book C-2,
    /// 3.7.3).
    func cleanKernelMemory(_ inputs: TransactionInputs) {
        guard let memory = kernelMemory[2] else { return }
        let lifetime =
            profile.configuration.combinations.lazy.filter { $0.kernel == 2 }
            .compactMap { $0.kernelData.number(0xDF811C) }.max() ?? 300
        let cleaned = MChipMemory.clean(
            memory, date: inputs.date, hhmmss: inputs.hhmmss, lifetime: Int(clamping: lifetime))
        kernelMemory[2] = cleaned.memory.isEmpty ? nil : cleaned.memory
        if !cleaned.left.isEmpty {
            uncleanMemory.insert(2)
            environment.observer?(.tornRecordsLeft(cleaned.left))
        }
    }
}
