package callboard_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// witness is a picker that takes any connection and notes how the RPCs on it
// ended.
type witness struct {
	mu    sync.Mutex
	conns []balancer.SubConn
	ends  []string
	picks int
	drop  bool // RPCs
}

func (w *witness) Build(info base.PickerBuildInfo) balancer.Picker {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = nil
	for sc := range info.ReadySCs {
		w.conns = append(w.conns, sc)
	}
	if len(w.conns) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	return w
}

func (w *witness) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.picks++
	if w.drop {
		return balancer.PickResult{}, status.Error(codes.Unavailable, "dropped")
	}
	return balancer.PickResult{SubConn: w.conns[0], Metadata: metadata.Pairs("picked", "1"), Done: func(info balancer.DoneInfo) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ends = append(w.ends, status.Code(info.Err).String())
	}}, nil
}

// Every attempt is a pick of its own, and the picker hears of the end of each.
func TestPickersHearOfEveryAttempt(t *testing.T) {
	for name, tt := range map[string]struct {
		js   string
		want []string
	}{
		"retry":   {retryFast, []string{"OK", "Unavailable", "Unavailable"}},
		"hedging": {hedge(3, "100s"), []string{"OK", "Unavailable", "Unavailable"}},
	} {
		for kind, call := range bothKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				w := &witness{}
				a := failing(2, codes.Unavailable)
				unary := a.unary
				a.unary = func(ctx context.Context, n int) error {
					if md, _ := metadata.FromIncomingContext(ctx); len(md["picked"]) != 1 {
						t.Errorf("attempt %d: the picker's metadata is missing", n)
					}
					return unary(ctx, n)
				}
				cc, err := newSystem(t).NewClient(
					a.serve(t), callboard.WithTransportCredentials(insecure.NewCredentials()),
					callboard.WithBalancers(base.NewBalancerBuilder("witness", w, base.Config{})),
					callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"witness":{}}],"methodConfig":[{"name":[{}],`+tt.js+`}]}`),
				)
				if err != nil {
					t.Fatal(err)
				}
				if err := call(bounded(t), testpb.NewTestServiceClient(cc)); err != nil {
					t.Fatal(err)
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				slices.Sort(w.ends)
				if diff := cmp.Diff(tt.want, w.ends); diff != "" {
					t.Error(diff)
				}
				if w.picks != 3 {
					t.Errorf("%d picks, want 3", w.picks)
				}
			})
		}
	}
}

// What a picker drops is not tried again, whatever its code (gRFC A6).
func TestDropsAreNotRetried(t *testing.T) {
	for kind, call := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			w := &witness{drop: true}
			cc, err := newSystem(t).NewClient(
				failing(0, codes.OK).serve(t), callboard.WithTransportCredentials(insecure.NewCredentials()),
				callboard.WithBalancers(base.NewBalancerBuilder("witness", w, base.Config{})),
				callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"witness":{}}],"methodConfig":[{"name":[{}],`+retrySlow+`}]}`),
			)
			if err != nil {
				t.Fatal(err)
			}
			err = call(bounded(t), testpb.NewTestServiceClient(cc))
			if status.Code(err) != codes.Unavailable || w.picks != 1 {
				t.Errorf("%v after %d picks, want Unavailable after one", err, w.picks)
			}
		})
	}
}
