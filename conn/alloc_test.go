package conn

import "testing"

// A unary RPC, both sides together, allocates nothing between the two
// applications: what is counted here is the handler's Finish and Trailer.
func TestUnaryAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools do not pool under the race detector")
	}
	c, s := tcp(t)
	h := newInline()
	r := newRig(t, func(o *options) { o.serve, o.cnc, o.snc = h, c, s })
	for range 200 {
		r.once()
	}
	if n := testing.AllocsPerRun(2000, r.once); n > 3 {
		t.Errorf("%.1f allocations per RPC", n)
	}
	r.finish()
	close(h.calls)
}
