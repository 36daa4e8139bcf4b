package policy

import (
	"math"
	"sync/atomic"
	"time"
)

// callCounter counts how RPCs to one endpoint end, without a lock. It has two
// buckets: RPCs count into one, the other holds the interval before (gRFC A50).
type callCounter struct {
	active  atomic.Uint32 // whose lowest bit is the index
	buckets [2]struct{ ok, failed atomic.Uint64 }
}

// rotate begins an interval and returns the counts of the one that ends. RPCs
// that end at this moment may be lost to both.
func (c *callCounter) rotate() (ok, failed uint64) {
	was := c.active.Load() & 1
	next := &c.buckets[was^1]
	next.ok.Store(0)
	next.failed.Store(0)
	c.active.Store(was ^ 1)
	b := &c.buckets[was]
	return b.ok.Load(), b.failed.Load()
}

// Done implements the picker's Done.
func (c *callCounter) Done(_ *Subchannel, i DoneInfo) {
	if i.Abandoned {
		return // it says nothing of the endpoint
	}
	b := &c.buckets[c.active.Load()&1]
	if i.Err == nil {
		b.ok.Add(1)
	} else {
		b.failed.Add(1)
	}
}

// countingPicker counts what becomes of its child's picks.
type countingPicker struct {
	child    Picker
	counters *counterTable
}

// Pick implements Picker.
func (p *countingPicker) Pick(i *PickInfo) Pick {
	pk := p.child.Pick(i)
	c := p.counters.find(pk.Subchannel)
	switch {
	case c == nil:
	case pk.Done == nil:
		pk.Done = c
	default:
		pk.Done = &bothDone{c, pk.Done}
	}
	return pk
}

// bothDone is for a child that wants to hear of the end too.
type bothDone struct {
	calls *callCounter
	child Done
}

// Done implements the picker's Done.
func (d *bothDone) Done(s *Subchannel, i DoneInfo) {
	d.calls.Done(s, i)
	d.child.Done(s, i)
}

// sample is an endpoint's last interval.
type sample struct {
	*outlier
	volume, failed float64 // RPCs, and those that did not succeed
}

func (s sample) rate() float64 { return (s.volume - s.failed) / s.volume }

// sweep ends an interval: it ejects what does badly, and takes back what was
// ejected long enough.
func (o *outlierDetection) sweep(now time.Time, fx *Effects) {
	o.swept = now
	all := make([]sample, 0, len(o.endpoints))
	for _, e := range o.endpoints {
		ok, failed := e.calls.rotate()
		if n := float64(ok) + float64(failed); n > 0 {
			all = append(all, sample{e, n, float64(failed)})
		}
	}
	if c := o.cfg.SuccessRate; c != nil {
		enough := withVolume(all, c.RequestVolume)
		if len(enough) > 0 && uint32(len(enough)) >= c.MinimumHosts {
			mean, deviation := moments(enough)
			least := mean - deviation*float64(c.StdevFactor)/1000
			o.eject(enough, c.EnforcementPercentage, fx, func(s sample) bool { return s.rate() < least })
		}
	}
	if c := o.cfg.FailurePercentage; c != nil {
		enough := withVolume(all, c.RequestVolume)
		if uint32(len(enough)) >= c.MinimumHosts {
			o.eject(enough, c.EnforcementPercentage, fx, func(s sample) bool {
				return s.failed*hundred > float64(c.Threshold)*s.volume
			})
		}
	}
	for _, e := range o.endpoints {
		switch {
		case !e.ejected.IsZero():
			if now.After(e.ejected.Add(o.ejectionTime(e))) {
				e.ejected = time.Time{}
			}
		case e.multiplier > 0:
			e.multiplier--
		}
	}
}

// eject ejects those that are out of line, as far as the configuration allows.
// What is ejected already is left as it is.
func (o *outlierDetection) eject(of []sample, enforced uint32, fx *Effects, out func(sample) bool) {
	ejected := 0
	for _, e := range o.endpoints {
		if !e.ejected.IsZero() {
			ejected++
		}
	}
	for _, s := range of {
		if ejected*hundred >= int(o.cfg.MaxEjectionPercent)*len(o.endpoints) {
			return
		}
		if !s.ejected.IsZero() || !out(s) || fx.Host.Rand()%hundred >= uint64(enforced) {
			continue
		}
		s.ejected = o.swept
		s.multiplier++
		ejected++
	}
}

// ejectionTime is how long e is ejected this time.
func (o *outlierDetection) ejectionTime(e *outlier) time.Duration {
	base := o.cfg.BaseEjectionTime
	most := max(base, o.cfg.MaxEjectionTime)
	if base > 0 && time.Duration(e.multiplier) > most/base {
		return most
	}
	return base * time.Duration(e.multiplier)
}

func withVolume(all []sample, volume uint32) []sample {
	enough := make([]sample, 0, len(all))
	for _, s := range all {
		if s.volume >= float64(volume) {
			enough = append(enough, s)
		}
	}
	return enough
}

// moments are the mean and the standard deviation of the success rates.
func moments(of []sample) (mean, deviation float64) {
	for _, s := range of {
		mean += s.rate()
	}
	mean /= float64(len(of))
	for _, s := range of {
		deviation += (s.rate() - mean) * (s.rate() - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(of)))
}
