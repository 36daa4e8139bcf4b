package streamfsm

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// receiver is a client's machine whose response has begun.
type receiver struct {
	t  *testing.T
	m  *Machine
	fx Effects
	tr tracked
	at time.Time
}

func newReceiver(t *testing.T, growth *flow.Budget, unary bool) *receiver {
	r := &receiver{t: t, m: New(Config{Role: Client, InitialWindow: testWindow, Growth: growth}), at: epoch}
	r.step(&Open{StreamID: 1, Header: request(), EndStream: true, Unary: unary})
	r.step(&frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[1])})
	return r
}

func (r *receiver) step(ev Event) *Effects {
	r.t.Helper()
	r.fx.Reset()
	step(r.t, r.m, ev, r.at, &r.fx)
	for _, msg := range r.fx.Messages {
		msg.Buf.Release()
	}
	return &r.fx
}

// begin brings the first octets of a message of n octets, prefix included; end
// brings the rest.
func (r *receiver) begin(first, n int) *Effects {
	r.t.Helper()
	return r.step(&frame.Data{StreamID: 1, Size: first, Pending: n - first})
}

func (r *receiver) end(rest, n int) *Effects {
	r.t.Helper()
	return r.step(&frame.Data{StreamID: 1, Size: rest, Message: r.tr.buffer(make([]byte, n-PrefixLen))})
}

func (r *receiver) whole(n int) { r.t.Helper(); r.end(n, n) }

func (r *receiver) read(n int) *Effects { r.t.Helper(); return r.step(&Consumed{StreamID: 1, N: n}) }

func (r *receiver) granted() (n int) {
	for _, c := range r.fx.Control {
		n += int(c.(*frame.WindowUpdate).Increment)
	}
	return n
}

