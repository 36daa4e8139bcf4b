package policy

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
)

const manySubchannels = 1000

// readyPicker is the picker of a policy whose subchannels are all READY.
func readyPicker(tb testing.TB, b Builder, c Config) Picker {
	tb.Helper()
	var (
		p     = b.New(NewPolicies(Default()...))
		fx    = &Effects{Host: (*rigHost)(&rig{seed: 1, by: map[*Subchannel]*fakeSub{}})}
		now   = time.Unix(0, 0)
		pk    Picker
		ready int
	)
	step := func(ev Event) (created []Create) {
		fx.Reset()
		p.Step(ev, now, fx)
		if fx.Publish != nil {
			pk = fx.Publish.Picker
		}
		return append(created, fx.Create...)
	}
	connect := func(list []Create) {
		for _, c := range list {
			step(&Changed{Subchannel: c.Subchannel, State: connectivity.Connecting})
			step(&Changed{Subchannel: c.Subchannel, State: connectivity.Ready})
			ready++
		}
	}
	connect(step(&Update{Config: c, Endpoints: endpoints(many(manySubchannels)...)}))
	for tries := 0; b.Name != PickFirstName && ready < manySubchannels; tries++ { // lazy ones: ask for each
		if tries > 100*manySubchannels {
			tb.Fatalf("%d of %d are READY", ready, manySubchannels)
		}
		w := pk.Pick(&PickInfo{Ctx: context.Background(), Rand: random63}).Wanted
		if w != nil {
			connect(step(w))
		}
	}
	return pk
}

func random63() uint64 { return rand.Uint64() >> 1 }

type pickCase struct {
	name string
	b    Builder
	c    Config
	md   metadata.MD
}

func pickCases() []pickCase {
	keyed := &RingHashConfig{MinRingSize: maxRing, MaxRingSize: maxRing, RequestHashHeader: "user"}
	return []pickCase{
		{"pick_first", PickFirst(), nil, nil},
		{"round_robin", RoundRobin(), nil, nil},
		{"least_request", LeastRequest(), nil, nil},
		{"ring_hash by a key", RingHash(), keyed, metadata.Pairs("user", "somebody")},
		{"ring_hash anywhere", RingHash(), keyed, nil},
	}
}

func BenchmarkPick(b *testing.B) {
	for _, bc := range pickCases() {
		b.Run(bc.name, func(b *testing.B) {
			pk := readyPicker(b, bc.b, bc.c)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				pi := &PickInfo{Ctx: context.Background(), Method: "/s/m", Rand: random63, Outgoing: bc.md}
				for pb.Next() {
					p := pk.Pick(pi)
					if p.Done != nil {
						p.Done.Done(p.Subchannel, DoneInfo{})
					}
				}
			})
		})
	}
}

func TestPicksDoNotAllocate(t *testing.T) {
	for _, tc := range pickCases() {
		t.Run(tc.name, func(t *testing.T) {
			pk := readyPicker(t, tc.b, tc.c)
			pi := &PickInfo{Ctx: context.Background(), Method: "/s/m", Rand: random63, Outgoing: tc.md}
			n := testing.AllocsPerRun(1000, func() {
				p := pk.Pick(pi)
				if p.Subchannel == nil {
					t.Fatal("nothing picked")
				}
				if p.Done != nil {
					p.Done.Done(p.Subchannel, DoneInfo{})
				}
			})
			if n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
