package docs_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// What migrating.md may say of an option.
const (
	same    = "same"
	differs = "differs"
	missing = "missing"
)

func TestMigratingListsEveryOptionOfGRPCGo(t *testing.T) {
	text := page(t, "docs/migrating.md")
	theirs, ours := parseDir(t, grpcDir(t)), parseDir(t, moduleRoot)
	for _, tt := range []struct {
		kind, heading string
		inherited     bool // grpc-go's own function is used, callboard has none
	}{
		{kind: "DialOption", heading: "## Dial options"},
		{kind: "ServerOption", heading: "## Server options"},
		{kind: "CallOption", heading: "## Call options", inherited: true},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			listed := named(section(text, tt.heading))
			want := constructors(theirs, tt.kind)
			if len(want) < 10 {
				t.Fatalf("found %d functions that return a %s in grpc-go: the search is broken", len(want), tt.kind)
			}
			have := functions(ours)
			for _, name := range want {
				row, ok := listed[name]
				if !ok || len(row) < 3 {
					t.Errorf("%s is not listed", name)
					continue
				}
				switch status := row[1]; {
				case status != same && status != differs && status != missing:
					t.Errorf("%s: %q is not one of same, differs, missing", name, status)
				case tt.inherited:
				case status == missing && slices.Contains(have, name):
					t.Errorf("%s is there and listed as missing", name)
				case status != missing && !slices.Contains(have, name):
					t.Errorf("%s is listed as %q and not there", name, status)
				}
			}
			for name := range listed {
				if !slices.Contains(want, name) {
					t.Errorf("%s is listed, and no %s of grpc-go", name, tt.kind)
				}
			}
			for _, name := range constructors(ours, tt.kind) {
				if !slices.Contains(want, name) && !strings.Contains(section(text, tt.heading), "`"+name+"`") {
					t.Errorf("%s is new here, and not named", name)
				}
			}
		})
	}
}

// constructors are the exported functions whose only result is a kind.
func constructors(files map[string]*ast.File, kind string) (names []string) {
	for _, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || fn.Type.Results == nil || len(fn.Type.Results.List) != 1 {
				continue
			}
			if id, ok := fn.Type.Results.List[0].Type.(*ast.Ident); ok && id.Name == kind {
				names = append(names, fn.Name.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func functions(files map[string]*ast.File) (names []string) {
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}
