package docs_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// A program is a Go block that is a whole file; any other is a fragment: what
// might stand in a function.
func isProgram(source string) bool { return strings.Contains(source, "\npackage main\n") }

// Every Go fragment of every document compiles, each as the body of a function.
func TestFragmentsCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a package")
	}
	var bodies []string
	seen := 0
	for _, name := range documents(t) {
		for i, m := range goBlock.FindAllStringSubmatch(page(t, name), -1) {
			if isProgram(m[1]) {
				continue
			}
			seen++
			title := fmt.Sprintf("// %s, Go block %d\n", name, i+1)
			bodies = append(bodies, title+fmt.Sprintf("func _() {\n%s%s}\n", m[1], uses(t, name, m[1])))
		}
	}
	if seen < 8 {
		t.Fatalf("found %d fragments: the search is broken", seen)
	}
	source := surroundings + strings.Join(bodies, "\n")
	if out, err := overlaid(t, t.TempDir(), "fragments", imports(source)+source).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// surroundings are what fragments may take for granted.
const surroundings = `
var (
	ctx    context.Context
	sys    *callboard.System
	srv    *callboard.Server
	logger *slog.Logger
	creds  credentials.TransportCredentials
	opts   []callboard.DialOption
	watch  func(callboard.Failure) callboard.Directive
)

`

// known are the packages of fragments, by the name they are used under.
var known = map[string]string{
	"callboard":    module,
	"context":      "context",
	"credentials":  "google.golang.org/grpc/credentials",
	"fmt":          "fmt",
	"grpcresolver": "google.golang.org/grpc/resolver",
	"log":          "log",
	"manual":       module + "/resolver/manual",
	"os":           "os",
	"policy":       module + "/balancer/policy",
	"resolver":     module + "/resolver",
	"slog":         "log/slog",
	"strings":      "strings",
	"syscall":      "syscall",
	"time":         "time",
}

func imports(source string) string {
	var b strings.Builder
	b.WriteString("// Package fragments is made of the documents' fragments.\npackage fragments\n\nimport (\n")
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if regexp.MustCompile(`\b` + name + `\.[A-Z]`).MatchString(source) {
			fmt.Fprintf(&b, "\t%s %q\n", name, known[name])
		}
	}
	b.WriteString(")\n")
	return b.String()
}

// uses are statements that use what a fragment declares: the compiler minds if
// nothing does.
func uses(t *testing.T, name, fragment string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, "package p\nfunc _() {\n"+fragment+"}\n", parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%s: %v in\n%s", name, err, fragment)
	}
	var b strings.Builder
	for _, st := range f.Decls[0].(*ast.FuncDecl).Body.List {
		assign, ok := st.(*ast.AssignStmt)
		if !ok || assign.Tok != token.DEFINE {
			continue
		}
		for _, e := range assign.Lhs {
			if id, ok := e.(*ast.Ident); ok && id.Name != "_" {
				fmt.Fprintf(&b, "_ = %s\n", id.Name)
			}
		}
	}
	return b.String()
}

// documents are all pages, named from the module's root.
func documents(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			list = append(list, "docs/"+filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// overlaid is the command that builds one source file as if it stood in this
// module. A program's binary is dir/name.
func overlaid(t *testing.T, dir, name, source string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(dir, name+".go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(root, "docs", "overlaid", name, name+".go"): file},
	})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, name+".json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "-overlay", list}
	if isProgram(source) {
		args = append(args, "-o", filepath.Join(dir, name))
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./docs/overlaid/"+name)...)
	cmd.Dir = root
	return cmd
}

// buildProgram builds a program and says where it is.
func buildProgram(t *testing.T, dir, name, source string) string {
	t.Helper()
	if out, err := overlaid(t, dir, name, source).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return filepath.Join(dir, name)
}
