package connfsm

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
)

func setting(id frame.SettingID, v uint32) *frame.Settings {
	return &frame.Settings{Values: []frame.Setting{{ID: id, Val: v}}}
}

func TestOpensWaitForReadyAndForRoom(t *testing.T) {
	b := rawBench(t, Config{Role: Client})
	b.step(&Open{Ref: "a"})
	b.step(&Start{})
	b.step(&Open{Ref: "b"})
	b.step(&Open{Ref: "c"})
	b.step(&Open{Ref: "d"})
	b.diff("opened before SETTINGS", len(b.fx.Opened), 0)
	fx := b.step(setting(frame.SettingMaxConcurrentStreams, 1))
	b.diff("opened", fx.Opened, []Opened{{Ref: "a", Slot: 0, ID: 1}})
	b.step(&Withdraw{Ref: "b"})
	fx = b.step(&Done{Slot: 0, ID: 1})
	b.diff("opened", fx.Opened, []Opened{{Ref: "c", Slot: 0, ID: 3}})
	b.step(&Withdraw{Ref: "c"}) // answered already
	fx = b.step(&Open{Ref: "e"})
	b.diff("opened past the queue", len(fx.Opened), 0)
	fx = b.step(setting(frame.SettingMaxConcurrentStreams, 3))
	b.diff("opened", fx.Opened, []Opened{{Ref: "d", Slot: 1, ID: 5}, {Ref: "e", Slot: 2, ID: 7}})
	// The limit may fall below what is open (RFC 9113 5.1.2).
	b.step(setting(frame.SettingMaxConcurrentStreams, 1))
	b.step(&Open{Ref: "f"})
	b.diff("opened", len(b.step(&Done{Slot: 1, ID: 5}).Opened), 0)
	b.diff("opened", len(b.step(&Done{Slot: 0, ID: 3}).Opened), 0)
	b.diff("opened", b.step(&Done{Slot: 2, ID: 7}).Opened, []Opened{{Ref: "f", Slot: 2, ID: 9}})
}

func TestServerRefusesBeyondItsLimit(t *testing.T) {
	b := newBench(t, Config{Role: Server, MaxConcurrentStreams: 2})
	s := b.begin(1, true)
	b.begin(3, true)
	b.step(frame.NewRSTStream(1, frame.Cancel)) // its handler still runs
	fx := b.step(headers(5, true))
	b.diff("control", fx.Control, []frame.Control{frame.NewRSTStream(5, frame.RefusedStream)})
	b.diff("routed", len(fx.Route), 0)
	b.diff("glitches", b.m.View().Glitches[GlitchRefused.String()], uint64(1))
	b.diff("late DATA of it", len(b.step(partial(5, 7, 1)).Free), 1)
	b.step(&Done{Slot: s, ID: 1})
	b.diff("slot", b.begin(7, true), s)
}

func TestIDsRunOut(t *testing.T) {
	b := newBench(t, Config{Role: Client, LastID: 5})
	for _, ref := range []string{"a", "b"} {
		b.open(ref)
		b.diff("state", b.m.State(), StateReady)
	}
	fx := b.step(&Open{Ref: "c"})
	b.diff("opened", len(fx.Opened), 1)
	b.diff("reports", fx.Reports, []Report{Draining})
	b.diff("refused", len(b.step(&Open{Ref: "d"}).Refused), 1)
	b.diff("ids left", b.m.View().Streams.IDsLeft, uint32(0))
}

func TestGoAwayReceived(t *testing.T) {
	b := newBench(t, Config{Role: Client})
	b.step(setting(frame.SettingMaxConcurrentStreams, 3))
	for _, ref := range []string{"a", "b", "c"} {
		b.open(ref)
	}
	b.step(&Open{Ref: "parked"})
	fx := b.step(&frame.GoAway{LastStreamID: 3, Debug: []byte("bye\n")})
	b.diff("gone", fx.Gone, []Gone{{Slot: 2, ID: 5, Code: codes.Unavailable, Message: `not processed by the server: GOAWAY NO_ERROR "bye\n"`, Unprocessed: true}})
	b.diff("refused", len(fx.Refused), 1)
	b.diff("reports", fx.Reports, []Report{Draining})
	fx = b.step(&frame.GoAway{LastStreamID: 1})
	b.diff("gone next", fx.Gone[0].ID, frame.StreamID(3))
	b.diff("reports", len(fx.Reports), 0)
	b.step(&Done{Slot: 1, ID: 3})
	b.step(&Done{Slot: 2, ID: 5})
	b.diff("state", b.m.State(), StateDraining)
	fx = b.step(&Done{Slot: 0, ID: 1})
	b.diff("closing", fx.Closing, &Closing{Linger: drainLinger})

	b = newBench(t, Config{Role: Client})
	b.open("a")
	b.step(&frame.GoAway{LastStreamID: 1})
	b.step(&frame.GoAway{LastStreamID: 3})
	b.diff("a growing id", b.code(), frame.ProtocolError)
}

