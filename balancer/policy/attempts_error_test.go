package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAttemptsErrorKeepsItsChain(t *testing.T) {
	refused := status.Error(codes.PermissionDenied, "certificate")
	e := &AttemptsError{Failures: []AddressError{{"a:1", errDial}, {"b:1", fmt.Errorf("handshake: %w", refused)}}}
	var ae *AddressError
	if !errors.As(e, &ae) || ae.Address != "a:1" {
		t.Errorf("first failure %+v", ae)
	}
	if !errors.Is(e, errDial) || !errors.Is(e, refused) {
		t.Error("a cause is lost")
	}
	if _, own := error(e).(interface{ GRPCStatus() *status.Status }); own {
		t.Error("it has a status of its own")
	}
}

func TestAttemptsErrorIsShort(t *testing.T) {
	e := &AttemptsError{}
	if e.Error() == "" {
		t.Error("empty")
	}
	for i := range 1000 {
		e.Failures = append(e.Failures, AddressError{fmt.Sprintf("10.0.0.1:%d", i), errDial})
	}
	if s := e.Error(); len(s) > 200 || !strings.Contains(s, "10.0.0.1:0") {
		t.Errorf("%d octets: %.200s", len(s), s)
	}
}
