package header

import (
	"strconv"

	"google.golang.org/grpc/codes"
)

// HTTP status codes that appear on the wire of a gRPC server.
const (
	httpOK                   = 200
	httpBadRequest           = 400
	httpMethodNotAllowed     = 405
	httpUnsupportedMediaType = 415
)

// StatusFromHTTP is the code of an RPC whose response carries no grpc-status
// (gRPC's HTTP to gRPC status code mapping).
func StatusFromHTTP(httpStatus int) codes.Code {
	switch httpStatus {
	case httpBadRequest:
		return codes.Internal
	case 401:
		return codes.Unauthenticated
	case 403:
		return codes.PermissionDenied
	case 404:
		return codes.Unimplemented
	case 429, 502, 503, 504:
		return codes.Unavailable
	}
	return codes.Unknown
}

func formatHTTPStatus(n int) string {
	switch n {
	case 0, httpOK:
		return "200"
	case httpBadRequest:
		return "400"
	case httpMethodNotAllowed:
		return "405"
	case httpUnsupportedMediaType:
		return "415"
	}
	return strconv.Itoa(n)
}

// parseHTTPStatus reads a :status: three digits (RFC 9113 8.3.2, RFC 9110 15).
// Numbers above 599 have no meaning but are let through; they map to Unknown.
func parseHTTPStatus(s string) (int, bool) {
	if len(s) != 3 {
		return 0, false
	}
	n := 0
	for i := range 3 {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n >= 100
}
