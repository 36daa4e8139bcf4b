package resolver

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestSplitHostPort(t *testing.T) {
	for _, tt := range []struct {
		in, host, port string
		err            error
	}{
		{in: "name", host: "name", port: "443"},
		{in: "name.", host: "name.", port: "443"},
		{in: "name:80", host: "name", port: "80"},
		{in: "name:https", host: "name", port: "https"},
		{in: ":80", host: "localhost", port: "80"},
		{in: "10.0.0.1", host: "10.0.0.1", port: "443"},
		{in: "10.0.0.1:80", host: "10.0.0.1", port: "80"},
		{in: "::1", host: "::1", port: "443"},
		{in: "[::1]", host: "::1", port: "443"},
		{in: "[::1]:80", host: "::1", port: "80"},
		{in: "fe80::1%eth0", host: "fe80::1%eth0", port: "443"},
		{in: "[fe80::1%eth0]:80", host: "fe80::1%eth0", port: "80"},
		{in: "[name]", host: "name", port: "443"},
		{in: "", err: errNoName},
		{in: "name:", err: errNoPort},
		{in: "[::1]:", err: errNoPort},
		{in: ":", err: errNoPort},
		{in: "a:b:c", err: errNoHostPort},
		{in: "[::1", err: errNoHostPort},
		{in: "::1]", err: errNoHostPort},
		{in: "[]", err: errNoHostPort},
		{in: "[::1]80", err: errNoHostPort},
		{in: "http://name", err: errNoHostPort},
	} {
		host, port, err := splitHostPort(tt.in, defaultPort)
		if host != tt.host || port != tt.port || !errors.Is(err, tt.err) {
			t.Errorf("%q: %q %q %v", tt.in, host, port, err)
		}
	}
}

func FuzzSplitHostPort(f *testing.F) {
	for _, s := range []string{"name", "name:80", ":80", "[::1]:80", "::1", "", "[", "]:", "[]:1", "a:b:c", "fe80::1%25eth0", strings.Repeat(":", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := splitHostPort(s, defaultPort)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d octets", len(err.Error()))
			}
			return
		}
		if host == "" || port == "" {
			t.Fatalf("%q: %q %q", s, host, port)
		}
		// What was split fits together again, and means the same.
		h, p, err := splitHostPort(net.JoinHostPort(host, port), "1")
		if err != nil || h != host || p != port {
			t.Errorf("%q: %q %q, then %q %q %v", s, host, port, h, p, err)
		}
	})
}
