package shared

import "testing"

func TestEqualValuesAreOne(t *testing.T) {
	var v Values[[2]int]
	a, b := v.Of([2]int{1, 2}), v.Of([2]int{3, 4})
	for range 3 {
		if got := v.Of([2]int{1, 2}); got != a {
			t.Errorf("%v is there twice", *got)
		}
		if got := v.Of([2]int{3, 4}); got != b {
			t.Errorf("%v is there twice", *got)
		}
	}
	if *a != [2]int{1, 2} || *b != [2]int{3, 4} {
		t.Errorf("got %v and %v", *a, *b)
	}
}

// Values that are never seen again do not pile up.
func TestManyValuesAreForgotten(t *testing.T) {
	var v Values[int]
	first := v.Of(0)
	for i := range 10 * recent {
		if p := v.Of(i); *p != i {
			t.Errorf("got %d for %d", *p, i)
		}
	}
	if v.Of(0) == first {
		t.Error("the first one is still there")
	}
}
