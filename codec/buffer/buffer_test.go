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

func TestClassesFit(t *testing.T) {
	for c := range classes {
		if got := classOf(sizeOf(c)); got != c {
			t.Errorf("a buffer of class %d (%d octets) counts as class %d", c, sizeOf(c), got)
		}
		if c > 0 && classOf(sizeOf(c-1)+1) != c {
			t.Errorf("%d octets are of class %d, want %d", sizeOf(c-1)+1, classOf(sizeOf(c-1)+1), c)
		}
	}
	if n := sizeOf(classOf(1<<20 + 20)); n != 5<<18 {
		t.Errorf("a little more than 1 MiB takes %d octets", n)
	}
}

func TestShelfKeepsWhatIsWantedAndLetsGoOfTheRest(t *testing.T) {
	var s shelf
	bs := make([]*Buffer, 8)
	for i := range bs {
		bs[i] = &Buffer{full: make([]byte, 1<<10), class: firstLarge}
	}
	before := shelved.Load()
	for _, b := range bs {
		s.put(b)
	}
	s.trim() // everything came since the last collection
	if n := len(s.free); n != 8 {
		t.Fatalf("%d kept, want all 8", n)
	}
	for range 6 { // two are never wanted
		s.take()
	}
	for _, b := range bs[:6] {
		s.put(b)
	}
	s.trim()
	if n := len(s.free); n != 7 {
		t.Errorf("%d kept, want 7: half of the two that nobody wanted go", n)
	}
	for range 4 {
		s.trim()
	}
	if n := len(s.free); n != 0 {
		t.Errorf("%d kept after collections without use", n)
	}
	if got := shelved.Load() - before; got != 0 {
		t.Errorf("%d octets counted as kept", got)
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
