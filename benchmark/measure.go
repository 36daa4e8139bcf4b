package main

import (
	"fmt"
	"runtime"
	"time"
)

// figures are the result of one measurement. Those of a load are per operation
// (an RPC, or a ping and its pong), those of an idle workload and of a fleet per
// connection or stream.
type figures struct {
	PerSecond  float64 `json:"per_second,omitempty"`
	CPU        float64 `json:"cpu_us,omitempty"`
	Allocs     float64 `json:"allocs,omitempty"`
	Bytes      float64 `json:"bytes"`
	Goroutines float64 `json:"goroutines,omitempty"`
	// Ready and Up are how long a fleet took until every channel was READY and
	// until every connection was up.
	Ready float64 `json:"ready_ms,omitempty"`
	Up    float64 `json:"up_ms,omitempty"`
}

// measure runs one workload once on fresh servers and channels.
func measure(s settings, w workload, server, client Stack) (figures, error) {
	if w.kind == manyBackends {
		return measureFleet(s, w, client)
	}
	p, err := startPairing(w, server, client)
	if err != nil {
		return figures{}, err
	}
	var f figures
	if w.idle() {
		f, err = measureIdle(s, w, p)
	} else {
		f, err = measureLoad(s, w, p)
	}
	if stopErr := p.stop(); err == nil {
		err = stopErr
	}
	return f, err
}

func measureLoad(s settings, w workload, p *pairing) (figures, error) {
	ccs, surroundings, err := setUp(w, p)
	defer surroundings.close()
	if err != nil {
		return figures{}, err
	}
	l := startLoad(w, ccs, s.warmup+s.duration)
	time.Sleep(s.warmup)
	// The garbage of the other stack must not be collected on this one's time.
	runtime.GC()
	before := takeSample(l)
	time.Sleep(s.duration)
	l.awaitProgress(before.ops)
	after := takeSample(l)
	if err := l.end(); err != nil {
		return figures{}, err
	}
	return after.since(before)
}

// sample is the state of the process at one moment.
type sample struct {
	at      time.Time
	ops     int64
	cpu     time.Duration
	mallocs uint64
	bytes   uint64
}

func takeSample(l *load) sample {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return sample{at: time.Now(), ops: l.finished(), cpu: processCPU(), mallocs: m.Mallocs, bytes: m.TotalAlloc}
}

func (b sample) since(a sample) (figures, error) {
	ops := float64(b.ops - a.ops)
	if ops == 0 {
		return figures{}, fmt.Errorf("no operation finished in %v", b.at.Sub(a.at))
	}
	return figures{
		PerSecond: ops / b.at.Sub(a.at).Seconds(),
		CPU:       float64((b.cpu - a.cpu).Nanoseconds()) / ops / 1e3,
		Allocs:    float64(b.mallocs-a.mallocs) / ops,
		Bytes:     float64(b.bytes-a.bytes) / ops,
	}, nil
}
