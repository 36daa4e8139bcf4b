package callboard_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/resolver"
)

// offering is a resolver that takes its time to answer with one address and a
// service config.
func offering(addr grpcresolver.Address, js string) *manual.Resolver {
	r := manual.NewBuilderWithScheme("offering")
	r.BuildCallback = func(_ grpcresolver.Target, cc grpcresolver.ClientConn, o grpcresolver.BuildOptions) {
		go func() {
			st := grpcresolver.State{Addresses: []grpcresolver.Address{addr}}
			if js != "" && !o.DisableServiceConfig {
				st.ServiceConfig = cc.ParseServiceConfig(js)
			}
			r.UpdateState(st)
		}()
	}
	return r
}

// The first call of a channel already heeds what the resolver says of its
// method.
func TestFirstCallHeedsTheResolversServiceConfig(t *testing.T) {
	addr := playbook{unary: echo}.start(t, grpc.NewServer())
	const small = `{"methodConfig":[{"name":[{}],"maxRequestMessageBytes":1}]}`
	for name, tt := range map[string]struct {
		theirs []grpc.DialOption
		ours   []callboard.DialOption
	}{
		"taken": {},
		"disabled": {
			theirs: []grpc.DialOption{grpc.WithDisableServiceConfig()},
			ours:   []callboard.DialOption{callboard.WithDisableServiceConfig()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := func() *manual.Resolver { return offering(grpcresolver.Address{Addr: addr}, small) }
			theirs, ours := append(tt.theirs, grpc.WithResolvers(r())), append(tt.ours, callboard.WithResolvers(r()))
			bothClients(t, addr, dialEither(t, "offering:///x", theirs, ours), func(cc grpc.ClientConnInterface) []string {
				return []string{code(sent(cc, soon(t))), code(sent(cc, soon(t)))}
			})
		})
	}
}

// The name that a resolver gives an address is the authority of what is sent
// there, unless WithAuthority says otherwise.
func TestAddressesHaveServerNames(t *testing.T) {
	seen := make(chan string, 1)
	addr := playbook{unary: func(ctx context.Context, in *text) (*text, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		seen <- strings.Join(md[":authority"], " ")
		return in, nil
	}}.start(t, grpc.NewServer())
	for name, tt := range map[string]struct {
		theirs []grpc.DialOption
		ours   []callboard.DialOption
	}{
		"the address's": {},
		"WithAuthority": {[]grpc.DialOption{grpc.WithAuthority("mine")}, []callboard.DialOption{callboard.WithAuthority("mine")}},
	} {
		t.Run(name, func(t *testing.T) {
			r := func() *manual.Resolver { return offering(grpcresolver.Address{Addr: addr, ServerName: "named"}, "") }
			theirs, ours := append(tt.theirs, grpc.WithResolvers(r())), append(tt.ours, callboard.WithResolvers(r()))
			bothClients(t, addr, dialEither(t, "offering:///x", theirs, ours), func(cc grpc.ClientConnInterface) []string {
				if err := sent(cc, soon(t)); err != nil {
					t.Error(err)
				}
				return []string{<-seen}
			})
		})
	}
}

// What a resolver or a dialler panics with is why calls fail; nothing else is
// affected.
func TestPanicsBelowTheCall(t *testing.T) {
	broken := manual.NewBuilderWithScheme("broken")
	broken.BuildCallback = func(grpcresolver.Target, grpcresolver.ClientConn, grpcresolver.BuildOptions) { panic("no way") }
	for target, opt := range map[string]callboard.DialOption{
		"broken:///x": callboard.WithResolvers(broken),
		"passthrough:///x": callboard.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			panic("no way")
		}),
	} {
		err := sent(ours(t, target, opt), soon(t))
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no way") {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// A panic of user code on a goroutine of ours ends nothing but itself.
func TestPanickingOnFinish(t *testing.T) {
	addr := playbook{unary: echo, stream: echoStream}.start(t, grpc.NewServer())
	cc := ours(t, addr)
	ctx, cancel := context.WithCancel(soon(t))
	called := make(chan struct{})
	st, err := cc.NewStream(ctx, bidiDesc, bidiPath, grpc.OnFinish(func(error) { close(called); panic("on finish") }))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-called
	<-st.Context().Done()
	if err := sent(cc, soon(t)); err != nil {
		t.Error(err)
	}
}

// connLog says when it has heard of a connection's end.
type connLog struct {
	*statsLog
	ended chan struct{}
}

func newConnLog() connLog { return connLog{statsLog: newStatsLog(), ended: make(chan struct{})} }

func (l connLog) HandleConn(ctx context.Context, ev stats.ConnStats) {
	l.statsLog.HandleConn(ctx, ev)
	if end, ok := ev.(*stats.ConnEnd); ok && end.Client {
		close(l.ended)
	}
}

// Stats handlers hear of a client's connections as they do in grpc-go.
func TestClientConnStats(t *testing.T) {
	addr := playbook{unary: echo}.start(t, grpc.NewServer())
	see := func(l connLog, cc closingConn, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := sent(cc, soon(t)); err != nil {
			t.Fatal(err)
		}
		if err := cc.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-l.ended:
		case <-soon(t).Done():
			t.Error("no ConnEnd")
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.conn
	}
	theirs, mine := newConnLog(), newConnLog()
	g, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(theirs))
	want := see(theirs, g, err)
	c, err := newSystem(t).NewClient(addr, callboard.WithInsecure(), callboard.WithStatsHandler(mine))
	if diff := cmp.Diff(want, see(mine, c, err)); diff != "" {
		t.Errorf("-grpc-go +callboard:\n%s", diff)
	}
}

// A channel whose actor is no more answers its calls.
func TestChannelThatPanicked(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		s.open(false)
		result := make(chan error, 1)
		go func() { result <- s.call(context.Background(), grpc.WaitForReady(true)) }()
		synctest.Wait()
		s.as.Root.Send(actor.NewPID(s.as.Address(), "play/client/passthrough:///stage"), (*resolver.Update)(nil))
		if err := <-result; status.Code(err) != codes.Canceled {
			t.Error(err)
		}
		if err := s.cc.Close(); err != nil && !errors.Is(err, grpc.ErrClientConnClosing) { //nolint:staticcheck // the value Close returns
			t.Error(err)
		}
	})
}
