package balancer

import (
	"slices"

	estats "google.golang.org/grpc/experimental/stats"
)

// recorders passes a hosted balancer's metrics on to all of its members.
type recorders []estats.MetricsRecorder

func (r recorders) each(do func(estats.MetricsRecorder)) {
	for _, m := range r {
		do(m)
	}
}

// recording gives recorders the method that enforces embedding.
type recording struct {
	estats.MetricsRecorder // nil, and no other method is left to it
	recorders
}

func newRecording(to []estats.MetricsRecorder) *recording {
	return &recording{recorders: slices.Clone(to)}
}

// RecordInt64Count implements grpc-go's MetricsRecorder.
func (r *recording) RecordInt64Count(h *estats.Int64CountHandle, n int64, labels ...string) {
	r.each(func(m estats.MetricsRecorder) { m.RecordInt64Count(h, n, labels...) })
}

// RecordFloat64Count implements grpc-go's MetricsRecorder.
func (r *recording) RecordFloat64Count(h *estats.Float64CountHandle, n float64, labels ...string) {
	r.each(func(m estats.MetricsRecorder) { m.RecordFloat64Count(h, n, labels...) })
}

// RecordInt64Histo implements grpc-go's MetricsRecorder.
func (r *recording) RecordInt64Histo(h *estats.Int64HistoHandle, n int64, labels ...string) {
	r.each(func(m estats.MetricsRecorder) { m.RecordInt64Histo(h, n, labels...) })
}

// RecordFloat64Histo implements grpc-go's MetricsRecorder.
func (r *recording) RecordFloat64Histo(h *estats.Float64HistoHandle, n float64, labels ...string) {
	r.each(func(m estats.MetricsRecorder) { m.RecordFloat64Histo(h, n, labels...) })
}

// RecordInt64Gauge implements grpc-go's MetricsRecorder.
func (r *recording) RecordInt64Gauge(h *estats.Int64GaugeHandle, n int64, labels ...string) {
	r.each(func(m estats.MetricsRecorder) { m.RecordInt64Gauge(h, n, labels...) })
}

// RecordInt64UpDownCount implements grpc-go's MetricsRecorder.
func (r *recording) RecordInt64UpDownCount(h *estats.Int64UpDownCountHandle, n int64, labels ...string) {
	r.each(func(m estats.MetricsRecorder) { m.RecordInt64UpDownCount(h, n, labels...) })
}

// RegisterAsyncReporter implements grpc-go's MetricsRecorder.
func (r *recording) RegisterAsyncReporter(a estats.AsyncMetricReporter, of ...estats.AsyncMetric) func() {
	var ends []func()
	r.each(func(m estats.MetricsRecorder) { ends = append(ends, m.RegisterAsyncReporter(a, of...)) })
	return func() {
		for _, end := range ends {
			end()
		}
	}
}
