package callboard

import (
	"context"
	"testing"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/internal/flow"
)

func message(n int) sent { return sent{wire: buffer.Get(n)} }

// What is kept is charged, and given back however the RPC goes on.
func TestKeptMessagesAreCharged(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(r *relay, t *try)
		left int64
	}{
		"closed":                        {func(r *relay, _ *try) { r.close() }, 0},
		"committed, all sent directly":  {func(r *relay, t *try) { r.direct = true; r.commit(t) }, 0},
		"committed, one not yet pushed": {func(r *relay, t *try) { t.next = 2; r.commit(t) }, 100},
		"committed, and pushed": {func(r *relay, t *try) {
			r.commit(t)
			for {
				m, _, more := r.take(t)
				if !more {
					return
				}
				m.wire.Release()
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := flow.NewBudget(1000, nil)
			r := &relay{limit: 300, budget: b}
			a := &try{ctx: context.Background()}
			r.settle(a)
			r.direct = false
			for range 3 {
				if !r.keep(message(100)) {
					t.Fatal("what fits is not kept")
				}
			}
			if r.keep(message(1)) {
				t.Error("more is kept than fits")
			}
			if got := b.Used(); got != 300 {
				t.Errorf("%d octets charged, want 300", got)
			}
			tt.end(r, a)
			if got := b.Used(); got != tt.left {
				t.Errorf("%d octets charged in the end, want %d", got, tt.left)
			}
			r.close()
			if got := b.Used(); got != 0 {
				t.Errorf("%d octets charged when closed", got)
			}
		})
	}
}

// A process that needs its memory for what is under way keeps nothing to send it
// again.
func TestNothingIsKeptWhenMemoryIsTight(t *testing.T) {
	b := flow.NewBudget(1000, nil)
	b.Force(501)
	r := &relay{limit: 300, budget: b}
	m := message(10)
	defer m.wire.Release()
	if r.keep(m) {
		t.Error("kept")
	}
}

// Each attempt is given every message once, in order, the end with the last.
func TestTakeGivesEveryAttemptEverything(t *testing.T) {
	r := &relay{limit: 1000, budget: flow.NewBudget(10_000, nil)}
	for i := range 3 {
		m := message(10)
		m.wire.B[0] = byte(i)
		if !r.keep(m) {
			t.Fatal("not kept")
		}
	}
	r.half = true
	one, two := &try{ctx: context.Background()}, &try{ctx: context.Background()}
	if got := r.backlog([]*try{one, two}); got != 30 {
		t.Errorf("a backlog of %d octets, want 30", got)
	}
	for _, a := range []*try{one, two} {
		for i := range 3 {
			m, end, more := r.take(a)
			if !more || m.wire.B[0] != byte(i) || end != (i == 2) {
				t.Errorf("message %d: number %d, end %t, more %t", i, m.wire.B[0], end, more)
			}
			m.wire.Release()
		}
	}
	if got := r.backlog([]*try{two}); got != 0 {
		t.Errorf("a backlog of %d octets, want none", got)
	}
	one.lost = true
	if _, _, more := r.take(one); more {
		t.Error("an attempt that is given up gets more")
	}
	r.settle(two)
	two.pushing = true
	if _, _, more := r.take(two); more || !r.direct {
		t.Error("the application does not take over from an attempt that has everything")
	}
	r.close()
	if got := r.budget.Used(); got != 0 {
		t.Errorf("%d octets charged when closed", got)
	}
}

// Half-closing behind messages that are pushed already is a step of its own.
func TestTakeHalfCloses(t *testing.T) {
	r := &relay{limit: 1000, budget: flow.NewBudget(10_000, nil)}
	a := &try{ctx: context.Background()}
	if !r.keep(message(10)) {
		t.Fatal("not kept")
	}
	m, end, _ := r.take(a)
	m.wire.Release()
	if end {
		t.Error("the end before its time")
	}
	r.half = true
	if m, _, more := r.take(a); m.wire != nil || !more {
		t.Errorf("%+v, %t, want the end alone", m, more)
	}
	r.settle(a)
	if _, _, more := r.take(a); more {
		t.Error("the end twice")
	}
	r.close()
}
