import EMV
import Foundation
import CardReaders
import Terminal
import TestTools
import Testing

@testable import TerminalService

@Suite("Metrics")
struct MetricsTests {
    static func sample() -> ServiceMetrics {
        let metrics = ServiceMetrics()
        metrics.noteRequest(method: "GET", route: "/v1/payments/{id}", status: 200, .milliseconds(3))
        metrics.noteRequest(method: "BREW", route: "none", status: 405, .microseconds(200))
        metrics.noteRejection(.rate)
        metrics.noteReload(succeeded: false)
        metrics.noteLostEvents(12)
        let meter = metrics.meter(readerKind: "emulated", backend: "host \"a\"\\b\nc")
        meter.observe(.response(.init(data: [], status: .init(rawValue: 0x9000)), microseconds: 700))
        meter.observe(.response(.init(data: [], status: .init(rawValue: 0x9000)), microseconds: 30_000_000))
        meter.observe(.readerError(.cardRemoved))
        return metrics
    }

    static var gauges: ServiceMetrics.Gauges {
        var gauges = ServiceMetrics.Gauges()
        gauges.readers = [
            .init(kind: "emulated", state: "ready"): 3, .init(kind: "pcsc", state: "offline"): 1,
        ]
        gauges.terminals = ["idle": 4]
        gauges.backlog = 2
        gauges.journalBytes = 40_960
        return gauges
    }

    @Test("what came too often for its labels counts as other")
    func cardinality() {
        let family = CounterFamily("x", "x", labels: ["a", "b"], limit: 3)
        for number in 0..<100 { family.add(1, "\(number)", "b") }
        #expect(family.value("0", "b") == 1)
        #expect(family.value("other", "other") == 97)
        let histogram = HistogramFamily("y", "y", labels: ["a"], bounds: [1], limit: 2)
        for number in 0..<10 { histogram.observe(0.5, "\(number)") }
        #expect(histogram.count("other") == 8)
    }

    @Test("process figures are this process's")
    func process() {
        let figures = ProcessFigures.now()
        #expect(figures.residentBytes > 1 << 20)
        #expect(figures.threads >= 1)
        #expect(figures.openDescriptors > 2)
        #expect(figures.processorSeconds > 0)
    }

    /// Prometheus' own Python client reads the text.
    @Test(.needs(.oracles))
    func parser() throws {
        let script = """
            import json, sys
            from prometheus_client.parser import text_string_to_metric_families
            families = {}
            for family in text_string_to_metric_families(sys.stdin.read()):
                assert family.documentation, family.name
                families[family.name] = {"type": family.type, "samples": [
                    [s.name, s.labels, s.value] for s in family.samples]}
                if family.type == "histogram":
                    series = {}
                    for s in family.samples:
                        key = tuple(sorted((k, v) for k, v in s.labels.items() if k != "le"))
                        series.setdefault(key, []).append(s)
                    for samples in series.values():
                        buckets = [(float(s.labels["le"]), s.value) for s in samples if s.name.endswith("_bucket")]
                        assert buckets == sorted(buckets), family.name
                        assert [b[1] for b in buckets] == sorted(b[1] for b in buckets), family.name
                        assert buckets[-1][0] == float("inf")
                        count = [s.value for s in samples if s.name.endswith("_count")]
                        assert count == [buckets[-1][1]], family.name
            print(json.dumps(families))
            """
        let text = Self.sample().text(Self.gauges)
        let output = try Oracle.run(script, Data(text.utf8))
        let families = try #require(
            try JSONSerialization.jsonObject(with: output) as? [String: [String: Any]])
        func value(_ family: String, _ sample: String, _ labels: [String: String]) -> Double? {
            let samples = families[family]?["samples"] as? [[Any]] ?? []
            return samples.first { $0[0] as? String == sample && $0[1] as? [String: String] == labels }?[2]
                as? Double
        }
        #expect(
            value(
                "tapbridge_http_requests", "tapbridge_http_requests_total",
                ["method": "GET", "route": "/v1/payments/{id}", "status": "200"]) == 1)
        #expect(
            value(
                "tapbridge_http_requests", "tapbridge_http_requests_total",
                ["method": "other", "route": "none", "status": "405"]) == 1)
        #expect(value("tapbridge_rejected", "tapbridge_rejected_total", ["reason": "rate"]) == 1)
        #expect(value("tapbridge_rejected", "tapbridge_rejected_total", ["reason": "origin"]) == 0)
        #expect(value("tapbridge_readers", "tapbridge_readers", ["kind": "pcsc", "state": "offline"]) == 1)
        #expect(value("tapbridge_backlog", "tapbridge_backlog", [:]) == 2)
        #expect(
            value(
                "tapbridge_apdu_duration_seconds", "tapbridge_apdu_duration_seconds_bucket",
                ["reader": "emulated", "le": "0.001"]) == 1)
        #expect(
            value(
                "tapbridge_apdu_duration_seconds", "tapbridge_apdu_duration_seconds_bucket",
                ["reader": "emulated", "le": "+Inf"]) == 2)
        #expect(
            value(
                "tapbridge_reader_errors", "tapbridge_reader_errors_total",
                ["reader": "emulated", "error": "card_removed"]) == 1)
        #expect(value("process_open_fds", "process_open_fds", [:]).map { $0 > 2 } == true)
        #expect(families["process_cpu_seconds"]?["type"] as? String == "counter")
    }
}
