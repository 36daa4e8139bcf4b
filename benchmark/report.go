package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"
)

// report is the whole run, as -json prints it.
type report struct {
	Subject  string        `json:"subject"`
	Baseline string        `json:"baseline,omitempty"`
	Go       string        `json:"go"`
	Platform string        `json:"platform"`
	CPUs     int           `json:"cpus"`
	Pairs    int           `json:"pairs"`
	Duration time.Duration `json:"duration_ns"`
	Rows     []row         `json:"rows"`

	headed, loadHeaded, idleHeaded, fleetHeaded bool
}

func newReport(s settings, subject, baseline Stack) *report {
	r := &report{
		Subject: subject.Name(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs: runtime.GOMAXPROCS(0), Pairs: s.pairs, Duration: s.duration,
	}
	if baseline != nil {
		r.Baseline = baseline.Name()
	}
	return r
}

func (r *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// printRow prints one line as soon as it is known, under the heading of its
// kind.
func (r *report) printRow(w io.Writer, row row) {
	if !r.headed {
		r.headed = true
		fmt.Fprintf(w, "%s", r.Subject)
		if r.Baseline != "" {
			fmt.Fprintf(w, " against %s", r.Baseline)
		}
		fmt.Fprintf(w, ", %d pairs of %v, %s %s, %d CPUs\n", r.Pairs, r.Duration, r.Go, r.Platform, r.CPUs)
		fmt.Fprintf(w, "ratios: above 1 the first is better\n")
	}
	if row.Error != "" {
		fmt.Fprintf(w, "%-12s | failed: %s\n", row.Workload, row.Error)
		return
	}
	switch {
	case row.Subject.Up > 0:
		r.printFleet(w, row)
	case row.Subject.PerSecond > 0:
		r.printLoad(w, row)
	default:
		r.printIdle(w, row)
	}
}

func (r *report) printLoad(w io.Writer, row row) {
	if !r.loadHeaded {
		r.loadHeaded = true
		fmt.Fprintf(w, "\n%-12s | %-34s | %-34s | %s\n", "", r.Subject, r.Baseline, "ratio")
		cols := fmt.Sprintf("%9s %8s %7s %7s", "ops/s", "cpu us", "allocs", "bytes")
		fmt.Fprintf(w, "%-12s | %s | %s | %-19s %s\n", "workload", cols, cols, "ops/s (min-max)", "  cpu")
	}
	fmt.Fprintf(w, "%-12s | %s |", row.Workload, loadText(&row.Subject))
	if q := row.Ratios; q != nil {
		fmt.Fprintf(w, " %s | %5.2f (%5.2f-%5.2f) %5.2f", loadText(row.Baseline), q.PerSecond, q.PerSecondMin, q.PerSecondMax, q.CPU)
	}
	fmt.Fprintln(w)
}

func (r *report) printIdle(w io.Writer, row row) {
	if !r.idleHeaded {
		r.idleHeaded = true
		cols := fmt.Sprintf("%9s %11s", "bytes", "goroutines")
		fmt.Fprintf(w, "\n%-12s | %-21s | %-21s | %s\n", "", r.Subject, r.Baseline, "ratio")
		fmt.Fprintf(w, "%-12s | %s | %s | %s\n", "idle", cols, cols, "bytes goroutines")
	}
	fmt.Fprintf(w, "%-12s | %9.0f %11.2f |", row.Workload, row.Subject.Bytes, row.Subject.Goroutines)
	if q := row.Ratios; q != nil {
		fmt.Fprintf(w, " %9.0f %11.2f | %5.2f %10.2f", row.Baseline.Bytes, row.Baseline.Goroutines, q.Bytes, q.Goroutines)
	}
	fmt.Fprintln(w)
}

// printFleet prints what a connection of a client holds and how long it takes
// until there are that many.
func (r *report) printFleet(w io.Writer, row row) {
	text := func(f *figures) string {
		return fmt.Sprintf("%9.0f %11.2f %9.1f %9.1f", f.Bytes, f.Goroutines, f.Ready, f.Up)
	}
	if !r.fleetHeaded {
		r.fleetHeaded = true
		cols := fmt.Sprintf("%9s %11s %9s %9s", "bytes", "goroutines", "ready ms", "up ms")
		fmt.Fprintf(w, "\n%-12s | %-41s | %-41s | %s\n", "", r.Subject, r.Baseline, "ratio")
		fmt.Fprintf(w, "%-12s | %s | %s | %s\n", "clients", cols, cols, "bytes goroutines ready    up")
	}
	fmt.Fprintf(w, "%-12s | %s |", row.Workload, text(&row.Subject))
	if q := row.Ratios; q != nil {
		fmt.Fprintf(w, " %s | %5.2f %10.2f %5.2f %5.2f", text(row.Baseline), q.Bytes, q.Goroutines, q.Ready, q.Up)
	}
	fmt.Fprintln(w)
}

func loadText(f *figures) string {
	return fmt.Sprintf("%9.0f %8.2f %7.1f %7.0f", f.PerSecond, f.CPU, f.Allocs, f.Bytes)
}
