# Sourced by the scripts here: starts servers on loopback and ends them by pid.

pids=()
stop_all() {
	local pid
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
	pids=()
}
trap stop_all EXIT

# serve LOG COMMAND... starts a server that prints "listening on HOST:PORT" and
# puts the port into $port.
serve() {
	local log=$1 i
	shift
	: >"$log" # or the line of an earlier server would be read
	"$@" >"$log" 2>&1 &
	pids+=($!)
	for ((i = 0; i < 100; i++)); do
		port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$log")
		[ -z "$port" ] || return 0
		kill -0 "$!" 2>/dev/null || break
		sleep 0.1
	done
	echo "server did not start: $*" >&2
	cat "$log" >&2
	return 1
}
