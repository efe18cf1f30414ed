internal import Synchronization

/// The values of a family's labels, in the family's order.
typealias LabelValues = [String]

/// Numbers that only grow, by label values. At most `limit` series: what comes later counts as `other`.
final class CounterFamily: Sendable {
    let name: String
    let help: String
    let labels: [String]
    let limit: Int
    private let values: Mutex<[LabelValues: Double]>

    init(_ name: String, _ help: String, labels: [String] = [], limit: Int = 256) {
        self.name = name
        self.help = help
        self.labels = labels
        self.limit = limit
        values = Mutex(labels.isEmpty ? [[]: 0] : [:])
    }

    func add(_ amount: Double = 1, _ labelValues: String...) { add(amount, values: labelValues) }

    func add(_ amount: Double, values labelValues: LabelValues) {
        values.withLock { values in
            if values[labelValues] != nil || values.count < limit {
                values[labelValues, default: 0] += amount
            } else {
                values[labels.map { _ in "other" }, default: 0] += amount
            }
        }
    }

    func value(_ labelValues: String...) -> Double { values.withLock { $0[labelValues] ?? 0 } }

    func write(to text: inout MetricText) {
        text.family(name, "counter", help)
        for (labelValues, value) in values.withLock({ $0 }).sorted(by: {
            $0.key.lexicographicallyPrecedes($1.key)
        }) {
            text.sample(name, labels, labelValues, value)
        }
    }
}

/// How often values of a size came, by label values: buckets, sum and count. Values are seconds.
final class HistogramFamily: Sendable {
    private struct Series {
        var buckets: [UInt64]
        var sum = 0.0
        var count: UInt64 = 0

        mutating func note(_ value: Double, _ bucket: Int) {
            buckets[bucket] += 1
            sum += value
            count += 1
        }
    }
    let name: String
    let help: String
    let labels: [String]
    /// Upper bounds, rising; infinity is added.
    let bounds: [Double]
    let limit: Int
    private let series: Mutex<[LabelValues: Series]>

    init(_ name: String, _ help: String, labels: [String] = [], bounds: [Double], limit: Int = 64) {
        self.name = name
        self.help = help
        self.labels = labels
        self.bounds = bounds
        self.limit = limit
        series = Mutex([:])
    }

    func observe(_ value: Double, _ labelValues: String...) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        series.withLock { series in
            let key =
                series[labelValues] != nil || series.count < limit ? labelValues : labels.map { _ in "other" }
            series[key, default: Series(buckets: Array(repeating: 0, count: bounds.count + 1))].note(
                value, bucket)
        }
    }

    func count(_ labelValues: String...) -> UInt64 { series.withLock { $0[labelValues]?.count ?? 0 } }

    func write(to text: inout MetricText) {
        text.family(name, "histogram", help)
        for (labelValues, series) in series.withLock({ $0 }).sorted(by: {
            $0.key.lexicographicallyPrecedes($1.key)
        }) {
            var sum: UInt64 = 0
            for (index, count) in series.buckets.enumerated() {
                sum += count
                let bound = index < bounds.count ? MetricText.number(bounds[index]) : "+Inf"
                text.sample(name + "_bucket", labels + ["le"], labelValues + [bound], Double(sum))
            }
            text.sample(name + "_sum", labels, labelValues, series.sum)
            text.sample(name + "_count", labels, labelValues, Double(series.count))
        }
    }
}

/// Prometheus' text format, version 0.0.4.
struct MetricText {
    private(set) var text = ""

    mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n"))\n"
        text += "# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: [String], _ values: [String], _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{"
            for (index, (label, value)) in zip(labels, values).enumerated() {
                if index > 0 { text += "," }
                text += "\(label)=\"\(Self.escaped(value))\""
            }
            text += "}"
        }
        text += " \(Self.number(value))\n"
    }

    /// A family of gauges with all its samples.
    mutating func gauges(
        _ name: String, _ help: String, labels: [String] = [], _ samples: [(LabelValues, Double)]
    ) {
        family(name, "gauge", help)
        for (values, value) in samples { sample(name, labels, values, value) }
    }

    static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    static func number(_ value: Double) -> String {
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value.isNaN { return "NaN" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return "\(value)"
    }
}
