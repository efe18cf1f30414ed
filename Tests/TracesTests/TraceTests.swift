import Testing
import Traces

@Suite struct TraceTests {}
