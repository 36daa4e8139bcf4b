package docs_test

import (
	"go/ast"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A message is an exported type that stands in a package's messages.go or
// events.go, that an actor's Receive or a machine's Step takes, or that marks
// itself as a frame or a machine's event.
func TestMessagesListsEveryExportedMessage(t *testing.T) {
	text := page(t, "docs/messages.md")
	want := messages(t)
	if len(want) < 5 {
		t.Fatalf("found %d packages with messages: the search is broken", len(want))
	}
	for _, pkg := range slices.Sorted(maps.Keys(want)) {
		listed := named(section(text, "## "+pkg))
		for _, name := range slices.Sorted(maps.Keys(want[pkg])) {
			row, ok := listed[name]
			if !ok {
				t.Errorf("%s: %s is not listed", pkg, name)
				continue
			}
			if len(row) < 3 || row[1] == "" || row[2] == "" {
				t.Errorf("%s: %s has no sender, or no text", pkg, name)
			}
		}
		there := found{}
		for _, f := range parseDir(t, filepath.Join(moduleRoot, pkg)) {
			declared(f, func(name string) { there.add(pkg, name) })
		}
		for name := range listed {
			if !want[pkg][name] && !there[pkg][name] {
				t.Errorf("%s: %s is listed, and no longer there", pkg, name)
			}
		}
	}
	for line := range strings.Lines(text) {
		if pkg, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok && want[pkg] == nil {
			t.Errorf("%s has a section and no messages", pkg)
		}
	}
}

type found map[string]map[string]bool // package -> type

func (f found) add(pkg, name string) {
	if !ast.IsExported(name) {
		return
	}
	if f[pkg] == nil {
		f[pkg] = map[string]bool{}
	}
	f[pkg][name] = true
}

func messages(t *testing.T) found {
	all := found{}
	for _, dir := range folders(t, moduleRoot) {
		pkg := importPath(dir)
		if strings.HasPrefix(pkg, "interop") || strings.HasPrefix(pkg, "benchmark") ||
			strings.HasPrefix(pkg, "examples") || strings.HasPrefix(pkg, "cmd") || pkg == "internal/testpeer" {
			continue // programs and test peers, not the library
		}
		for name, f := range parseDir(t, dir) {
			if base := strings.TrimSuffix(filepath.Base(name), ".go"); base == "messages" || base == "events" {
				declared(f, func(name string) { all.add(pkg, name) })
			}
			taken(f, pkg, all)
			if pkg != "." { // its events are the program's, and channel.md's
				marked(f, func(name string) { all.add(pkg, name) })
			}
		}
	}
	return all
}

// declared yields the struct types of a file.
func declared(f *ast.File, yield func(name string)) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			if ts, ok := s.(*ast.TypeSpec); ok {
				if _, ok := ts.Type.(*ast.StructType); ok {
					yield(ts.Name.Name)
				}
			}
		}
	}
}

// marked yields the types with the method that makes them a frame.Frame or some
// machine's Event.
func marked(f *ast.File, yield func(name string)) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv == nil || fn.Name.Name != "frame" && fn.Name.Name != "event" {
			continue
		}
		of := fn.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		if id, ok := of.(*ast.Ident); ok {
			yield(id.Name)
		}
	}
}

// taken adds the pointer types in the type switches of Receive and Step.
func taken(f *ast.File, pkg string, all found) {
	imports := map[string]string{}
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		imports[name] = path
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv == nil || fn.Name.Name != "Receive" && fn.Name.Name != "Step" {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			clause, ok := n.(*ast.CaseClause)
			if !ok {
				return true
			}
			for _, e := range clause.List {
				star, ok := e.(*ast.StarExpr)
				if !ok {
					continue
				}
				switch x := star.X.(type) {
				case *ast.Ident:
					all.add(pkg, x.Name)
				case *ast.SelectorExpr:
					from := imports[x.X.(*ast.Ident).Name]
					if rest, ok := strings.CutPrefix(from, module+"/"); ok {
						all.add(rest, x.Sel.Name)
					}
				}
			}
			return true
		})
	}
}
