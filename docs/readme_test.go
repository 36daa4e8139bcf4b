package docs_test

import (
	"bufio"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// The README's programs are built as they stand, by way of an overlay that puts
// them into this module, and run against each other.
func TestReadmeProgramsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	server, client := readmePrograms(t)
	addr := freeAddress(t)
	dir := t.TempDir()
	build := func(name, source string) string {
		return buildProgram(t, dir, name, strings.ReplaceAll(source, readmeAddress, addr))
	}
	srv := exec.CommandContext(t.Context(), build("server", server))
	out, err := srv.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cli := build("client", client)
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = srv.Process.Kill()
		_ = srv.Wait()
	}()
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the server said nothing")
	}
	answer, err := exec.CommandContext(t.Context(), cli).CombinedOutput()
	if err != nil {
		t.Fatalf("client: %v\n%s", err, answer)
	}
	if want := readmeAnswer; !strings.Contains(string(answer), want) {
		t.Errorf("the client printed %q, want %q in it", answer, want)
	}
}

const (
	readmeAddress = "localhost:50051"
	readmeAnswer  = "hello gopher"
)

func readmePrograms(t *testing.T) (server, client string) {
	t.Helper()
	for _, m := range goBlock.FindAllStringSubmatch(page(t, "README.md"), -1) {
		switch {
		case !isProgram(m[1]):
		case strings.Contains(m[1], "callboard.NewServer("):
			server = m[1]
		case strings.Contains(m[1], "callboard.NewClient("):
			client = m[1]
		}
	}
	if server == "" || client == "" {
		t.Fatal("README.md has no complete server and client")
	}
	return server, client
}

func freeAddress(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}
