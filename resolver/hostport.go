package resolver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

var (
	errNoName     = errors.New("the target names no host")
	errNoPort     = errors.New("there is no port behind the colon")
	errNoHostPort = errors.New("not a host, host:port, [ipv6] or [ipv6]:port")
)

// splitHostPort takes "name", "name:port", an IP literal with or without
// brackets and port, or ":port", which is the local host's as in net.Dial.
func splitHostPort(s, port string) (string, string, error) {
	if s == "" {
		return "", "", errNoName
	}
	if strings.Contains(s, "/") { // a URL, most often
		return "", "", fmt.Errorf("%q: %w", clip(s), errNoHostPort)
	}
	if _, err := netip.ParseAddr(s); err == nil && !strings.ContainsAny(s, "[]") { // a zone may have anything
		return s, port, nil
	}
	if host, p, err := net.SplitHostPort(s); err == nil {
		switch {
		case p == "":
			return "", "", fmt.Errorf("%q: %w", clip(s), errNoPort)
		case host == "":
			host = "localhost"
		}
		return host, p, nil
	}
	inner, bracketed := strings.CutPrefix(s, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
	}
	if !bracketed {
		inner = s
	}
	if inner == "" || strings.ContainsAny(inner, "[]") || !bracketed && strings.Contains(inner, ":") {
		return "", "", fmt.Errorf("%q: %w", clip(s), errNoHostPort)
	}
	return inner, port, nil
}

// clip keeps what is quoted in an error short.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
