package policy

import (
	"testing"

	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/resolver"
)

func texts(list []resolver.Address) (out []string) {
	for _, a := range list {
		out = append(out, a.Addr)
	}
	return out
}

func TestListHoldsEachAddressOnce(t *testing.T) {
	eps := []resolver.Endpoint{endpoint("a:1", "b:1"), endpoint("b:1", "c:1", "c:1"), endpoint(), endpoint("a:1")}
	diff(t, "list", texts(flat(eps)), []string{"a:1", "b:1", "c:1"})
}

func TestFamiliesAlternate(t *testing.T) {
	tests := []struct {
		name     string
		in, want []string
	}{
		{"IPv6 first", []string{"[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"}, []string{"[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"}},
		{"IPv4 first", []string{"1.1.1.1:1", "2.2.2.2:1", "[::1]:1"}, []string{"1.1.1.1:1", "[::1]:1", "2.2.2.2:1"}},
		{"one family keeps its order", []string{"2.2.2.2:1", "1.1.1.1:1"}, []string{"2.2.2.2:1", "1.1.1.1:1"}},
		{"names are a family", []string{"a:1", "b:1", "1.1.1.1:1", "[::1]:1"}, []string{"a:1", "1.1.1.1:1", "[::1]:1", "b:1"}},
		{"none", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			diff(t, "list", texts(interleaved(flat([]resolver.Endpoint{endpoint(tt.in...)}))), tt.want)
		})
	}
}

func TestFamily(t *testing.T) {
	for addr, want := range map[string]family{
		"127.0.0.1:80":          ipv4,
		"[::1]:80":              ipv6,
		"[fe80::1%eth0]:80":     ipv6,
		"[::ffff:10.0.0.1]:80":  ipv4,
		"[::FFFF:10.0.0.1]:80":  ipv4,
		"example.com:80":        otherFamily,
		"localhost":             otherFamily,
		"/run/socket":           otherFamily,
		"[::1]":                 otherFamily,
		"[]:80":                 otherFamily,
		"[:80":                  otherFamily,
		"":                      otherFamily,
		":80":                   otherFamily,
		"1.2.3.4.example.com:1": otherFamily,
	} {
		if got := familyOf(addr); got != want {
			t.Errorf("%q is of family %d, want %d", addr, got, want)
		}
	}
}

func TestShuffleFollowsWeights(t *testing.T) {
	eps := []resolver.Endpoint{
		weight.Set(endpoint("a:1"), weight.EndpointInfo{Weight: 1}),
		weight.Set(endpoint("b:1"), weight.EndpointInfo{Weight: 2}),
		endpoint("c:1"), // no weight is 1
		weight.Set(endpoint("d:1"), weight.EndpointInfo{Weight: 4}),
	}
	r := &rig{seed: 7}
	const n = 8000
	first := map[string]int{}
	for range n {
		out := shuffled(eps, r.Rand)
		if len(out) != len(eps) {
			t.Fatalf("%d endpoints, want %d", len(out), len(eps))
		}
		first[out[0].Addresses[0].Addr]++
	}
	for addr, share := range map[string]float64{"a:1": 1. / 8, "b:1": 2. / 8, "c:1": 1. / 8, "d:1": 4. / 8} {
		if got := float64(first[addr]) / n; got < share-0.02 || got > share+0.02 {
			t.Errorf("%s is in front in %.3f of all draws, want %.3f", addr, got, share)
		}
	}
	diff(t, "the resolver's own list", eps[0].Addresses[0].Addr, "a:1")
}

func TestShuffleOfZeroDraws(t *testing.T) {
	out := shuffled(endpoints("a:1", "b:1"), func() uint64 { return 0 })
	diff(t, "list", len(out), 2)
}
