package docs_test

import (
	"go/ast"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLimitsListsEveryField(t *testing.T) {
	var want []string
	for _, f := range parseDir(t, moduleRoot) {
		ast.Inspect(f, func(n ast.Node) bool {
			ts, ok := n.(*ast.TypeSpec)
			if !ok || ts.Name.Name != "Limits" {
				return true
			}
			if st, ok := ts.Type.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					for _, name := range field.Names {
						want = append(want, name.Name)
					}
				}
			}
			return false
		})
	}
	if len(want) < 10 {
		t.Fatalf("found %d fields: the search is broken", len(want))
	}
	listed := named(page(t, "docs/limits.md"))
	for _, name := range want {
		if row, ok := listed[name]; !ok || len(row) < 4 {
			t.Errorf("%s is not listed", name)
		}
		delete(listed, name)
	}
	if d := cmp.Diff(map[string][]string{}, listed); d != "" {
		t.Errorf("listed, and no limit: %s", d)
	}
}
