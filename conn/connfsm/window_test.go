package connfsm

import (
	"testing"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// granted sums the connection's WINDOW_UPDATEs in fx.
func granted(fx *Effects) int {
	n := 0
	for _, c := range fx.Control {
		if w, ok := c.(*frame.WindowUpdate); ok && w.StreamID == 0 {
			n += int(w.Increment)
		}
	}
	return n
}

// fixed is a server whose window is 65,535 and stays so.
func fixed(t testing.TB) *bench {
	return newBench(t, Config{Role: Server, ConnWindow: 65535, MaxConnWindow: 65535})
}

func TestWindowIsAnnounced(t *testing.T) {
	b := rawBench(t, Config{Role: Server})
	b.diff("granted", granted(b.step(&Start{})), 1<<20-frame.DefaultWindow)
}

func TestWindowIsHeldUntilRead(t *testing.T) {
	b := fixed(t)
	s := b.begin(1, false)
	b.diff("granted on arrival", granted(b.step(message(1, 40000, 40000))), 0)
	b.diff("granted for little", granted(b.step(&Credit{Slot: s, ID: 1, N: 10000})), 0)
	b.diff("granted when due", granted(b.step(&Credit{Slot: s, ID: 1, N: 20000})), 30000)
	b.step(&Done{Slot: s, ID: 1, Owed: 8000})
	b.diff("owed", b.m.View().Window.Owed, 8000)
	b.diff("held", b.m.View().Window.Held, 8000)
	b.step(&Credit{Slot: s, ID: 1, N: 8000})
	b.step(&Credit{Slot: s, ID: 1, N: 1}) // read after the end: nothing is owed any more
	b.diff("held", b.m.View().Window.Held, 0)
}

func TestUnreadDataOfAnEndedStreamIsGivenBack(t *testing.T) {
	b := fixed(t)
	s := b.begin(1, false)
	b.step(message(1, 40000, 40000))
	b.diff("granted", granted(b.step(&Done{Slot: s, ID: 1})), 40000)
}

func TestWindowDoublesWithReading(t *testing.T) {
	read := func(b *bench, s frame.SlotIndex, n int) (grown int) {
		size := b.m.View().Window.Size
		for ; n > 0; n -= 1 << 16 {
			b.step(message(1, 1<<16, 1<<16))
			b.step(&Credit{Slot: s, ID: 1, N: 1 << 16})
		}
		return b.m.View().Window.Size - size
	}
	b := newBench(t, Config{Role: Server})
	s := b.begin(1, false)
	b.diff("grown too early", read(b, s, 1<<19), 0)
	b.diff("grown", read(b, s, 1<<19), 1<<20)
	read(b, s, 64<<20)
	b.diff("size", b.m.View().Window.Size, 16<<20)

	budget := flow.NewBudget(3<<20, nil)
	b = newBench(t, Config{Role: Server, Budget: budget})
	s = b.begin(1, false)
	read(b, s, 64<<20)
	b.diff("size within the budget", b.m.View().Window.Size, 2<<20)
	b.diff("the budget is asked, not charged", budget.Used(), int64(0))
}

func TestLoneMessageLargerThanTheWindowCanFinish(t *testing.T) {
	b := fixed(t)
	s := b.begin(1, false)
	const total = 200_000
	sent, window := 0, 65535
	for sent < total {
		n := min(window, 16384, total-sent)
		if n == 0 {
			t.Fatalf("stalled after %d octets: %+v", sent, b.m.View().Window)
		}
		sent += n
		window -= n
		if sent < total {
			window += granted(b.step(partial(1, n, total-sent)))
		} else {
			window += granted(b.step(message(1, n, total)))
		}
	}
	window += granted(b.step(&Credit{Slot: s, ID: 1, N: total}))
	b.diff("lent after reading", b.m.View().Window.Lent, 0)
	b.diff("size after reading", b.m.View().Window.Size, 65535)
	if window > 65535 {
		t.Errorf("the peer may send %d octets", window)
	}
}

// However many messages have begun, and however little of each has arrived: the
// connection's window lets them go on.
func TestBeginningsOfMessagesAreLentTheirRoom(t *testing.T) {
	b := fixed(t)
	const streams, first = 100, 60_000
	slots := make([]frame.SlotIndex, streams)
	window := 65535
	for i := range slots {
		slots[i] = b.begin(frame.StreamID(2*i+1), false)
	}
	for sent := 0; sent < first; sent += 10_000 {
		for i := range slots {
			if window < 10_000 {
				t.Fatalf("stalled at stream %d after %d octets: %+v", i, sent, b.m.View().Window)
			}
			window += granted(b.step(partial(frame.StreamID(2*i+1), 10_000, 90_000-sent))) - 10_000
		}
	}
	// They are complete now, and wait to be read: that is what the window bounds.
	for i := range slots {
		if window < 30_000 {
			break
		}
		window += granted(b.step(message(frame.StreamID(2*i+1), 30_000, 90_000))) - 30_000
	}
	if b.m.readable < 65535 || b.m.readable > 65535+3*90_000 {
		t.Errorf("%d octets wait to be read, the window is 65,535", b.m.readable)
	}
	for i, s := range slots {
		id := frame.StreamID(2*i + 1)
		if n := b.m.streams.slots[s].held; n > 0 {
			window += granted(b.step(&Credit{Slot: s, ID: id, N: n}))
		}
		window += granted(b.step(&Done{Slot: s, ID: id}))
	}
	v := b.m.View().Window
	b.diff("lent", v.Lent, 0)
	b.diff("size", v.Size, 65535)
	b.diff("the peer's idea of it", window, v.Available)
}

// What is lent stays within what the streams' own windows come to.
func TestLoanIsBoundedByTheStreamsWindows(t *testing.T) {
	growth := flow.NewBudget(100_000, flow.NewBudget(1_000_000, nil))
	b := newBench(t, Config{Role: Server, ConnWindow: 65535, MaxConnWindow: 65535, Growth: growth})
	b.begin(1, false)
	s := b.begin(3, false)
	window := 65535
	for _, n := range []int{60_000, 60_000, 60_000, 60_000} {
		n = min(n, window)
		window += granted(b.step(partial(1, n, 500_000))) - n
	}
	b.diff("may send", b.m.View().Window.Held+window, 2*65535+100_000)
	// A message that is let in although it is larger than all growth.
	window += granted(b.step(&Starved{Slot: s, ID: 3, N: 200_000}))
	for window > 0 {
		window += granted(b.step(partial(3, window, 500_000))) - window
	}
	b.diff("may send", b.m.View().Window.Held, 2*65535+200_000)
}

func TestResetGivesBackAnUnfinishedMessage(t *testing.T) {
	b := fixed(t)
	s := b.begin(1, false)
	b.step(message(1, 10000, 10000))
	b.step(partial(1, 30000, 90000))
	b.diff("granted", granted(b.step(frame.NewRSTStream(1, frame.Cancel))), 30000)
	b.step(&Credit{Slot: s, ID: 1, N: 40000}) // by a stream that had not seen it yet
	b.diff("held", b.m.View().Window.Held, 0)
	b.step(&Done{Slot: s, ID: 1})
}

func TestUnreadMessagesFillTheWindow(t *testing.T) {
	b := fixed(t)
	s := b.begin(1, false)
	b.begin(3, false)
	b.step(message(1, 65535, 65535))
	b.diff("available", b.m.View().Window.Available, 0)
	// However little is read, a peer that has nothing left hears of it.
	b.diff("granted", granted(b.step(&Credit{Slot: s, ID: 1, N: 1000})), 1000)
	// The beginning of a message takes nothing of it.
	b.diff("granted", granted(b.step(partial(3, 1000, 90000))), 1000)
}

func TestWindowGrowsForUnreadMessages(t *testing.T) {
	b := newBench(t, Config{Role: Server, ConnWindow: 65535, MaxConnWindow: 200_000})
	b.begin(1, false)
	b.diff("granted", granted(b.step(message(1, 65535, 65535))), 65535)
	b.diff("granted", granted(b.step(message(1, 65535, 65535))), 200_000-2*65535)
	b.diff("granted", granted(b.step(message(1, 200_000-2*65535, 200_000-2*65535))), 0)
}

func TestStepsOnTheWayOfDataDoNotAllocate(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		t.Run(role.String(), func(t *testing.T) {
			run := rpc(newBench(t, Config{Role: role, Keepalive: Keepalive{Time: 1 << 40}, MaxIdle: 1 << 40}))
			for range 2 * pastLen { // tables grow
				run()
			}
			if n := testing.AllocsPerRun(1000, run); n != 0 {
				t.Errorf("%v allocations per RPC", n)
			}
		})
	}
}

