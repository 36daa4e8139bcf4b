package policy

import (
	"strings"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
)

// ringPicker picks by a hash (gRFC A61, A76).
type ringPicker struct {
	ring   ring
	states []State                         // by the index that marks have
	some   [connectivity.Shutdown + 1]bool // mark's endpoint is in that state
	header string
}

// Pick implements Picker.
func (rp *ringPicker) Pick(pi *PickInfo) Pick {
	if rp.header != "" {
		if v := outgoing(pi, rp.header); len(v) > 0 {
			return rp.keyed(pi, hashOf(v))
		}
	}
	// Rand has 63 bits; the ring goes round at 64.
	return rp.anywhere(pi, pi.Rand()<<1)
}

// keyed is the pick of an RPC that belongs somewhere: the first endpoint from
// there that has not failed, even if the RPC has to wait for it.
func (rp *ringPicker) keyed(pi *PickInfo, hash uint64) Pick {
	at := rp.ring.at(hash)
	if rp.some[connectivity.Ready] || rp.some[connectivity.Connecting] || rp.some[connectivity.Idle] {
		for rp.state(at).Connectivity == connectivity.TransientFailure {
			at++
		}
	}
	return rp.state(at).Picker.Pick(pi)
}

// anywhere is the pick of an RPC that any endpoint may serve: the first from
// there that is READY. If none is connecting, the first on the way that is IDLE
// is asked to.
func (rp *ringPicker) anywhere(pi *PickInfo, hash uint64) Pick {
	at := rp.ring.at(hash)
	switch {
	case rp.some[connectivity.Ready]:
	case rp.some[connectivity.Connecting]:
		return Pick{}
	case rp.some[connectivity.Idle]:
		for rp.state(at).Connectivity != connectivity.Idle {
			at++
		}
		return rp.state(at).Picker.Pick(pi)
	default:
		return rp.state(at).Picker.Pick(pi)
	}
	var wanted *Wanted
	asked := rp.some[connectivity.Connecting]
	for ; rp.state(at).Connectivity != connectivity.Ready; at++ {
		if !asked && rp.state(at).Connectivity == connectivity.Idle {
			asked, wanted = true, rp.state(at).Picker.Pick(pi).Wanted
		}
	}
	pk := rp.state(at).Picker.Pick(pi)
	if wanted != nil {
		pk.Wanted = wanted
	}
	return pk
}

// state is that of the endpoint at mark i. Whoever goes round looks for a state
// that some says is on the ring, so that it ends within one round.
func (rp *ringPicker) state(i int) *State {
	if n := len(rp.ring.marks); i >= n {
		i -= n
	}
	return &rp.states[rp.ring.marks[i].endpoint]
}

func outgoing(pi *PickInfo, key string) []string {
	if pi.Outgoing != nil {
		return pi.Outgoing[key]
	}
	return metadata.ValueFromOutgoingContext(pi.Ctx, key)
}

// hashOf hashes the values of a header as one, with commas between.
func hashOf(values []string) uint64 {
	if len(values) == 1 {
		return xxhash.Sum64String(values[0])
	}
	return xxhash.Sum64String(strings.Join(values, ","))
}
