package safety_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/callboard-rpc/callboard"
)

// GOAWAY(ENHANCE_YOUR_CALM) is flushed, and the connection closed within 100 ms.
func TestCalmClosesSoon(t *testing.T) {
	const within, tries = 100 * time.Millisecond, 10
	s := serve(t, callboard.WithLimits(func(l *callboard.Limits) { l.GlitchBurst = 3 }))
	best := time.Hour
	for range tries {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		fr := http2.NewFramer(nc, nc)
		flood := bytes.NewBufferString(http2.ClientPreface)
		out := http2.NewFramer(flood, nil)
		for range 200 {
			_ = out.WriteSettings()
		}
		_, _ = nc.Write(flood.Bytes())
		_ = nc.SetReadDeadline(time.Now().Add(5 * time.Second))
		var told time.Time
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				break
			}
			if g, ok := f.(*http2.GoAwayFrame); ok && g.ErrCode == http2.ErrCodeEnhanceYourCalm {
				told = time.Now()
			}
		}
		if told.IsZero() {
			t.Fatal("closed without GOAWAY(ENHANCE_YOUR_CALM)")
		}
		best = min(best, time.Since(told))
		_ = nc.Close()
		if best < within {
			break
		}
	}
	if best > within {
		t.Errorf("closed %v after GOAWAY at best, want %v at most", best, within)
	}
}
