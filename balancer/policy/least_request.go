package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/connectivity"
)

// LeastRequestName is the policy's name in loadBalancingConfig.
const LeastRequestName = "least_request_experimental"

// Bounds of choiceCount (gRFC A48).
const (
	fewestChoices = 2 // and the default
	mostChoices   = 10
)

// LeastRequestConfig is the configuration of least_request. In JSON:
//
//	{"choiceCount": 2}
type LeastRequestConfig struct {
	// ChoiceCount is how many endpoints are drawn for an RPC, which goes to the
	// one with the fewest RPCs in flight. It is from 2, the default, to 10; a
	// greater one counts as 10.
	ChoiceCount uint32
}

// LeastRequest is the builder of least_request (gRFC A48).
func LeastRequest() Builder {
	return Builder{
		Name:  LeastRequestName,
		Parse: parseLeastRequest,
		New:   func(Registry) Policy { return &leastRequest{choices: fewestChoices} },
	}
}

func parseLeastRequest(js json.RawMessage, _ Registry) (Config, error) {
	c := &LeastRequestConfig{ChoiceCount: fewestChoices}
	f := parseFields(js)
	f.count("choiceCount", math.MaxUint32, &c.ChoiceCount)
	if f.err == nil && c.ChoiceCount < fewestChoices {
		f.err = fmt.Errorf("choiceCount: %d is less than %d", c.ChoiceCount, fewestChoices)
	}
	if f.err != nil {
		return nil, f.err
	}
	c.ChoiceCount = min(c.ChoiceCount, mostChoices)
	return c, nil
}

type leastRequest struct {
	shard
	choices int
	state   connectivity.State
	drawn   []*part // from, if it is READY
}

// Step implements Policy.
func (lr *leastRequest) Step(ev Event, now time.Time, fx *Effects) {
	before := lr.choices
	if u, ok := ev.(*Update); ok {
		lr.choices = fewestChoices
		if c, ok := u.Config.(*LeastRequestConfig); ok {
			lr.choices = int(c.ChoiceCount)
		}
	}
	if !lr.step(ev, now, fx) {
		return
	}
	st, in := lr.aggregate()
	if st == connectivity.Ready && lr.state == st && lr.choices == before && slices.Equal(in, lr.drawn) {
		return
	}
	lr.state, lr.drawn = st, in
	if st != connectivity.Ready {
		lr.rotate(st, in, fx)
		return
	}
	lp := &leastPicker{choices: lr.choices, from: make([]loaded, len(in))}
	for i, p := range in {
		lp.from[i] = loaded{p.state.Picker, &p.inflight}
	}
	fx.SetState(st, lp)
}

// leastPicker draws some and takes the one that has the least to do.
type leastPicker struct {
	choices int
	from    []loaded
}

// loaded is a child that is READY, and the RPCs it has.
type loaded struct {
	Picker
	load *inflight
}

// Pick implements Picker.
func (lp *leastPicker) Pick(pi *PickInfo) Pick {
	n := uint64(len(lp.from))
	best := &lp.from[0]
	if n > 1 {
		best = &lp.from[pi.Rand()%n]
		least := best.load.n.Load()
		for range lp.choices - 1 {
			o := &lp.from[pi.Rand()%n]
			if l := o.load.n.Load(); l < least {
				best, least = o, l
			}
		}
	}
	pk := best.Pick(pi)
	if pk.Subchannel == nil {
		return pk
	}
	best.load.n.Add(1)
	pk.Done = best.load
	return pk
}

// inflight counts RPCs that are not done.
type inflight struct{ n atomic.Int64 }

// Done implements Done.
func (f *inflight) Done(*Subchannel, DoneInfo) { f.n.Add(-1) }
