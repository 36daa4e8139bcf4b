package balancer

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// doneLog notes what a policy hears of an RPC's end.
type doneLog struct{ infos []policy.DoneInfo }

func (d *doneLog) Done(_ *policy.Subchannel, i policy.DoneInfo) { d.infos = append(d.infos, i) }

func pickerOf(p policy.Pick) *Picker {
	return &Picker{State: connectivity.Ready, policy: always{p}}
}

// A subchannel whose connection is gone makes the RPC wait, and its policy hears
// that the pick was not used.
func TestPickOfWhatIsGone(t *testing.T) {
	d := &doneLog{}
	k, ok, err := pick(pickerOf(policy.Pick{Subchannel: &policy.Subchannel{Edge: &edge{}}, Done: d}))
	if ok || err != nil || k.Conn.Valid() {
		t.Errorf("picked %+v %v %v", k, ok, err)
	}
	if len(d.infos) != 1 || !d.infos[0].Abandoned {
		t.Errorf("the policy heard %+v", d.infos)
	}
}

// A status of the picker's own is a verdict on every RPC, with the codes that a
// control plane may use (gRFC A54). Other errors are for those that do not wait.
func TestVerdicts(t *testing.T) {
	type verdict struct {
		drop bool
		code codes.Code
	}
	for _, tt := range []struct {
		err  error
		want verdict
	}{
		{errors.New("plain"), verdict{}},
		{fmt.Errorf("dial: %w", status.Error(codes.ResourceExhausted, "a proxy's")), verdict{}},
		{status.Error(codes.Unavailable, ""), verdict{true, codes.Unavailable}},
		{status.Error(codes.ResourceExhausted, ""), verdict{true, codes.ResourceExhausted}},
		{status.Error(codes.PermissionDenied, ""), verdict{true, codes.PermissionDenied}},
		{status.Error(codes.InvalidArgument, ""), verdict{true, codes.Internal}},
		{status.Error(codes.NotFound, ""), verdict{true, codes.Internal}},
		{status.Error(codes.AlreadyExists, ""), verdict{true, codes.Internal}},
		{status.Error(codes.FailedPrecondition, ""), verdict{true, codes.Internal}},
		{status.Error(codes.Aborted, ""), verdict{true, codes.Internal}},
		{status.Error(codes.OutOfRange, ""), verdict{true, codes.Internal}},
		{status.Error(codes.DataLoss, ""), verdict{true, codes.Internal}},
		{&Drop{Status: status.New(codes.OK, "")}, verdict{true, codes.Internal}},
	} {
		_, ok, err := pick(pickerOf(policy.Pick{Err: tt.err}))
		var d *Drop
		got := verdict{drop: errors.As(err, &d)}
		if got.drop {
			got.code = d.Status.Code()
		}
		if ok || err == nil || got != tt.want {
			t.Errorf("%v: %v %v %+v, want %+v", tt.err, ok, err, got, tt.want)
		}
	}
}

// turns is a picker over many subchannels that does next to nothing itself.
type turns struct {
	subs []*policy.Subchannel
	next *uint64
}

func (t turns) Pick(*policy.PickInfo) policy.Pick {
	*t.next++
	return policy.Pick{Subchannel: t.subs[*t.next%uint64(len(t.subs))]}
}

// thousand is a balancer's picker over as many READY subchannels.
func thousand(tb testing.TB, f func(p *Picker)) {
	tb.Helper()
	w := newWorld(tb, up(), nil)
	w.readied = make(chan *Picker, 10)
	w.offer("a")
	k, ok, err := pick(<-w.readied)
	if !ok {
		tb.Fatal(err)
	}
	p := turns{next: new(uint64)}
	for i := range 1000 {
		e := &edge{}
		e.set([]Conn{k.Conn})
		p.subs = append(p.subs, &policy.Subchannel{ID: uint64(i), Edge: e})
	}
	f(&Picker{State: ready, policy: p})
	w.finish()
}

func TestPickDoesNotAllocate(t *testing.T) {
	thousand(t, func(p *Picker) {
		info := &policy.PickInfo{Ctx: context.Background(), Method: "/a.B/C"}
		if n := testing.AllocsPerRun(1000, func() {
			if _, ok, err := p.Pick(info); !ok || err != nil {
				t.Errorf("pick: %v %v", ok, err)
			}
		}); n != 0 && !raceEnabled {
			t.Errorf("%v allocations", n)
		}
	})
}

func BenchmarkPick(b *testing.B) {
	thousand(b, func(p *Picker) {
		info := &policy.PickInfo{Ctx: context.Background(), Method: "/a.B/C"}
		b.ReportAllocs()
		for b.Loop() {
			if _, ok, _ := p.Pick(info); !ok {
				b.Fatal("nothing to pick")
			}
		}
	})
}
