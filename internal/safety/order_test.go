package safety_test

import (
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// What arrives in one read counts in its order all the same.
func TestSettingsCountInTheirPlace(t *testing.T) {
	lower := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}
	for name, tt := range map[string]struct {
		send   func(p *testpeer.Peer)
		breach bool
	}{
		"a window that overflows and is lowered then": {func(p *testpeer.Peer) {
			p.WindowUpdate(1, 1<<31-1)
			p.Settings(lower)
		}, true},
		"a window that is lowered, and fits then": {func(p *testpeer.Peer) {
			p.Settings(lower)
			p.WindowUpdate(1, 1<<31-1)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			p.Headers(1, testpeer.Request(hold)...)
			s.settled(1)
			p.ExpectAlive()
			p.Batch(func() { tt.send(p) })
			if tt.breach {
				p.ExpectRST(1, http2.ErrCodeFlowControl)
			}
			p.ExpectAlive()
			s.settled(map[bool]int{true: 0, false: 1}[tt.breach])
		})
	}
}

// An HPACK table that the peer shrinks and lets grow again was small in between:
// the next header block says so (RFC 7541 4.2).
func TestTheSmallestHPACKTableIsSignalled(t *testing.T) {
	table := func(n uint32) http2.Setting { return http2.Setting{ID: http2.SettingHeaderTableSize, Val: n} }
	for name, send := range map[string]func(fr *http2.Framer) error{
		"in two frames": func(fr *http2.Framer) error {
			if err := fr.WriteSettings(table(0)); err != nil {
				return err
			}
			return fr.WriteSettings(table(4096))
		},
		"in one frame": func(fr *http2.Framer) error { return fr.WriteSettings(table(0), table(4096)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			nc, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			_ = nc.SetDeadline(time.Now().Add(soon))
			out := &gathered{}
			fr := http2.NewFramer(out, nc)
			check := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			request := testpeer.Literal(testpeer.Request(echo)...)
			ask := func(id uint32) []byte {
				check(fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: request, EndHeaders: true}))
				check(fr.WriteData(id, true, payload(t, 1)))
				_, err := nc.Write(out.b)
				check(err)
				out.b = nil
				for {
					f, err := fr.ReadFrame()
					check(err)
					if h, ok := f.(*http2.HeadersFrame); ok && h.StreamID == id {
						block := append([]byte(nil), h.HeaderBlockFragment()...)
						if h.StreamEnded() {
							return block
						}
						for ended := false; !ended; {
							f, err := fr.ReadFrame()
							check(err)
							ended = f.Header().Flags.Has(http2.FlagHeadersEndStream) && f.Header().StreamID == id
						}
						return block
					}
				}
			}
			out.b = append(out.b, http2.ClientPreface...)
			check(fr.WriteSettings())
			ask(1)
			check(send(fr))
			const shrunk = 0x20 // a size of 0
			if b := ask(3); b[0] != shrunk {
				t.Errorf("the next block begins with %#x, want a table of 0", b[:3])
			}
		})
	}
}

// gathered is a writer that one write to the socket comes from.
type gathered struct{ b []byte }

func (g *gathered) Write(p []byte) (int, error) {
	g.b = append(g.b, p...)
	return len(p), nil
}
