// Package docs_test holds the documents to the code: what they list is what
// there is, what they show compiles and runs.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/callboard-rpc/callboard"

// moduleRoot is the folder of go.mod; the tests run one below it.
const moduleRoot = ".."

// page reads a document, named from the module's root.
func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(moduleRoot, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// parseDir parses the non-test files of one folder, by file name.
func parseDir(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = f
	}
	return files
}

// folders lists the folders below root with Go files of this module.
func folders(t *testing.T, root string) (dirs []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if path != root {
			if base := filepath.Base(path); strings.HasPrefix(base, ".") || base == "testdata" {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return filepath.SkipDir
			}
		}
		if names, _ := filepath.Glob(filepath.Join(path, "*.go")); len(names) > 0 {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// importPath is the import path of a folder of this module, without the module.
func importPath(dir string) string {
	rel, err := filepath.Rel(moduleRoot, dir)
	if err != nil {
		return dir
	}
	return filepath.ToSlash(rel)
}

// grpcDir is where grpc-go's own source is, in the version go.mod names.
func grpcDir(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "google.golang.org/grpc").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// section is what stands under a heading, up to the next of the same or a
// higher level.
func section(text, heading string) string {
	level := len(heading) - len(strings.TrimLeft(heading, "#"))
	var b strings.Builder
	in := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if n := len(trimmed) - len(strings.TrimLeft(trimmed, "#")); n > 0 && n <= level && strings.HasPrefix(trimmed[n:], " ") {
			in = trimmed == heading
			continue
		}
		if in {
			b.WriteString(line)
		}
	}
	return b.String()
}

// rows are the cells of the tables in text; code marks and headings removed.
func rows(text string) (all [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-") || strings.HasPrefix(line, "|:") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, cells)
	}
	return all
}

// named are the rows whose first cell is `Name`.
func named(text string) map[string][]string {
	out := map[string][]string{}
	for _, r := range rows(text) {
		if name, ok := strings.CutPrefix(r[0], "`"); ok {
			out[strings.TrimSuffix(name, "`")] = r
		}
	}
	return out
}
