package conn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/internal/testpeer"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// A visitor tries a socket that takes less and less, and then nothing. What is
// left loopy's goroutine writes: every octet arrives, once and in order.
func TestWhatAVisitorLeavesIsWrittenInOrder(t *testing.T) {
	a, b := tcp(t)
	if err := b.SetWriteBuffer(8 << 10); err != nil {
		t.Fatal(err)
	}
	_, r := newGuardian(t)
	cfg := Config{NC: b, Table: r.table, SendLimit: 64 << 10}
	cfg.Machine.Role, cfg.Stream.Role = connfsm.Server, streamfsm.Server
	cfg.Machine.InitialWindow, cfg.Stream.InitialWindow = 65535, 65535
	const messages = 1000
	cfg.Handler = &handlers{r: r, f: func(s *served) {
		for i := range messages {
			if err := s.Send(wire(numbered(i)), false, s.canceled); err != nil {
				t.Errorf("message %d: %v", i, err)
				break
			}
		}
		s.ok(nil)
	}}
	r.server = r.spawn("server", cfg)
	p := testpeer.Client(t, a)
	p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 64 << 20})
	p.WindowUpdate(0, 64<<20)
	lo := r.server.e.loopy.Load()
	p.StopReading()
	p.HeadersEnd(1, testpeer.Request("/a.B/C")...)
	for end := time.Now().Add(10 * time.Second); lo.since.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the socket takes everything")
		}
	}
	if !lo.alone.Load() {
		t.Error("one stream, and nobody visits")
	}
	p.StartReading()
	p.ExpectHeaders(1)
	for i := range messages {
		if got := string(p.ExpectMessage(1)); got != numbered(i) {
			t.Fatalf("message %d differs: %.20q, %d octets", i, got, len(got))
		}
	}
	p.Close()
	r.server.Close("the test is over", nil)
	r.handlers.Wait()
	r.gone()
	done := r.parent.Probe().Done()
	r.parent.Stop()
	<-done
}

// numbered is a message that cannot be taken for another, small enough for a
// visitor to try it.
func numbered(i int) string {
	return fmt.Sprint(i, ":") + strings.Repeat(fmt.Sprint(i%10), (i*37)%7500)
}
