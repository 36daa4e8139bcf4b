package demo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/inspect"
)

func TestResampleKeepsTheSum(t *testing.T) {
	var h []point
	for i := 1; i <= 100; i++ {
		h = append(h, point{at: time.Duration(i) * 50 * time.Millisecond, ok: int64(i * 1000)})
	}
	rates, span := resample(h, 10)
	if span != 5*time.Second || len(rates) != 10 {
		t.Fatalf("got %d rates over %v, want 10 over 5s", len(rates), span)
	}
	for i, r := range rates {
		if r < 19_999 || r > 20_001 {
			t.Errorf("rates[%d] = %v, want 20000", i, r)
		}
	}
}

func TestResampleOfTooLittleIsNothing(t *testing.T) {
	if rates, _ := resample([]point{{at: time.Second, ok: 1}}, 10); rates != nil {
		t.Errorf("got %v", rates)
	}
}

func TestFoldSumsFurtherStreams(t *testing.T) {
	stream := func(name, state string, handled uint64, high int) *inspect.Node {
		return &inspect.Node{Kind: "stream", Name: name, State: state, Mailbox: actors.Counters{Processed: handled, HighWater: high}}
	}
	snap := &inspect.Snapshot{Actors: 5, Roots: []*inspect.Node{{
		Kind: "conn", Name: "conn-1", Children: []*inspect.Node{
			stream("stream-0", "open", 1, 0), stream("stream-1", "open", 2, 0),
			stream("stream-2", "open", 3, 7), stream("stream-3", "closed", 4, 2),
		},
	}}}
	var got []string
	var last *inspect.Node
	fold(snap).Walk(func(_ int, n *inspect.Node) bool {
		got = append(got, n.Name)
		last = n
		return true
	})
	want := []string{"conn-1", "stream-0", "stream-1", "stream-... (2 more)"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if last.Mailbox.Processed != 7 || last.Mailbox.HighWater != 7 || last.State != "1 in use" {
		t.Errorf("folded into %+v, %q", last.Mailbox, last.State)
	}
	if n := len(snap.Roots[0].Children); n != 4 {
		t.Errorf("the snapshot itself was changed: %d children", n)
	}
}

func TestThousandsGroupsDigits(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestWrapBreaksBetweenWords(t *testing.T) {
	if d := cmp.Diff("read tcp\na-very-long-word\nend of it", wrap("read tcp a-very-long-word end of it", 9)); d != "" {
		t.Error(d)
	}
}
