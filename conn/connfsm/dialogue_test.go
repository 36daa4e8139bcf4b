package connfsm

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

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

var rewrite = flag.Bool("rewrite", false, "write what the dialogues in testdata say now")

// TestDialogues plays the scripts in testdata: a client's and a server's
// machine back to back. A line that begins with "$ " is a command, what follows
// it is what happened. See dialogue.run for the commands.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(raw))
			if *rewrite {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(raw), got); d != "" {
				t.Errorf("dialogue differs; -rewrite if it should (-want +got):\n%s", d)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	d := &dialogue{t: t, now: epoch}
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			out.WriteString(line + "\n")
		case line == "":
			out.WriteString("\n")
		case strings.HasPrefix(line, "$ "):
			out.WriteString(line + "\n")
			d.out = nil
			d.run(strings.Fields(line[2:]))
			for _, l := range d.out {
				out.WriteString("  " + l + "\n")
			}
		}
	}
	return out.String()
}

// dialogue is two machines and the wire between them.
type dialogue struct {
	t       *testing.T
	now     time.Time
	side    [2]*end
	process *flow.Budget // what growth is charged to in the end
	out     []string
}

// end is one machine and what it wrote that has not arrived.
type end struct {
	name string
	m    *Machine
	wire []frame.Frame
}

// run performs one command:
//
//	config client|server [growth=N] [process=N] [streams=N] [window=N] [maxwindow=N] [last=ID] [keepalive=D] [timeout=D] [idle=D] [age=D] [grace=D]
//	start                                  both sides
//	deliver                                until the wire is empty
//	pass D                                 time, with the Ticks that are wanted
//	client|server open REF | withdraw REF | drain | close | down | wrote N
//	client|server done ID [owed=N] | credit ID N | starved ID N | returns N|all | line
//	others N                               charge the process, or give it back
//	client|server sends headers|data|message|rst|window|ping|goaway|settings|priority ID [N] [end]
func (d *dialogue) run(cmd []string) {
	switch cmd[0] {
	case "config":
		d.config(cmd[1], cmd[2:])
	case "start":
		for r := range d.side {
			d.step(Role(r), &Start{})
		}
	case "deliver":
		d.deliver()
	case "others":
		if n := number(d.t, cmd[1]); n > 0 {
			d.process.Force(n)
		} else {
			d.process.Refund(-n)
		}
	case "pass":
		d.pass(duration(d.t, cmd[1]))
	case "client":
		d.act(Client, cmd[1:])
	case "server":
		d.act(Server, cmd[1:])
	default:
		d.t.Fatalf("command %q", cmd)
	}
}

func (d *dialogue) config(role string, args []string) {
	cfg := Config{Role: Client, Keepalive: Keepalive{Time: -1}, HandshakeTimeout: -1, SettingsTimeout: -1}
	if role == "server" {
		cfg.Role = Server
	}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		switch k {
		case "growth": // of streams, within process if that was given before
			cfg.Growth = flow.NewBudget(int64(number(d.t, v)), d.process)
		case "process":
			d.process = flow.NewBudget(int64(number(d.t, v)), nil)
		case "streams":
			cfg.MaxConcurrentStreams = uint32(number(d.t, v))
		case "window":
			cfg.ConnWindow = number(d.t, v)
		case "maxwindow":
			cfg.MaxConnWindow = number(d.t, v)
		case "last":
			cfg.LastID = frame.StreamID(number(d.t, v))
		case "keepalive":
			cfg.Keepalive.Time = duration(d.t, v)
		case "timeout":
			cfg.Keepalive.Timeout = duration(d.t, v)
		case "idle":
			cfg.MaxIdle = duration(d.t, v)
		case "age":
			cfg.MaxAge = duration(d.t, v)
		case "grace":
			cfg.AgeGrace = duration(d.t, v)
		default:
			d.t.Fatalf("config %q", a)
		}
	}
	d.side[cfg.Role] = &end{name: role, m: New(cfg)}
}

