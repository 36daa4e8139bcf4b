package inspect

import (
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/actors"
)

// branch is an actor with children, by name.
type branch struct {
	table *actors.Table
	kids  map[string]*branch
	ready chan struct{}
}

func (b *branch) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*actor.Started); !ok {
		return
	}
	actors.ProbeOf(ctx).SetState("running")
	for name, kid := range b.kids {
		kid.table, kid.ready = b.table, b.ready
		kind, _, _ := strings.Cut(name, "-")
		actors.MustSpawn[any](ctx, name, &actors.Spec{Kind: kind, Table: b.table}, kid)
	}
}

func grow(t *testing.T, root *branch) *actors.Table {
	t.Helper()
	root.table = &actors.Table{}
	as := actors.NewSystem(nil)
	ref, err := actors.Spawn[any](as.Root, "callboard", &actors.Spec{Kind: "system", Table: root.table}, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		done := ref.Probe().Done()
		ref.Stop()
		<-done
	})
	return root.table
}

func kids(pairs ...any) *branch {
	b := &branch{kids: map[string]*branch{}}
	for i := 0; i < len(pairs); i += 2 {
		b.kids[pairs[i].(string)] = pairs[i+1].(*branch)
	}
	return b
}

func outline(s *Snapshot) (lines []string) {
	s.Walk(func(depth int, n *Node) bool {
		lines = append(lines, strings.Repeat("  ", depth)+n.Name)
		return true
	})
	return lines
}

// The names are those of the supervision tree; a target may hold slashes, and
// one name may begin like another.
func TestTree(t *testing.T) {
	channel := func() *branch {
		return kids("resolver", kids(), "balancer", kids("subchannel-1", kids(
			"conn-1", kids("reader", kids(), "loopy", kids(), "stream-0", kids(), "stream-0.1", kids()),
		)))
	}
	table := grow(t, kids(
		"client/dns:///foo", channel(), "client/dns:///foo.example.com", channel(), "client/dns:///foo#2", kids(),
		"server/main", kids("listener-127.0.0.1:80", kids("conn-1", kids()), "listener-127.0.0.1:8080", kids()),
	))
	s := Take("callboard", table)
	tree := []string{
		"    balancer", "      subchannel-1", "        conn-1", "          loopy", "          reader",
		"          stream-0", "          stream-0.1", "    resolver",
	}
	want := []string{"callboard", "  client/dns:///foo"}
	want = append(want, tree...)
	want = append(want, "  client/dns:///foo#2", "  client/dns:///foo.example.com")
	want = append(want, tree...)
	want = append(want, "  server/main", "    listener-127.0.0.1:80", "      conn-1", "    listener-127.0.0.1:8080")
	if d := cmp.Diff(want, outline(s)); d != "" {
		t.Errorf("tree (-want +got):\n%s", d)
	}
	if s.Actors != len(want) || s.System != "callboard" {
		t.Errorf("%d actors of %s", s.Actors, s.System)
	}
	n := s.Find("callboard/client/dns:///foo/balancer/subchannel-1/conn-1")
	if n == nil || n.Kind != "conn" || n.State != "running" || n.Name != "conn-1" || len(n.Children) != 4 {
		t.Errorf("found %+v", n)
	}
	if s.Find("callboard/nobody") != nil {
		t.Error("found nobody")
	}
}

func TestWalkStops(t *testing.T) {
	s := Take("callboard", grow(t, kids("a", kids("b", kids()), "c", kids())))
	n := 0
	s.Walk(func(int, *Node) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("visited %d", n)
	}
}

func TestText(t *testing.T) {
	s := Take("callboard", grow(t, kids("client/x", kids("resolver", kids()))))
	lines := strings.Split(strings.TrimSpace(s.String()), "\n")
	if len(lines) != 5 || !strings.Contains(lines[0], "3 actors") || !strings.HasPrefix(lines[4], "    resolver") || !strings.Contains(lines[4], "running") {
		t.Errorf("printed\n%s", s)
	}
}
