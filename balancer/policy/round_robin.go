package policy

import (
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/grpc/connectivity"
)

// RoundRobinName is the policy's name in loadBalancingConfig.
const RoundRobinName = "round_robin"

// RoundRobin is the builder of round_robin: every endpoint is connected to, and
// those that are READY take turns. It has no configuration.
func RoundRobin() Builder {
	return Builder{
		Name: RoundRobinName,
		Parse: func(js json.RawMessage, _ Registry) (Config, error) {
			return nil, parseFields(js).err
		},
		New: func(Registry) Policy { return &roundRobin{} },
	}
}

type roundRobin struct {
	shard
	state  connectivity.State
	taking []*part // turns, if it is READY
}

// Step implements Policy.
func (rr *roundRobin) Step(ev Event, now time.Time, fx *Effects) {
	if !rr.step(ev, now, fx) {
		return
	}
	st, in := rr.aggregate()
	// A picker that goes on is fairer than one that begins anew.
	if st == connectivity.Ready && rr.state == st && slices.Equal(in, rr.taking) {
		return
	}
	rr.state, rr.taking = st, in
	rr.rotate(st, in, fx)
}
