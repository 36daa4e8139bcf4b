package docs_test

import (
	"context"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/inspect"
)

// What the pictures of the tree call an actor is what Inspect calls it.
func TestPicturesShowTheActorsThatInspectShows(t *testing.T) {
	want := liveTree(t)
	for _, name := range []string{"README.md", "docs/architecture.md"} {
		if d := cmp.Diff(want, pictured(t, page(t, name))); d != "" {
			t.Errorf("%s (-live +pictured):\n%s", name, d)
		}
	}
}

// liveTree runs an RPC and lists the paths of all actors, each name in the form
// the pictures use.
func liveTree(t *testing.T) []string {
	t.Helper()
	sys, err := callboard.NewSystem(callboard.WithName("docs"))
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := sys.NewServer()
	pb.RegisterBenchmarkServiceServer(srv, echo{})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	cc, err := sys.NewClient(lis.Addr().String(), callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	st, err := pb.NewBenchmarkServiceClient(cc).StreamingCall(ctx, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Send(&pb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(); err != nil {
		t.Fatal(err)
	}
	snap := sys.Inspect()
	_ = st.CloseSend()
	if _, err := st.Recv(); err != io.EOF {
		t.Errorf("end of stream: %v", err)
	}
	if err := sys.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}

	var paths, up []string
	snap.Walk(func(depth int, n *inspect.Node) bool {
		up = append(up[:depth], form(up[:depth], n.Name))
		paths = append(paths, strings.Join(up, " > "))
		return true
	})
	slices.Sort(paths)
	return slices.Compact(paths)
}

type echo struct {
	pb.UnimplementedBenchmarkServiceServer
}

func (echo) StreamingCall(st grpc.BidiStreamingServer[pb.SimpleRequest, pb.SimpleResponse]) error {
	for {
		if _, err := st.Recv(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := st.Send(&pb.SimpleResponse{}); err != nil {
			return err
		}
	}
}

// form replaces what varies in an actor's name.
func form(up []string, name string) string {
	side := ""
	if len(up) > 1 {
		side, _, _ = strings.Cut(up[1], "/")
	}
	switch kind, _, _ := strings.Cut(name, "-"); {
	case len(up) == 0:
		return "<system>"
	case strings.HasPrefix(name, "client/"):
		return "client/<target>"
	case strings.HasPrefix(name, "server/"):
		return "server/<name>"
	case kind == "listener":
		return "listener-<addr>"
	case kind == "subchannel":
		return "subchannel-<n>"
	case kind == "conn" && side == "client":
		return "conn-<epoch>"
	case kind == "conn":
		return "conn-<n>"
	case kind == "stream":
		return "stream-<slot>"
	}
	return name
}

var (
	fenced = regexp.MustCompile("(?s)```\n(<system>.*?)```")
	branch = regexp.MustCompile("^([ |]*[|`]- )?([^ ]+)")
)

// pictured reads the paths out of a document's picture of the tree.
func pictured(t *testing.T, text string) []string {
	t.Helper()
	m := fenced.FindStringSubmatch(text)
	if m == nil {
		t.Fatal("there is no picture of the tree")
	}
	var paths, up []string
	for line := range strings.Lines(m[1]) {
		b := branch.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if b == nil {
			continue
		}
		depth := len(b[1]) / 3
		up = append(up[:depth], b[2])
		paths = append(paths, strings.Join(up, " > "))
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
