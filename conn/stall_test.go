package conn

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/internal/testpeer"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// stalled runs a server whose peer is a script, in a bubble. Its handler
// answers at once with a message of 200,000 octets.
func stalled(t *testing.T, script func(r *rig, p *testpeer.Peer)) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		_, r := newGuardian(t)
		a, b := pipe(64 << 10)
		cfg := Config{NC: b, Table: r.table}
		cfg.Machine.Role, cfg.Stream.Role = connfsm.Server, streamfsm.Server
		cfg.Machine.InitialWindow, cfg.Stream.InitialWindow = 65535, 65535
		cfg.Handler = &handlers{r: r, f: func(s *served) { s.ok(wire(strings.Repeat("x", 200_000))) }}
		r.server = r.spawn("server", cfg)
		p := testpeer.Client(t, a)
		script(r, p)
		p.Close()
		r.server.Close("the test is over", nil)
		r.handlers.Wait()
		r.gone()
		done := r.parent.Probe().Done()
		r.parent.Stop()
		<-done
	})
}

// A stream that gets no window is reset after a minute, also when its handler
// has returned; what it held is gone and its slot is free.
func TestStreamWithoutWindowIsReset(t *testing.T) {
	stalled(t, func(r *rig, p *testpeer.Peer) {
		p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
		p.HeadersEnd(1, testpeer.Request("/a.B/C")...)
		p.ExpectHeaders(1)
		p.ExpectData(1)
		p.ExpectNothing(1, defaultStreamStall-time.Second)
		time.Sleep(2 * stallLook)
		p.ExpectRST(1, http2.ErrCodeEnhanceYourCalm)
		p.ExpectNothing(1, 2*defaultStreamStall) // once
		p.ExpectAlive()
	})
}

// A peer that grants a little now and then is slow, not stalled.
func TestSlowStreamIsNotReset(t *testing.T) {
	stalled(t, func(_ *rig, p *testpeer.Peer) {
		p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
		p.HeadersEnd(1, testpeer.Request("/a.B/C")...)
		p.ExpectHeaders(1)
		p.ExpectData(1)
		for range 10 {
			p.ExpectNothing(1, defaultStreamStall/2)
			p.WindowUpdate(1, 10)
			p.ExpectData(1)
		}
		p.ExpectAlive()
	})
}

// A socket that takes nothing is closed.
func TestStalledWriteClosesTheConnection(t *testing.T) {
	stalled(t, func(r *rig, p *testpeer.Peer) {
		p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		p.WindowUpdate(0, 1<<20)
		p.StopReading()
		p.HeadersEnd(1, testpeer.Request("/a.B/C")...)
		synctest.Wait()
		time.Sleep(defaultWriteStall + 2*deadlineRun)
		synctest.Wait()
		if err := r.guard.down("server"); err == nil {
			t.Error("the connection is still up")
		}
	})
}
