package conn

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/conn/outbound"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/stream"
)

// listening is a connection that writes down what its loopy tells it.
type listening struct{ heard []any }

func (l *listening) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *writeEnded, *streamFailed:
		l.heard = append(l.heard, m)
	}
}

// visited is a loopy without a goroutine, whose visitor is the test.
func visited(t *testing.T, nc net.Conn, cfg *Config) (*loopy, *listening) {
	t.Helper()
	cfg.fill()
	heard := &listening{}
	ref, err := actors.Spawn[any](actors.NewSystem(nil).Root, "conn", &actors.Spec{Kind: "conn"}, heard)
	if err != nil {
		t.Fatal(err)
	}
	l := &loopy{
		rules: cfg.rules(), budget: cfg.SendBudget, nc: nc, limit: flushUpTo, conn: ref, self: ref,
		q:       outbound.New(outbound.Config{}, frame.NewEncoder()),
		leaving: new(atomic.Int32), alone: new(atomic.Bool),
		clock: stream.NewClock(time.Now()), timer: actors.NewTimer(func(uint64) {}),
	}
	t.Cleanup(func() {
		l.timer.Close()
		done := ref.Probe().Done()
		ref.Stop()
		<-done
	})
	if l.tryable(nc); !l.open.Load() {
		t.Skip("no socket to try here")
	}
	return l, heard
}

// A socket says what it has died of once, so the visitor's word counts.
func TestAVisitorFindsTheSocketReset(t *testing.T) {
	a, b := tcp(t)
	l, heard := visited(t, a, &Config{})
	if err := errors.Join(b.SetLinger(0), b.Close()); err != nil {
		t.Fatal(err)
	}
	if err := l.q.Step(&frame.Ping{}); err != nil {
		t.Fatal(err)
	}
	if l.visited() {
		t.Fatal("all was written")
	}
	l.goOn()
	if len(heard.heard) != 1 {
		t.Fatalf("the connection heard %v", heard.heard)
	}
	if m, ok := heard.heard[0].(*writeEnded); !ok || !errors.Is(m.err, syscall.ECONNRESET) {
		t.Errorf("the connection heard %+v", heard.heard[0])
	}
}

// What a visitor leaves for want of window counts against the memory for it as
// what loopy itself leaves does.
func TestAVisitorMakesRoom(t *testing.T) {
	a, _ := tcp(t)
	const size = 4000
	budget := flow.NewBudget(1<<20, flow.NewBudget(size/2, nil))
	l, heard := visited(t, a, &Config{SendBudget: budget})
	budget.Shift(size)
	if err := l.q.Step(&outbound.PeerSettings{MaxFrameSize: frame.MinMaxFrameSize, HeaderTableSize: frame.DefaultTableSize}); err != nil {
		t.Fatal(err)
	}
	o := frame.NewOutgoing()
	o.StreamID, o.Slot, o.Header, o.Payload = 1, 0, &header.Response{}, buffer.Get(size)
	if err := l.q.Step(o); err != nil {
		t.Fatal(err)
	}
	if !l.visited() {
		t.Error("something is left that could be written")
	}
	if len(heard.heard) != 1 {
		t.Fatalf("the connection heard %v", heard.heard)
	}
	if m, ok := heard.heard[0].(*streamFailed); !ok || m.err.StreamID != 1 {
		t.Errorf("the connection heard %+v", heard.heard[0])
	}
}
