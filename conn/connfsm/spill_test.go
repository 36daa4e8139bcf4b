package connfsm

import (
	"testing"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Spill turns away who waits, and nobody else; what comes later is served.
func TestSpill(t *testing.T) {
	b := rawBench(t, Config{Role: Client})
	b.step(&Start{})
	b.step(setting(frame.SettingMaxConcurrentStreams, 1))
	b.diff("peer's limit", b.m.PeerStreams(), uint32(1))
	for _, ref := range []string{"a", "b", "c"} {
		b.step(&Open{Ref: ref})
	}
	b.diff("parked", b.m.Parked(), 2)
	b.diff("begun", b.m.Begun(), 1)
	fx := b.step(&Spill{})
	var refused []any
	for _, r := range fx.Refused {
		refused = append(refused, r.Ref)
	}
	b.diff("refused", refused, []any{"b", "c"})
	b.diff("parked", b.m.Parked(), 0)
	b.diff("refused again", len(b.step(&Spill{}).Refused), 0)
	b.step(&Open{Ref: "d"})
	b.diff("opened", b.step(&Done{Slot: 0, ID: 1}).Opened, []Opened{{Ref: "d", Slot: 0, ID: 3}})
	b.diff("begun", b.m.Begun(), 2)
}
