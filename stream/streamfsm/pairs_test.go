package streamfsm

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

// TestEveryPair brings a machine to every state and fires every event at it.
// What happens stands in testdata/pairs.txt, one line per pair.
func TestEveryPair(t *testing.T) {
	var out strings.Builder
	out.WriteString("# What each event does in each state; then, for the same event, what it does\n")
	out.WriteString("# with the id of the slot's earlier occupant, and with one that never came.\n\n")
	for _, sit := range situations() {
		fmt.Fprintf(&out, "%s\n", sit.name)
		for _, e := range everyEvent() {
			var did [3]string
			for i, delta := range []int{0, -2, +2} {
				s := sit.make(t)
				if id := int(s.m.id) + delta; id > 0 {
					did[i] = fire(t, s, e.make(s, frame.StreamID(id)))
				} else {
					did[i] = "-"
				}
			}
			fmt.Fprintf(&out, "  %-22s %s | %s | %s\n", e.name, did[0], did[1], did[2])
		}
		out.WriteString("\n")
	}
	const file = "testdata/pairs.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("pairs differ (-want +got):\n%s", diff)
	}
}

// fire steps the machine and puts into words what came of it. It also checks
// that nothing the event carried is left behind.
func fire(t *testing.T, s *side, ev Event) (result string) {
	defer func() {
		if r := recover(); r != nil {
			if !strings.Contains(fmt.Sprint(r), "cannot take") {
				panic(r)
			}
			result = "panic"
		}
	}()
	before := s.m.State()
	var fx Effects
	err := s.m.Step(ev, s.now, &fx)
	var said []string
	add := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if after := s.m.State(); after != before {
		add("-> %v", after)
	}
	if fx.Drop {
		add("drop")
	}
	for _, o := range fx.Out {
		add("%s", outgoing(o))
		if o.Payload != nil {
			o.Payload.Release()
		}
	}
	for _, c := range fx.Control {
		if r, ok := c.(*frame.RSTStream); ok {
			add("RST_STREAM(%v)", r.Code)
			continue
		}
		add("WINDOW_UPDATE")
	}
	if fx.Credit > 0 {
		add("credit %d of %d", fx.Credit, fx.CreditID)
	}
	if fx.Starved > 0 {
		add("starved of %d", fx.Starved)
	}
	if fx.Returned {
		add("growth returned")
	}
	if fx.Accept != nil {
		add("accept")
		fx.Accept.Free()
	}
	if fx.Header != nil {
		add("header")
		fx.Header.Free()
	}
	for _, m := range fx.Messages {
		add("message")
		m.Buf.Release()
	}
	if fx.RemoteEnd {
		add("remote end")
	}
	if o := fx.Outcome; o != nil {
		add("outcome %v", o.Code)
		if o.Trailer != nil {
			o.Trailer.Free()
		}
	}
	if fx.Done {
		add("done")
	}
	switch err.(type) {
	case *frame.StreamError:
		add("stream error")
	case *frame.ConnError:
		add("connection error")
	}
	if len(said) == 0 {
		said = []string{"ignored"}
	}
	if left := s.tracked.leaked(); left != "" {
		t.Errorf("%s: leaked %s", describe(ev), left)
	}
	return strings.Join(said, ", ")
}

func outgoing(o *frame.Outgoing) string {
	var parts []string
	if o.Header != nil {
		parts = append(parts, "HEADERS")
	}
	if o.Payload != nil {
		parts = append(parts, "DATA")
	}
	if o.Trailer != nil {
		parts = append(parts, "trailers")
	}
	if o.EndStream {
		parts = append(parts, "END_STREAM")
	}
	if o.Reset {
		s := "RST_STREAM(" + o.Code.String() + ")"
		if o.After {
			s = "then " + s
		}
		parts = append(parts, s)
	}
	if o.Last {
		parts = append(parts, "last")
	}
	return strings.Join(parts, " ")
}

type namedEvent struct {
	name string
	make func(s *side, id frame.StreamID) Event
}