func BenchmarkUnary(b *testing.B) {
	for _, role := range []Role{Client, Server} {
		b.Run(role.String(), func(b *testing.B) {
			run := rpc(newBench(b, Config{Role: role, Keepalive: Keepalive{Time: 1 << 40}}))
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}

// rpc makes a function that steps b through one RPC of one message each way.
func rpc(b *bench) func() {
	var (
		h      = &frame.Headers{}
		d      = &frame.Data{Size: 15, Message: message(0, 0, 15).Message}
		tr     = &frame.Headers{EndStream: true}
		open   = &Open{Ref: "a"}
		done   = &Done{}
		credit = &Credit{N: 15}
		wrote  = &Wrote{DataFrames: 1, Headers: 1}
		update = &frame.WindowUpdate{Increment: 15}
		id     = frame.StreamID(1)
	)
	step := func(ev Event) *Effects {
		b.fx.Reset()
		if err := b.m.Step(ev, b.now, &b.fx); err != nil {
			b.t.Fatal(err)
		}
		for _, c := range b.fx.Control {
			if w, ok := c.(*frame.WindowUpdate); ok {
				w.Free()
			}
		}
		return &b.fx
	}
	return func() {
		b.now = b.now.Add(1000)
		h.StreamID, d.StreamID, tr.StreamID, done.ID, credit.ID = id, id, id, id, id
		d.EndStream = b.m.cfg.Role == Server
		if b.m.cfg.Role == Client {
			done.Slot = step(open).Opened[0].Slot
			step(wrote)
			step(h)
			step(d)
			step(tr)
		} else {
			done.Slot = step(h).Route[0].Slot
			step(d)
			step(wrote)
		}
		credit.Slot = done.Slot
		step(update)
		step(credit)
		step(done)
		id += 2
	}
}
