package docs_test

import (
	"go/ast"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

var (
	jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")
	inCode    = regexp.MustCompile("`([^`]+)`")
)

// accepts makes a client of target with a service config, and says what is wrong
// with them.
func accepts(target, config string) error {
	cc, err := callboard.NewClient(target, callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithDefaultServiceConfig(config))
	if err != nil {
		return err
	}
	return cc.Close()
}

func TestChannelTargetsAreAccepted(t *testing.T) {
	seen := 0
	for _, row := range rows(section(page(t, "docs/channel.md"), "## Targets")) {
		for _, m := range inCode.FindAllStringSubmatch(row[0], -1) {
			seen++
			if err := accepts(m[1], ""); err != nil {
				t.Error(err)
			}
		}
	}
	if seen < 5 {
		t.Errorf("found %d targets: the search is broken", seen)
	}
}

// Each policy has a row, and the example in it is one.
func TestChannelShowsEveryPolicy(t *testing.T) {
	listed := named(section(page(t, "docs/channel.md"), "## Choosing a policy"))
	for _, b := range policy.Default() {
		row := listed[b.Name]
		delete(listed, b.Name)
		if len(row) != 3 {
			t.Errorf("%s is not listed", b.Name)
			continue
		}
		entry := strings.Trim(row[2], "`")
		if !strings.HasPrefix(entry, `{"`+b.Name+`": {`) {
			t.Errorf("%s: the example is of another policy: %s", b.Name, entry)
		}
		if err := accepts("passthrough:///x", `{"loadBalancingConfig": [`+entry+`]}`); err != nil {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
	if d := cmp.Diff(map[string][]string{}, listed); d != "" {
		t.Errorf("listed, and no policy: %s", d)
	}
}

// Service configs in documents are accepted, and so are policies of a method.
func TestServiceConfigsAreAccepted(t *testing.T) {
	seen := 0
	for _, name := range documents(t) {
		for _, m := range jsonBlock.FindAllStringSubmatch(page(t, name), -1) {
			config := m[1]
			if part, ok := strings.CutPrefix(config, `{"hedgingPolicy"`); ok {
				config = `{"methodConfig": [{"name": [{}], "hedgingPolicy"` + part + `]}`
			}
			seen++
			if err := accepts("passthrough:///x", config); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, m[1])
			}
		}
	}
	if seen < 2 {
		t.Errorf("found %d: the search is broken", seen)
	}
}

func TestChannelListsEveryEvent(t *testing.T) {
	text := section(page(t, "docs/channel.md"), "## Events")
	want := events(t)
	if len(want) < 10 {
		t.Fatalf("found %d events: the search is broken", len(want))
	}
	for _, name := range want {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s is not listed", name)
		}
	}
}

// events are the types that embed callboard.Origin.
func events(t *testing.T) (names []string) {
	for _, f := range parseDir(t, moduleRoot) {
		ast.Inspect(f, func(n ast.Node) bool {
			ts, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for _, field := range st.Fields.List {
				if id, ok := field.Type.(*ast.Ident); ok && len(field.Names) == 0 && id.Name == "Origin" {
					names = append(names, ts.Name.Name)
				}
			}
			return false
		})
	}
	slices.Sort(names)
	return names
}

// The stages, answers and codes of an RPC that failed are the ones shown.
func TestChannelProgramsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	seen := 0
	for _, m := range goBlock.FindAllStringSubmatch(page(t, "docs/channel.md"), -1) {
		if !isProgram(m[1]) {
			continue
		}
		seen++
		addr := freeAddress(t)
		bin := buildProgram(t, t.TempDir(), "channel", strings.ReplaceAll(m[1], channelAddress, addr))
		out, err := exec.CommandContext(t.Context(), bin).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{"Unavailable while connecting\n", addr + " TRANSIENT_FAILURE until "} {
			if !strings.Contains(string(out), want) {
				t.Errorf("printed %q, want %q in it", out, want)
			}
		}
	}
	if seen == 0 {
		t.Error("there is no program")
	}
}

const channelAddress = "127.0.0.1:50051"