func (r *receiver) diff(what string, got, want any) {
	r.t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		r.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

const big = 3 * testWindow

// A message larger than the window gets all the room it lacks at once, and the
// next one finds it there.
func TestWindowGrowsForAMessageAndStays(t *testing.T) {
	growth := flow.NewBudget(10*testWindow, nil)
	r := newReceiver(t, growth, false)
	r.begin(500, big)
	r.diff("granted", r.granted(), big-testWindow)
	r.diff("charged", growth.Used(), int64(big-testWindow))
	r.end(big-500, big)
	r.diff("waits", r.m.View().Waits, WaitReader)
	r.read(big)
	r.diff("granted when read", r.granted(), big)
	r.diff("credit", r.fx.Credit, big)
	r.begin(500, big)
	r.diff("granted for the next", r.granted(), 0)
	r.diff("charged", growth.Used(), int64(big-testWindow))
	r.step(&Cancel{StreamID: 1})
	r.diff("charged after the end", growth.Used(), int64(0))
	r.diff("returned", r.fx.Returned, true)
}

// While the budget is tight a window is its old self when the message is read.
func TestWindowShrinksWhileTheBudgetIsTight(t *testing.T) {
	growth := flow.NewBudget(3*testWindow, nil)
	r := newReceiver(t, growth, false)
	r.begin(500, big)
	r.end(big-500, big)
	r.diff("charged until it is read", growth.Used(), int64(big-testWindow))
	r.diff("returned", r.fx.Returned, false)
	r.read(big)
	r.diff("charged", growth.Used(), int64(0))
	r.diff("returned", r.fx.Returned, true)
	r.diff("granted", r.granted(), testWindow)
	v := r.m.View()
	r.diff("window", v.Window, testWindow)
	r.diff("size", v.Size, testWindow)
	r.diff("growth", v.Growth, 0)
	r.diff("waits", v.Waits, WaitMessage)
}

// A message whose room is refused waits, and says so once.
func TestStreamStarvesUntilItMayGrow(t *testing.T) {
	growth := flow.NewBudget(testWindow, nil)
	r := newReceiver(t, growth, false)
	r.begin(500, big)
	r.diff("starved of", r.fx.Starved, big-testWindow)
	r.diff("granted", r.granted(), 0)
	r.begin(500, big-500)
	r.diff("starved again", r.fx.Starved, 0)
	r.diff("waits", r.m.View().Waits, WaitGrowth)
	growth.Force(big - testWindow)
	r.step(&Grow{StreamID: 1, N: big - testWindow})
	r.diff("granted", r.granted(), big-testWindow)
	r.diff("waits", r.m.View().Waits, WaitRest)
	r.end(big-1000, big)
	r.read(big)
	r.diff("charged", growth.Used(), int64(0))
}

// Growth that is not enough, because more of the message is known now, is
// returned: nobody waits with part of what others lack.
func TestStreamThatStillStarvesHoldsNothing(t *testing.T) {
	growth := flow.NewBudget(testWindow, nil)
	r := newReceiver(t, growth, false)
	growth.Force(testWindow)
	r.begin(500, big)
	r.diff("starved of", r.fx.Starved, big-testWindow)
	growth.Force(500)
	r.step(&Grow{StreamID: 1, N: 500})
	r.diff("returned", r.fx.Returned, true)
	r.diff("starved of", r.fx.Starved, big-testWindow)
	r.diff("charged", growth.Used(), int64(testWindow))
}

// What a stream has been granted and does not need goes back at once.
func TestGrowthThatComesTooLateGoesBack(t *testing.T) {
	for name, late := range map[string]func(r *receiver){
		"the call has ended":    func(r *receiver) { r.step(&Cancel{StreamID: 1}) },
		"the slot went on":      func(r *receiver) { r.step(&Cancel{StreamID: 1}); r.step(&Open{StreamID: 3, Header: request()}) },
		"nobody listens":        func(r *receiver) { r.step(&frame.Data{StreamID: 1, Fault: &frame.Fault{Kind: frame.NoBudget}}) },
		"half of it is enough":  func(*receiver) {},
		"connection was lost":   func(r *receiver) { r.step(&Lost{StreamID: 1}) },
		"the peer ended itself": func(r *receiver) { r.step(&frame.RSTStream{StreamID: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			growth := flow.NewBudget(testWindow, nil)
			r := newReceiver(t, growth, false)
			r.begin(500, big)
			late(r)
			growth.Force(4 * testWindow)
			r.step(&Grow{StreamID: 1, N: 4 * testWindow})
			r.diff("returned", r.fx.Returned, true)
			r.diff("kept", growth.Used(), int64(r.m.View().Growth))
			if v := r.m.View(); v.Growth != 0 && v.Growth != big-testWindow {
				t.Errorf("growth %d", v.Growth)
			}
		})
	}
}

// A unary call's response is read when the call ends; room for another message
// comes with the growth, and nobody starves for it.
func TestUnaryResponseGrowsTheWindowOnce(t *testing.T) {
	growth := flow.NewBudget(big-testWindow+PrefixLen, nil)
	r := newReceiver(t, growth, true)
	r.begin(500, big)
	r.diff("granted", r.granted(), big-testWindow+PrefixLen)
	r.end(big-500, big)
	r.diff("granted", r.granted(), 0)
	r.diff("starved", r.fx.Starved, 0)
	r.step(&frame.Headers{StreamID: 1, EndStream: true, Fields: slices.Clone(okTrailer)})
	r.diff("charged", growth.Used(), int64(0))
	r.diff("credit", r.fx.Credit, big)

	growth = flow.NewBudget(1, nil)
	r = newReceiver(t, growth, true)
	r.whole(testWindow)
	r.diff("starved", r.fx.Starved, 0)
}

// The window doubles for an application that reads window after window without
// delay, and only for a flow of messages: a ping-pong has no use for it.
func TestWindowDoublesForAFastReader(t *testing.T) {
	for _, c := range []struct {
		name    string
		message int
		pause   time.Duration
		budget  int64
		want    int
	}{
		{"many messages, fast", 100, time.Microsecond, 1 << 30, mostKept},
		{"many messages, slowly", 100, 200 * time.Millisecond, 1 << 30, testWindow},
		{"one message per window", testWindow, time.Millisecond, 1 << 30, testWindow},
		{"as far as the budget is not tight", 100, time.Millisecond, 10 * testWindow, 8 * testWindow},
	} {
		t.Run(c.name, func(t *testing.T) {
			growth := flow.NewBudget(c.budget, nil)
			r := newReceiver(t, growth, false)
			most := 0
			for range 100_000 {
				r.whole(c.message)
				r.at = r.at.Add(c.pause)
				r.read(c.message)
				most = max(most, r.m.View().Size)
			}
			r.diff("size at most", most, c.want)
			r.step(&Cancel{StreamID: 1})
			r.diff("charged after the end", growth.Used(), int64(0))
		})
	}
}

func TestAbandonedMachineGivesItsGrowthBack(t *testing.T) {
	growth := flow.NewBudget(10*testWindow, nil)
	r := newReceiver(t, growth, false)
	r.begin(500, big)
	r.m.Abandon()
	r.diff("charged", growth.Used(), int64(0))
	r.m.Abandon()
	r.diff("charged", growth.Used(), int64(0))
}
