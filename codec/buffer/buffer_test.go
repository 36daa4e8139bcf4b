package buffer

import (
	"testing"
)

func TestGetCutsToLengthWithinItsClass(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 4096, 4097, 1 << 20, 1 << 22, 1<<22 + 1} {
		b := Get(n)
		if len(b.B) != n {
			t.Errorf("Get(%d): length %d", n, len(b.B))
		}
		if b.Cap() < n || (n > 64 && n <= 1<<22 && b.Cap() >= 2*n) {
			t.Errorf("Get(%d): occupies %d", n, b.Cap())
		}
		b.Release()
	}
}

func TestReleaseBeyondTheLastReferencePanics(t *testing.T) {
	b := Wrap([]byte("x"))
	b.Retain().Release()
	b.Release()
	defer func() {
		if recover() == nil {
			t.Fatal("a second owner could have got the bytes twice")
		}
	}()
	b.Release()
}

func TestTakenAgainAfterReslicing(t *testing.T) {
	b := Get(100)
	b.B = b.B[50:60]
	b.Release()
	c := Get(128)
	if len(c.B) != 128 {
		t.Fatalf("length %d", len(c.B))
	}
	c.Release()
}

func BenchmarkGetRelease(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Get(100).Release()
	}
}
