// One import for a payment with an emulated reader: terminal, kernels, cards, simulator, journal and their values.
@_exported public import AcquirerSimulator
@_exported public import Acquiring
@_exported public import CardReaders
@_exported public import Cards
@_exported public import EMV
@_exported public import Issuing
@_exported public import Journal
@_exported public import Kernels
@_exported public import SmartCard
@_exported public import Terminal
@_exported public import Traces
