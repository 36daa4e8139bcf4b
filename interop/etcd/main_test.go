package etcd_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Of what etcd starts, only what belongs to the process may be left.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}
