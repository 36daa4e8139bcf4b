package main

import "slices"

// row is one workload's result: medians, and the ratios of the pairs. Every
// ratio is above one where the subject is the better.
type row struct {
	Workload string   `json:"workload"`
	Subject  figures  `json:"subject"`
	Baseline *figures `json:"baseline,omitempty"`
	Ratios   *ratios  `json:"ratios,omitempty"`
	// Error is why there are no figures: a run that failed half-way is not
	// averaged from its better half.
	Error string `json:"error,omitempty"`
}

// ratios are medians over the pairs, with the extremes of the first.
type ratios struct {
	PerSecond    float64 `json:"per_second,omitempty"`
	PerSecondMin float64 `json:"per_second_min,omitempty"`
	PerSecondMax float64 `json:"per_second_max,omitempty"`
	CPU          float64 `json:"cpu,omitempty"`
	Allocs       float64 `json:"allocs,omitempty"`
	Bytes        float64 `json:"bytes"`
	Goroutines   float64 `json:"goroutines,omitempty"`
	Ready        float64 `json:"ready,omitempty"`
	Up           float64 `json:"up,omitempty"`
}

// compare runs the pairs of one workload. The baseline of a mixed workload is
// the baseline at both ends.
func compare(s settings, w workload, subject, baseline Stack) (row, error) {
	r := row{Workload: w.name}
	other := baseline
	if other == nil {
		other = subject
	}
	var ours, theirs []figures
	for i := range s.pairs {
		measureSubject := func() error {
			server, client := w.ends(subject, other)
			f, err := measure(s, w, server, client)
			ours = append(ours, f)
			return err
		}
		measureBaseline := func() error {
			f, err := measure(s, w, baseline, baseline)
			theirs = append(theirs, f)
			return err
		}
		turns := []func() error{measureSubject}
		if baseline != nil {
			turns = append(turns, measureBaseline)
		}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return r, err
			}
		}
	}
	r.Subject = medianFigures(ours)
	if baseline != nil {
		m := medianFigures(theirs)
		r.Baseline, r.Ratios = &m, pairRatios(ours, theirs)
	}
	return r, nil
}

func medianFigures(fs []figures) figures {
	return figures{
		PerSecond:  median(column(fs, func(f figures) float64 { return f.PerSecond })),
		CPU:        median(column(fs, func(f figures) float64 { return f.CPU })),
		Allocs:     median(column(fs, func(f figures) float64 { return f.Allocs })),
		Bytes:      median(column(fs, func(f figures) float64 { return f.Bytes })),
		Goroutines: median(column(fs, func(f figures) float64 { return f.Goroutines })),
		Ready:      median(column(fs, func(f figures) float64 { return f.Ready })),
		Up:         median(column(fs, func(f figures) float64 { return f.Up })),
	}
}

func pairRatios(ours, theirs []figures) *ratios {
	more := func(get func(figures) float64) []float64 { // more is better
		return quotients(column(ours, get), column(theirs, get))
	}
	less := func(get func(figures) float64) []float64 {
		return quotients(column(theirs, get), column(ours, get))
	}
	speed := more(func(f figures) float64 { return f.PerSecond })
	return &ratios{
		PerSecond: median(speed), PerSecondMin: slices.Min(speed), PerSecondMax: slices.Max(speed),
		CPU:        median(less(func(f figures) float64 { return f.CPU })),
		Allocs:     median(less(func(f figures) float64 { return f.Allocs })),
		Bytes:      median(less(func(f figures) float64 { return f.Bytes })),
		Goroutines: median(less(func(f figures) float64 { return f.Goroutines })),
		Ready:      median(less(func(f figures) float64 { return f.Ready })),
		Up:         median(less(func(f figures) float64 { return f.Up })),
	}
}

func column(fs []figures, get func(figures) float64) []float64 {
	c := make([]float64, len(fs))
	for i, f := range fs {
		c[i] = get(f)
	}
	return c
}

// quotients divides pair by pair; what was not measured gives zero.
func quotients(a, b []float64) []float64 {
	q := make([]float64, len(a))
	for i := range a {
		if b[i] > 0 {
			q[i] = a[i] / b[i]
		}
	}
	return q
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	mid := len(v) / 2
	if len(v)%2 == 1 {
		return v[mid]
	}
	return (v[mid-1] + v[mid]) / 2
}