func (d *dialogue) act(r Role, cmd []string) {
	e := d.side[r]
	arg := func(i int) int { return number(d.t, cmd[i]) }
	live := func(i int) (frame.SlotIndex, frame.StreamID) {
		id := frame.StreamID(arg(i))
		return e.m.streams.find(id), id
	}
	switch cmd[0] {
	case "open":
		d.step(r, &Open{Ref: cmd[1]})
	case "withdraw":
		d.step(r, &Withdraw{Ref: cmd[1]})
	case "drain":
		d.step(r, &Drain{Reason: "maintenance"})
	case "close":
		d.step(r, &Close{Reason: "stop"})
	case "down":
		d.step(r, &TransportDown{Err: fmt.Errorf("EOF")})
	case "wrote":
		d.step(r, &Wrote{DataFrames: arg(1)})
	case "credit":
		s, id := live(1)
		d.step(r, &Credit{Slot: s, ID: id, N: arg(2)})
	case "starved":
		s, id := live(1)
		d.step(r, &Starved{Slot: s, ID: id, N: arg(2)})
	case "line":
		w := e.m.View().Window
		d.out = append(d.out, fmt.Sprintf("%s: growth of %d, %d of the process, %d in line", e.name, w.Growth, d.process.Used(), w.Starving))
	case "returns":
		if n := int(e.m.growth.Used()); cmd[1] == "all" {
			e.m.growth.Refund(n)
		} else {
			e.m.growth.Refund(arg(1))
		}
		d.step(r, &Returned{})
	case "done":
		s, id := live(1)
		ev := &Done{Slot: s, ID: id}
		if len(cmd) > 2 {
			ev.Owed = number(d.t, strings.TrimPrefix(cmd[2], "owed="))
		}
		d.step(r, ev)
	case "sends":
		e.wire = append(e.wire, d.frame(cmd[1:]))
	default:
		d.t.Fatalf("command %q", cmd)
	}
}

// frame makes a frame that a stream, loopy or nobody sane would write.
func (d *dialogue) frame(cmd []string) frame.Frame {
	end := cmd[len(cmd)-1] == "end"
	id := frame.StreamID(number(d.t, cmd[1]))
	n := 0
	if len(cmd) > 2 && cmd[2] != "end" {
		n = number(d.t, cmd[2])
	}
	switch cmd[0] {
	case "headers":
		return headers(id, end)
	case "data":
		return &frame.Data{StreamID: id, Size: n, Pending: 100_000, EndStream: end}
	case "message":
		m := message(id, n, n)
		m.EndStream = end
		return m
	case "rst":
		return frame.NewRSTStream(id, frame.ErrCode(n))
	case "window":
		return frame.NewWindowUpdate(id, 0, uint32(n))
	case "ping":
		return &frame.Ping{}
	case "goaway":
		return &frame.GoAway{LastStreamID: id, Code: frame.ErrCode(n)}
	case "settings":
		return setting(frame.SettingID(id), uint32(n))
	case "priority":
		return &frame.Priority{StreamID: id, DependsOn: frame.StreamID(n)}
	default:
		d.t.Fatalf("frame %q", cmd)
		return nil
	}
}

func (d *dialogue) step(r Role, ev Event) {
	e := d.side[r]
	var fx Effects
	err := e.m.Step(ev, d.now, &fx)
	check(d.t, e.m)
	for _, l := range describe(&fx) {
		d.out = append(d.out, e.name+" "+l)
	}
	if err != nil {
		d.out = append(d.out, e.name+" "+err.Error())
	}
	for _, c := range fx.Control {
		e.wire = append(e.wire, c)
	}
}

func (d *dialogue) deliver() {
	for moved := true; moved; {
		moved = false
		for r, e := range d.side {
			for len(e.wire) > 0 {
				f := e.wire[0]
				e.wire = e.wire[1:]
				d.out = append(d.out, fmt.Sprintf("%s: %s ->", e.name, describeFrame(f)))
				d.step(Role(1-r), f)
				moved = true
			}
		}
	}
}

func (d *dialogue) pass(span time.Duration) {
	until := d.now.Add(span)
	for {
		next, who := time.Time{}, Client
		for r, e := range d.side {
			if at := e.m.armed; !at.IsZero() && !at.After(until) && (next.IsZero() || at.Before(next)) {
				next, who = at, Role(r)
			}
		}
		if next.IsZero() {
			break
		}
		d.now = next
		d.out = append(d.out, fmt.Sprintf("after %v:", next.Sub(epoch)))
		d.step(who, &Tick{})
	}
	d.now = until
}

func number(t testing.TB, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func duration(t testing.TB, s string) time.Duration {
	v, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
