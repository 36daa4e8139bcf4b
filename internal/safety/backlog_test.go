package safety_test

import (
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// noWindow is a client that takes nothing it asks for.
func noWindow(t testing.TB, addr string) *testpeer.Peer {
	t.Helper()
	p := testpeer.Dial(t, addr)
	p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	return p
}

// ask begins n calls that are answered with a large response, and waits until
// their handlers have returned.
func ask(s *server, p *testpeer.Peer, first, n int) {
	s.t.Helper()
	before := s.started.Load()
	b := payload(s.t, 1)
	p.Batch(func() {
		for i := range n {
			p.Headers(odd(first+i), testpeer.Request(swell)...)
			p.DataEnd(odd(first+i), b)
		}
	})
	for started := before; started < before+int64(n); { // a slow machine gets on, too
		if !eventually(func() bool { return s.started.Load() > started }) {
			s.t.Fatalf("%d handlers were started, want %d", started-before, n)
		}
		started = s.started.Load()
	}
	s.settled(0)
	p.ExpectAlive()
}

// heldWithin waits until no more than most octets are held, beyond before. What
// is kept for reuse goes as it is not used.
func heldWithin(t testing.TB, before, most int64) {
	t.Helper()
	if !eventually(func() bool { return held()-before <= most }) {
		t.Errorf("%d octets are held, more than %d", held()-before, most)
	}
}

// A gigabyte of responses is asked for and not taken: what waits stays in the
// budget, the newest streams end, and the oldest are served yet.
func TestAThousandResponsesWithoutWindow(t *testing.T) {
	s := serve(t)
	before := held()
	p := noWindow(t, s.addr)
	const streams = 1000
	ask(s, p, 0, streams)
	heldWithin(t, before, 24<<20)
	p.ExpectRST(odd(streams-1), http2.ErrCodeEnhanceYourCalm)
	takes(p, odd(0))
	p.ExpectAlive()
}

// takes opens the window of a stream and reads its response to the end.
func takes(p *testpeer.Peer, id uint32) {
	p.WindowUpdate(id, 2*swollen)
	p.WindowUpdate(0, 64*swollen)
	p.ExpectTrailers(id, codes.OK)
}

// The connection's window is a window, too. Of its streams none is to blame, so
// they are given some time.
func TestResponsesWithoutConnectionWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the ten seconds that a connection without window is given")
	}
	t.Parallel()
	s := serve(t)
	p := testpeer.Dial(t, s.addr, testpeer.Patience(30*time.Second))
	p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	const streams = 30
	ask(s, p, 0, streams)
	p.ExpectRST(odd(streams-1), http2.ErrCodeEnhanceYourCalm)
	p.WindowUpdate(0, 64*swollen)
	p.ExpectTrailers(odd(0), codes.OK)
}

// Who takes a little now and then is slow. He is not made to pay for others of
// his connection that take nothing, though his stream is the newer one.
func TestSlowButProgressingStreamStays(t *testing.T) {
	s := serve(t)
	p := noWindow(t, s.addr)
	const greedy, slow = 30, 500
	ask(s, p, 0, greedy)
	p.Headers(odd(slow), testpeer.Request(swell)...)
	p.WindowUpdate(odd(slow), 65_535)
	p.DataEnd(odd(slow), payload(t, 1))
	p.WindowUpdate(0, 2*swollen)
	p.ExpectHeaders(odd(slow))
	for i := range 2 * swollen / 65_535 {
		if i < 32 { // more of them all the time
			ask(s, p, slow+1+2*i, 2)
		}
		p.WindowUpdate(odd(slow), 65_535)
	}
	p.ExpectTrailers(odd(slow), codes.OK)
}

// The budget of the system bounds what many connections hold together, and with
// it nobody is spared who takes nothing. When they have gone everything is given
// back.
func TestResponsesOfManyConnectionsAreBudgeted(t *testing.T) {
	const memory = 24 << 20
	s := serveIn(t, system(t, callboard.WithMemoryBudget(memory)))
	before := held()
	const conns, streams = 12, 10
	var peers []*testpeer.Peer
	for range conns {
		p := noWindow(t, s.addr)
		ask(s, p, 0, streams)
		peers = append(peers, p)
	}
	heldWithin(t, before, memory+8<<20)
	last := peers[conns-1]
	last.ExpectRST(odd(0), http2.ErrCodeEnhanceYourCalm)
	last.ExpectAlive()
	for _, p := range peers {
		p.ResetTCP()
	}
	if !eventually(func() bool { return count(s.sys, "conn") == 0 }) {
		t.Fatal("connections are left")
	}
	p := noWindow(t, s.addr)
	ask(s, p, 0, 15) // within the connection's budget: all of them may wait
	p.ExpectHeaders(odd(14))
	p.ExpectNothing(odd(14), awhile)
	for i := range 15 {
		takes(p, odd(i))
	}
}
