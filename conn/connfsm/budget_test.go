package connfsm

import (
	"testing"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

func TestUnreadMessagesAreCharged(t *testing.T) {
	budget := flow.NewBudget(4*lump, nil)
	b := newBench(t, Config{Role: Server, Budget: budget, InitialWindow: 1 << 20})
	s := b.begin(1, false)
	b.step(message(1, lump, lump))
	b.diff("the first portion is free", budget.Used(), int64(0))
	for range 4 {
		b.step(message(1, lump, lump))
	}
	b.diff("all of it", budget.Used(), budget.Limit())

	fx := b.step(message(1, lump, lump))
	if f := fx.Route[0].Frame.(*frame.Data).Fault; f == nil || f.Kind != frame.NoBudget {
		t.Errorf("fault %+v of a message beyond the budget", f)
	}
	b.diff("nothing more", budget.Used(), budget.Limit())
	b.diff("held", b.m.View().Window.Held, 5*lump)

	b.begin(3, false)
	if f := b.step(message(3, 10, 10)).Route[0].Frame.(*frame.Data).Fault; f == nil {
		t.Error("another stream of the connection found room")
	}
	b.step(&Credit{Slot: s, ID: 1, N: 5 * lump})
	b.diff("read", budget.Used(), int64(0))
}

func TestOneMessageFitsWhateverOthersHold(t *testing.T) {
	process := flow.NewBudget(lump, nil)
	process.Force(lump)
	b := newBench(t, Config{Role: Server, Budget: flow.NewBudget(16*lump, process), InitialWindow: 1 << 20})
	b.begin(1, false)
	if f := b.step(message(1, 5*lump, 5*lump)).Route[0].Frame.(*frame.Data).Fault; f != nil {
		t.Errorf("fault %+v", f)
	}
	b.m.Leave()
	b.diff("given back at the end", process.Used(), int64(lump))
}

func TestStreamsThatLeaveMakeRoom(t *testing.T) {
	leaving := 0
	b := newBench(t, Config{Role: Server, MaxConcurrentStreams: 1, Leaving: leavers{&leaving}})
	b.begin(1, false)
	if fx := b.step(headers(3, false)); len(fx.Route) != 0 {
		t.Error("a stream beyond the limit was taken")
	}
	leaving = 1 // the client has seen the end of stream 1 before we know that it is written
	if fx := b.step(headers(5, false)); len(fx.Route) != 1 {
		t.Error("the stream that follows one that has ended was refused")
	}
}

type leavers struct{ n *int }

func (l leavers) Leaving() int { return *l.n }
