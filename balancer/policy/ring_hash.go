package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver/ringhash"
)

// RingHashName is the policy's name in loadBalancingConfig.
const RingHashName = "ring_hash_experimental"

// Sizes of rings (gRFC A42).
const (
	defaultMinRing = 1024
	maxRing        = 4096    // the default, and what a greater one counts as
	mostRing       = 8 << 20 // what a configuration may ask for
)

// RingHashConfig is the configuration of ring_hash. In JSON:
//
//	{"minRingSize": 1024, "maxRingSize": 4096, "requestHashHeader": ""}
type RingHashConfig struct {
	MinRingSize uint32 // entries; default 1024
	MaxRingSize uint32 // entries; default 4096, and never more. JSON allows 8Mi
	// RequestHashHeader names the metadata whose value says where on the ring an
	// RPC belongs, in lower case (gRFC A76). Without it, or for an RPC that lacks
	// it, the place is random.
	RequestHashHeader string
}

// RingHash is the builder of ring_hash (gRFC A42, A61, A76): RPCs with the same
// hash go to the same endpoint while it is there. Endpoints connect when an RPC
// wants them.
func RingHash() Builder {
	return Builder{
		Name:  RingHashName,
		Parse: parseRingHash,
		New:   func(Registry) Policy { return newRingHash() },
	}
}

var errHeaderName = errors.New("not the name of text metadata")

func parseRingHash(js json.RawMessage, _ Registry) (Config, error) {
	c := &RingHashConfig{}
	f := parseFields(js)
	f.count("minRingSize", mostRing, &c.MinRingSize)
	f.count("maxRingSize", mostRing, &c.MaxRingSize)
	f.read("requestHashHeader", func(js json.RawMessage) error {
		if err := json.Unmarshal(js, &c.RequestHashHeader); err != nil {
			return err
		}
		c.RequestHashHeader = strings.ToLower(c.RequestHashHeader)
		if !textKey(c.RequestHashHeader) {
			return fmt.Errorf("%q: %w", c.RequestHashHeader, errHeaderName)
		}
		return nil
	})
	c.MinRingSize, c.MaxRingSize = cmp.Or(c.MinRingSize, defaultMinRing), cmp.Or(c.MaxRingSize, maxRing)
	if f.err == nil && c.MinRingSize > c.MaxRingSize {
		f.err = fmt.Errorf("minRingSize: %d is more than maxRingSize, %d", c.MinRingSize, c.MaxRingSize)
	}
	if f.err != nil {
		return nil, f.err
	}
	c.MinRingSize, c.MaxRingSize = min(c.MinRingSize, maxRing), min(c.MaxRingSize, maxRing)
	return c, nil
}

// textKey says whether s can be the name of metadata that is not binary. Empty
// is allowed: no header.
func textKey(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	foreign := func(r rune) bool { return !strings.ContainsRune(allowed, r) }
	return !strings.ContainsFunc(s, foreign) && !strings.HasSuffix(s, "-bin")
}

type ringHash struct {
	shard
	cfg  RingHashConfig
	ring ring
	arcs []arc // what ring is made of
	// placed are the children that have an entry. With more endpoints than
	// entries the others serve nobody and count for nothing.
	placed []*part
}

func newRingHash() *ringHash {
	return &ringHash{shard: shard{lazy: true}}
}

// Step implements Policy.
func (rh *ringHash) Step(ev Event, now time.Time, fx *Effects) {
	if _, ok := ev.(*ExitIdle); ok {
		return // only RPCs say which endpoint is worth a connection
	}
	if !rh.step(ev, now, fx) {
		return
	}
	if u, ok := ev.(*Update); ok {
		rh.lay(u)
	}
	rh.seek(now, fx)
	rh.publish(fx)
}

// lay makes the ring anew if an update has changed what it is made of.
func (rh *ringHash) lay(u *Update) {
	var cfg RingHashConfig
	if c, ok := u.Config.(*RingHashConfig); ok {
		cfg = *c
	}
	cfg.MinRingSize, cfg.MaxRingSize = cmp.Or(cfg.MinRingSize, defaultMinRing), cmp.Or(cfg.MaxRingSize, maxRing)
	arcs := make([]arc, len(rh.children))
	for i, p := range rh.children {
		key := ringhash.HashKey(p.endpoint)
		if key == "" {
			key = p.endpoint.Addresses[0].Addr
		}
		arcs[i] = arc{key, weightOf(p.endpoint)}
	}
	sizes := cfg.MinRingSize != rh.cfg.MinRingSize || cfg.MaxRingSize != rh.cfg.MaxRingSize
	if rh.cfg = cfg; sizes || !slices.Equal(arcs, rh.arcs) {
		rh.ring, rh.arcs = newRing(arcs, cfg.MinRingSize, cfg.MaxRingSize), arcs
	}
	onRing := make([]bool, len(rh.children))
	for _, e := range rh.ring.marks {
		onRing[e.endpoint] = true
	}
	rh.placed = rh.placed[:0]
	for i, p := range rh.children {
		if onRing[i] {
			rh.placed = append(rh.placed, p)
		}
	}
}

// seek keeps a connection attempt going while the policy is not READY and has
// seen a failure: a parent that turned away from it sends it no RPCs, and it
// would never get better.
func (rh *ringHash) seek(now time.Time, fx *Effects) {
	if st := rh.connectivity(); st != connectivity.Connecting && st != connectivity.TransientFailure {
		return
	}
	var next *part
	for _, p := range rh.placed {
		switch {
		case p.state.Connectivity == connectivity.Connecting:
			return
		case next == nil && p.state.Connectivity == connectivity.Idle && !p.resting():
			next = p
		}
	}
	if next != nil {
		next.child.step(&ExitIdle{}, now, fx)
		next.published = false
		next.rearm(fx)
	}
}

// connectivity aggregates the children's states by gRFC A42: two failures make
// a parent look elsewhere, one does not if there are more endpoints.
func (rh *ringHash) connectivity() connectivity.State {
	var n [connectivity.Shutdown + 1]int
	for _, p := range rh.placed {
		n[p.state.Connectivity]++
	}
	switch failed := n[connectivity.TransientFailure]; {
	case n[connectivity.Ready] > 0:
		return connectivity.Ready
	case failed >= 2:
		return connectivity.TransientFailure
	case n[connectivity.Connecting] > 0 || failed == 1 && len(rh.placed) > 1:
		return connectivity.Connecting
	case n[connectivity.Idle] > 0:
		return connectivity.Idle
	}
	return connectivity.TransientFailure
}

func (rh *ringHash) publish(fx *Effects) {
	if len(rh.children) == 0 {
		fx.SetState(connectivity.TransientFailure, Failing{rh.err})
		return
	}
	rp := &ringPicker{ring: rh.ring, header: rh.cfg.RequestHashHeader, states: make([]State, len(rh.children))}
	for i, p := range rh.children {
		rp.states[i] = p.state
	}
	for _, p := range rh.placed {
		rp.some[p.state.Connectivity] = true
	}
	fx.SetState(rh.connectivity(), rp)
}
