package streamfsm

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

var rewrite = flag.Bool("rewrite", false, "write what the dialogues say into testdata")

// TestDialogues lets two machines speak with each other as the files in
// testdata tell them, and compares what they say. A file is a list of commands,
// each followed by what came of it:
//
//	<who> <command> <arguments>
//	----
//	what was said
//
// `go test -rewrite` writes the second part.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogue_*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := runDialogue(t, string(want))
			if *rewrite {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("dialogue differs (-want +got):\n%s", diff)
			}
		})
	}
}

func runDialogue(t *testing.T, script string) string {
	var out strings.Builder
	d := &dialogue{must: func(ok bool, format string, args ...any) {
		if !ok {
			t.Fatalf(format, args...)
		}
	}}
	d.client, d.server = newPair(d.must)
	skipping := false
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		switch {
		case line == "----":
			skipping = true
		case line == "":
			skipping = false
		case skipping:
		case strings.HasPrefix(line, "#"):
			fmt.Fprintf(&out, "%s\n", line)
		default:
			fmt.Fprintf(&out, "%s\n----\n%s\n\n", line, strings.Join(d.run(line), "\n"))
		}
	}
	d.client.releaseUnread()
	if left := d.client.tracked.leaked(); left != "" && d.client.m.Done() && d.server.m.Done() && len(d.client.queue)+len(d.server.queue) == 0 {
		t.Errorf("leaked: %s", left)
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

type dialogue struct {
	must           func(ok bool, format string, args ...any)
	client, server *side
	id             frame.StreamID
}

// run performs one command and returns what was said.
func (d *dialogue) run(line string) []string {
	words := strings.Fields(line)
	if words[0] == "budget" { // budget <octets>: begin anew, with so much growth for either side
		n, _ := strconv.Atoi(words[1])
		d.client, d.server = newBudgetedPair(d.must, int64(n))
		return d.heard()
	}
	if words[0] == "carry" {
		d.carryAll(words[1:])
		return d.heard()
	}
	s := d.client
	if words[0] == "server" {
		s = d.server
	}
	d.command(s, words[1], words[2:])
	return d.heard()
}

func (d *dialogue) heard() []string {
	said := *d.client.said
	*d.client.said = nil
	if len(said) == 0 {
		return []string{"(nothing)"}
	}
	return said
}

// carryAll moves frames until both wires are empty, or only one side's, or only
// so many of them.
func (d *dialogue) carryAll(args []string) {
	n := 1 << 20
	if len(args) > 1 {
		n, _ = strconv.Atoi(args[1])
	}
	for ; n > 0; n-- {
		moved := false
		if len(args) == 0 || args[0] == "client" {
			moved = d.client.carry()
		}
		if len(args) == 0 || args[0] == "server" {
			moved = d.server.carry() || moved
		}
		if !moved {
			return
		}
	}
}

func (d *dialogue) command(s *side, what string, args []string) {
	has := func(w string) bool {
		for _, a := range args {
			if a == w {
				return true
			}
		}
		return false
	}
	number := func(i int) int {
		if i >= len(args) {
			return 0
		}
		n, _ := strconv.Atoi(args[i])
		return n
	}
	text := func(i int) string { return strings.Repeat("x", number(i)) }
	id := s.m.id
	switch what {
	case "open": // open <octets|-> [end] [unary] [timeout]
		d.id += 2
		o := &Open{StreamID: d.id - 1, Slot: testSlot, EndStream: has("end"), Unary: has("unary")}
		r := request()
		if has("timeout") {
			r.Timeout, r.HasTimeout = time.Second, true
			o.Deadline = epoch.Add(time.Second)
		}
		o.Header = r
		if args[0] != "-" {
			defer func() { s.sent = append(s.sent, text(0)) }()
			o.Payload = s.tracked.buffer(message(text(0)))
		}
		_ = s.step(o)
	case "send": // send <octets> [end]
		_ = s.step(&Send{StreamID: id, Payload: s.payload(text(0)), EndStream: has("end")})
	case "closesend":
		_ = s.step(&Send{StreamID: id, EndStream: true})
	case "header":
		_ = s.step(&SendHeader{StreamID: id, Header: &header.Response{}})
	case "finish": // finish <code> [octets] [header]
		f := &Finish{StreamID: id, Trailer: &header.Trailer{Code: codes.Code(number(0))}}
		if len(args) > 1 && args[1] != "-" {
			f.Payload = s.payload(text(1))
		}
		if has("header") {
			f.Header = &header.Response{}
		}
		_ = s.step(f)
	case "cancel": // cancel <code>
		_ = s.step(&Cancel{StreamID: id, Code: codes.Code(number(0)), Message: "cancelled"})
	case "reads": // reads <octets>
		_ = s.step(&Consumed{StreamID: id, N: number(0)})
	case "lost":
		_ = s.step(&Lost{StreamID: id, Code: codes.Unavailable, Message: "connection lost", Unprocessed: has("unprocessed")})
	case "rejected":
		s.queue = nil
		_ = s.step(&Rejected{StreamID: id, Reason: "header list too large"})
	case "fail":
		_ = s.step(&Fail{Err: &frame.StreamError{StreamID: id, Code: frame.EnhanceYourCalm, Reason: "too much"}})
	case "waits":
		s.say("%v, waits for %v", s.m.View().State, s.m.View().Waits)
	case "wrote": // shows what is on the wire, and takes it away
		for _, p := range s.wire {
			s.say("~> %v", p)
		}
		s.wire = nil
	case "feed": // lets the stream grow that starves
		if !s.feed() {
			s.say("nobody starves, or the budget is still tight")
		}
	case "holds": // holds <octets>: others of the connection take or return growth
		if n := number(0); n >= 0 {
			s.growth.Force(n)
		} else {
			s.growth.Refund(-n)
		}
	case "window":
		v := s.m.View()
		s.say("window of %d, charged %d of %d", v.Size, v.Growth, s.growth.Used())
	case "later":
		s.now = s.now.Add(time.Second)
	case "gets": // gets headers|data|rst ...: a frame that the other machine did not send
		d.raw(s, args)
	default:
		s.say("what is %q?", what)
	}
}

func (d *dialogue) raw(s *side, args []string) {
	p := packet{id: s.m.id}
	if s.m.cfg.Role == Server && s.m.Done() && args[0] == "headers" && args[1] == "new" {
		d.id += 2
		p.id = d.id - 1
		args = append([]string{"headers"}, args[2:]...)
	}
	for _, a := range args[1:] {
		k, v, ok := strings.Cut(a, "=")
		switch {
		case a == "END_STREAM":
			p.end = true
		case ok && args[0] == "headers":
			p.fields = append(p.fields, frame.Field{Name: k, Value: v})
		case ok && k == "pad":
			p.pad, _ = strconv.Atoi(v)
		case ok && k == "text":
			p.data = []byte(v)
		case ok && k == "message":
			n, _ := strconv.Atoi(v)
			p.data = append(p.data, message(strings.Repeat("y", n))...)
		case ok && k == "code":
			n, _ := strconv.Atoi(v)
			p.code = frame.ErrCode(n)
		}
	}
	p.isData, p.rst = args[0] == "data", args[0] == "rst"
	s.receive(p)
}
