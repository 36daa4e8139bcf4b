package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/grpc/resolver"
)

// RandomSubsettingName is the policy's name in loadBalancingConfig.
const RandomSubsettingName = "random_subsetting_experimental"

// RandomSubsettingConfig is the configuration of random_subsetting. In JSON:
//
//	{"subsetSize": 20, "childPolicy": [...]}
type RandomSubsettingConfig struct {
	SubsetSize uint32 // endpoints; at least 1
	Child      Choice
}

// RandomSubsetting is the builder of random_subsetting (gRFC A68): its child sees
// a random part of the endpoints, so that a client connects to few of many
// servers. The part stays as it is when other endpoints come and go, and differs
// between clients.
func RandomSubsetting() Builder {
	return Builder{
		Name:  RandomSubsettingName,
		Parse: parseRandomSubsetting,
		New:   func(r Registry) Policy { return &randomSubsetting{child: newChild(NewSwitch(r), lineage{})} },
	}
}

func parseRandomSubsetting(js json.RawMessage, r Registry) (Config, error) {
	c := &RandomSubsettingConfig{}
	f := parseFields(js)
	f.count("subsetSize", math.MaxUint32, &c.SubsetSize)
	f.policies("childPolicy", r, &c.Child)
	if f.err == nil && c.SubsetSize == 0 {
		f.err = fmt.Errorf("subsetSize: must be at least 1")
	}
	if f.err != nil {
		return nil, f.err
	}
	return c, nil
}

type randomSubsetting struct {
	child  *child
	seed   uint64 // the client's; endpoints are ranked by their hashes with it
	seeded bool
}

// Step implements Policy.
func (rs *randomSubsetting) Step(ev Event, now time.Time, fx *Effects) {
	switch ev := ev.(type) {
	case *Update:
		rs.update(ev, now, fx)
	case *Tick:
		rs.child.tick(now, fx)
	case *Close:
		rs.child.close(now, fx)
	default:
		rs.child.step(ev, now, fx)
	}
	rs.child.rearm(fx)
	if rs.child.published {
		rs.child.published = false
		fx.SetState(rs.child.state.Connectivity, rs.child.state.Picker)
	}
}

func (rs *randomSubsetting) update(ev *Update, now time.Time, fx *Effects) {
	if !rs.seeded {
		rs.seed, rs.seeded = fx.Host.Rand(), true
	}
	eps := ev.Endpoints
	choice := Choice{}
	if c, ok := ev.Config.(*RandomSubsettingConfig); ok {
		eps, choice = subset(eps, c.SubsetSize, rs.seed), c.Child
	}
	rs.child.step(ev.narrowed(eps, choice), now, fx)
}

// subset takes the n endpoints with the smallest hashes. Whatever else is in the
// list, an endpoint has the same one.
func subset(eps []resolver.Endpoint, n uint32, seed uint64) []resolver.Endpoint {
	type ranked struct {
		resolver.Endpoint
		hash uint64
	}
	list := make([]ranked, 0, len(eps))
	var d xxhash.Digest
	for _, e := range eps {
		if len(e.Addresses) == 0 {
			continue // the child cannot use it
		}
		d.ResetWithSeed(seed)
		_, _ = d.WriteString(e.Addresses[0].Addr) // never an error
		list = append(list, ranked{e, d.Sum64()})
	}
	if uint64(len(list)) > uint64(n) {
		slices.SortStableFunc(list, func(a, b ranked) int { return cmp.Compare(a.hash, b.hash) })
		list = list[:n]
	}
	out := make([]resolver.Endpoint, len(list))
	for i, e := range list {
		out[i] = e.Endpoint
	}
	return out
}
