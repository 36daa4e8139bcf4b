package balancer

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/connectivity"
)

// Situation is how a subchannel stands: what it publishes with each change of
// state, and what RPCs that end in vain may tell of.
type Situation struct {
	Path    string // of its actor
	Address string // the one tried last; empty: none yet
	State   connectivity.State
	Err     error     // in TRANSIENT_FAILURE why; in IDLE what ended the connection, or nil
	Next    time.Time // in TRANSIENT_FAILURE, when its backoff is over; zero: nobody knows
}

// MaxSituations is how many subchannels a Picker tells of.
const MaxSituations = 16

func (s *subchannel) situation(st connectivity.State, err error) Situation {
	n := Situation{Path: s.self.Probe().Path(), Address: s.at.Addr, State: st, Err: err}
	if n.Address == "" && len(s.list) == 1 {
		n.Address = s.list[0].Addr
	}
	var w *waiting
	if st == connectivity.TransientFailure && errors.As(err, &w) {
		n.Err, n.Next = w.err, w.next
	}
	return n
}

// situations lists subchannels, those in trouble first.
func (b *balancer) situations() []Situation {
	var list []Situation
	for _, c := range b.subs {
		if !c.removed && c.situation.Path != "" {
			list = append(list, c.situation)
		}
	}
	slices.SortFunc(list, func(a, b Situation) int {
		return cmp.Or(cmp.Compare(trouble(a.State), trouble(b.State)), cmp.Compare(a.Path, b.Path))
	})
	return slices.Clip(list[:min(len(list), MaxSituations)])
}

func trouble(s connectivity.State) int {
	switch s {
	case connectivity.TransientFailure:
		return 0
	case connectivity.Connecting:
		return 1
	case connectivity.Idle:
		return 2
	default:
		return 3
	}
}