func everyEvent() []namedEvent {
	headers := func(end bool, fields ...string) func(*side, frame.StreamID) Event {
		return func(s *side, id frame.StreamID) Event {
			h := &frame.Headers{StreamID: id, EndStream: end}
			for i := 0; i < len(fields); i += 2 {
				h.Fields = append(h.Fields, frame.Field{Name: fields[i], Value: fields[i+1]})
			}
			return s.tracked.header(h)
		}
	}
	data := func(text string, end bool, fault *frame.Fault) func(*side, frame.StreamID) Event {
		return func(s *side, id frame.StreamID) Event {
			d := &frame.Data{StreamID: id, Size: PrefixLen + len(text), EndStream: end, Fault: fault}
			if fault == nil {
				d.Message = s.tracked.buffer([]byte(text))
			}
			return s.tracked.dataFrame(d)
		}
	}
	req := []string{
		":method", "POST", ":scheme", "http", ":path", "/a.B/C", ":authority", "x",
		"content-type", "application/grpc", "te", "trailers",
	}
	return []namedEvent{
		{"HEADERS request", headers(false, req...)},
		{"HEADERS request ES", headers(true, req...)},
		{"HEADERS response", headers(false, ":status", "200", "content-type", "application/grpc")},
		{"HEADERS interim", headers(false, ":status", "100")},
		{"HEADERS trailers-only", headers(true, ":status", "200", "content-type", "application/grpc", "grpc-status", "5")},
		{"HEADERS trailers", headers(true, "grpc-status", "0")},
		{"HEADERS faulty", func(s *side, id frame.StreamID) Event {
			h := headers(false)(s, id).(*frame.Headers)
			h.Fault = &frame.StreamError{StreamID: id, Code: frame.ProtocolError}
			return h
		}},
		{"HEADERS too large", func(s *side, id frame.StreamID) Event {
			h := headers(false)(s, id).(*frame.Headers)
			h.Fault = &frame.StreamError{StreamID: id, Code: frame.EnhanceYourCalm, Reason: "too large"}
			h.TooLarge = true
			return h
		}},
		{"DATA", data("hello", false, nil)},
		{"DATA ES", data("hello", true, nil)},
		{"DATA faulty", data("hello", false, &frame.Fault{Kind: frame.BadFlag})},
		{"DATA beyond the window", data(strings.Repeat("x", testWindow), false, nil)},
		{"RST_STREAM", func(_ *side, id frame.StreamID) Event {
			return &frame.RSTStream{StreamID: id, Code: frame.RefusedStream}
		}},
		{"Open", func(s *side, id frame.StreamID) Event { return &Open{StreamID: id, Slot: testSlot, Header: request()} }},
		{"Send", func(s *side, id frame.StreamID) Event {
			return &Send{StreamID: id, Payload: s.tracked.buffer(message("hello"))}
		}},
		{"Send ES", func(_ *side, id frame.StreamID) Event { return &Send{StreamID: id, EndStream: true} }},
		{"SendHeader", func(_ *side, id frame.StreamID) Event { return &SendHeader{StreamID: id, Header: &header.Response{}} }},
		{"Finish", func(s *side, id frame.StreamID) Event {
			return &Finish{StreamID: id, Payload: s.tracked.buffer(message("hello")), Trailer: &header.Trailer{}}
		}},
		{"Consumed", func(_ *side, id frame.StreamID) Event { return &Consumed{StreamID: id, N: PrefixLen + 5} }},
		{"Grow", func(_ *side, id frame.StreamID) Event { return &Grow{StreamID: id, N: 100} }},
		{"Cancel", func(_ *side, id frame.StreamID) Event { return &Cancel{StreamID: id, Code: codes.Canceled} }},
		{"Fail", func(_ *side, id frame.StreamID) Event {
			return &Fail{Err: &frame.StreamError{StreamID: id, Code: frame.Cancel, Blame: frame.Local}}
		}},
		{"Lost", func(_ *side, id frame.StreamID) Event { return &Lost{StreamID: id, Code: codes.Unavailable} }},
		{"Rejected", func(_ *side, id frame.StreamID) Event { return &Rejected{StreamID: id} }},
		{"nil", func(*side, frame.StreamID) Event { return nil }},
	}
}

type situation struct {
	name string
	make func(t *testing.T) *side
}

// situations are the states of RFC 9113 5.1 and, within them, what the call's
// rules tell apart. Where there is a message it is unread.
func situations() []situation {
	script := func(role Role, lines ...string) func(t *testing.T) *side {
		return func(t *testing.T) *side {
			d := &dialogue{id: 2} // so that there is an earlier id
			d.client, d.server = newPair(func(ok bool, format string, args ...any) {
				if !ok {
					t.Fatalf(format, args...)
				}
			})
			for _, l := range lines {
				d.run(l)
			}
			s := d.client
			if role == Server {
				s = d.server
			}
			// What came before is not this test's to account for.
			*s.tracked = tracked{}
			return s
		}
	}
	const (
		req   = "server gets headers new :method=POST :scheme=http :path=/a.B/C :authority=x content-type=application/grpc te=trailers"
		resp  = "client gets headers :status=200 content-type=application/grpc"
		plain = "server gets headers new :method=POST :scheme=http :path=/ :authority=x"
	)
	return []situation{
		{"client idle", script(Client)},
		{"client open", script(Client, "client open 5")},
		{"client open, headers came", script(Client, "client open 5", resp, "client gets data message=5")},
		{"client open, not gRPC", script(Client, "client open 5", "client gets headers :status=500 content-type=text/html")},
		{"client half-closed (local)", script(Client, "client open 5 end")},
		{"client half-closed (local), headers came", script(Client, "client open 5 end", resp, "client gets data message=5")},
		{"client closed by us", script(Client, "client open 5", resp, "client gets data message=5", "client cancel 1")},
		{"client closed by the server", script(Client, "client open 5 end", resp, "client gets data message=5", "client gets headers grpc-status=0 END_STREAM")},
		{"client closed by RST_STREAM", script(Client, "client open 5", "client gets rst code=2")},
		{"server idle", script(Server)},
		{"server open", script(Server, req, "server gets data message=5")},
		{"server open, headers sent", script(Server, req, "server gets data message=5", "server header")},
		{"server open, handler told", script(Server, req, "server gets data message=5", "server cancel 4")},
		{"server open, not gRPC", script(Server, plain)},
		{"server half-closed (remote)", script(Server, req, "server gets data message=5 END_STREAM")},
		{"server closed by RST_STREAM, handler runs", script(Server, req, "server gets data message=5", "server gets rst code=8")},
		{"server closed by us, handler runs", script(Server, req, "server gets data message=5", "server fail")},
		{"server closed", script(Server, req, "server gets data message=5 END_STREAM", "server finish 0")},
		{"server closed early", script(Server, req, "server gets data message=5", "server finish 0")},
		{"server closed, no handler", script(Server, req+" END_STREAM connection=x")},
	}
}