func TestTooManyPings(t *testing.T) {
	b := newBench(t, Config{Role: Client})
	b.open("a")
	fx := b.step(&frame.GoAway{LastStreamID: 1, Code: frame.EnhanceYourCalm, Debug: []byte("too_many_pings")})
	if !TooManyPings(fx.GoAway) || TooManyPings(&frame.GoAway{Debug: []byte("too_many_pings")}) {
		t.Error("too_many_pings not recognised")
	}
	fx = b.step(&TransportDown{})
	b.diff("gone", len(fx.Gone), 1)
	b.diff("state", b.m.State(), StateClosed)
}

func TestServerDrainsInTwoSteps(t *testing.T) {
	b := newBench(t, Config{Role: Server})
	s1 := b.begin(1, true)
	fx := b.step(&Drain{Reason: "maintenance"})
	b.diff("first", fx.Control[0], frame.Control(&frame.GoAway{LastStreamID: frame.MaxStreamID, Debug: []byte("maintenance")}))
	ping := fx.Control[1].(*frame.Ping)
	s3 := b.begin(3, true) // crossed the GOAWAY
	fx = b.step(&frame.Ping{Ack: true, Data: ping.Data})
	b.diff("second", fx.Control, []frame.Control{&frame.GoAway{LastStreamID: 3, Debug: []byte("maintenance")}})
	fx = b.step(headers(5, true))
	b.diff("beyond the last", len(fx.Route)+len(fx.Control), 0)
	fx = b.step(headers(5, true)) // and what follows on that stream
	b.diff("beyond the last", len(fx.Route)+len(fx.Control), 0)
	b.step(&Done{Slot: s1, ID: 1})
	fx = b.step(&Done{Slot: s3, ID: 3})
	b.diff("closing", fx.Closing, &Closing{Linger: drainLinger})
	b.step(&Drain{})
	b.diff("drained twice", b.m.State(), StateClosing)
}

func TestLastGoAwayIsNeverRaised(t *testing.T) {
	b := newBench(t, Config{Role: Server})
	b.begin(1, true)
	fx := b.step(&Drain{})
	b.step(&frame.Ping{Ack: true, Data: fx.Control[1].(*frame.Ping).Data})
	b.step(headers(9, true))
	fx = b.step(&Close{Reason: "now"})
	b.diff("last", fx.Control[0].(*frame.GoAway).LastStreamID, frame.StreamID(1))
}

func TestDrainDoesNotWaitForPingForever(t *testing.T) {
	b := newBench(t, Config{Role: Server})
	b.step(&Drain{})
	fx := b.pass(defaultDrainTimeout)
	b.diff("closing", fx.Closing, &Closing{Linger: drainLinger})
}

func TestClientDrains(t *testing.T) {
	b := newBench(t, Config{Role: Client})
	o := b.open("a")
	b.diff("control", len(b.step(&Drain{}).Control), 0)
	fx := b.step(&Done{Slot: o.Slot, ID: o.ID})
	b.diff("control", fx.Control, []frame.Control{&frame.GoAway{}})
	b.diff("closing", fx.Closing, &Closing{Linger: drainLinger})
}

func TestTransportDown(t *testing.T) {
	b := newBench(t, Config{Role: Client})
	b.step(setting(frame.SettingMaxConcurrentStreams, 1))
	o := b.open("a")
	b.step(&Open{Ref: "b"})
	fx := b.step(&TransportDown{})
	b.diff("gone", len(fx.Gone), 1)
	b.diff("refused", len(fx.Refused), 1)
	b.diff("reports", fx.Reports, []Report{Down})
	b.diff("again", len(b.step(&TransportDown{}).Reports), 0)
	b.step(&Done{Slot: o.Slot, ID: o.ID})
	b.diff("live", b.m.Streams(), 0)
	b.diff("late Open", len(b.step(&Open{Ref: "c"}).Refused), 1)

	b = newBench(t, Config{Role: Server})
	b.step(&TransportDown{Err: &frame.ConnError{Code: frame.CompressionError}})
	b.diff("the reader's breach", b.fx.Control[0].(*frame.GoAway).Code, frame.CompressionError)
	b.diff("state", b.m.State(), StateClosing)
}
