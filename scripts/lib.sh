# Shared by the scripts of this folder: sourced, never run. Going to the root here makes every script independent of
# where it was called from. Written for bash 3.2 and later, so that the one macOS ships will do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts=$PWD/scripts
cache=$PWD/.cache
module=github.com/penstock-cd/penstock
export PATH="$PWD/web/node_modules/.bin:$PATH"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

timed() { "$scripts/timed" "$@"; }

# at_least HAVE WANT: dotted versions, compared number by number.
at_least() {
	local IFS=. i have want
	read -r -a have <<<"$1"
	read -r -a want <<<"$2"
	for i in 0 1 2; do
		[ "${have[i]:-0}" -gt "${want[i]:-0}" ] && return 0
		[ "${have[i]:-0}" -lt "${want[i]:-0}" ] && return 1
	done
	return 0
}

go_version() { go env GOVERSION 2>/dev/null | sed -E 's/^go([0-9.]+).*/\1/'; }
node_version() { node --version 2>/dev/null | sed -E 's/^v([0-9.]+).*/\1/'; }
git_version() { git --version 2>/dev/null | sed -E 's/^git version ([0-9]+\.[0-9]+(\.[0-9]+)?).*/\1/'; }

# missing TOOL: why the tool cannot be used, empty when it can.
missing() {
	local have want what
	case $1 in
	go) want=1.26 what="Go" ; have=$(go_version || true) ;;
	node) want=20 what="Node" ; have=$(node_version || true) ;;
	git) want=2.36 what="git" ; have=$(git_version || true) ;;
	esac
	if ! command -v "$1" >/dev/null 2>&1; then
		echo "$what is not installed; version $want or newer is needed"
	elif [ -z "$have" ]; then
		echo "$what does not tell its version (\`$1\` on the PATH is $(command -v "$1")); version $want or newer is needed"
	elif ! at_least "$have" "$want"; then
		echo "$what $have is too old; version $want or newer is needed"
	elif [ "$1" = node ] && ! command -v npm >/dev/null 2>&1; then
		echo "npm is not installed; it comes with Node $want or newer"
	fi
}

# need TOOL...: stops with every missing tool named at once.
need() {
	local tool why bad=0
	for tool in "$@"; do
		why=$(missing "$tool")
		[ -z "$why" ] || { say "error: $why"; bad=1; }
	done
	[ "$bad" = 0 ] || exit 1
}

# tool NAME PACKAGE: builds a tool of tools/go.mod into the cache, once per version of that file.
tool() {
	local stamp
	stamp=$(cksum <tools/go.mod | cut -d' ' -f1)-$(go_version)
	if [ ! -x "$cache/bin/$1" ] || [ "$(cat "$cache/bin/$1.for" 2>/dev/null)" != "$stamp" ]; then
		say "building $1 (once; the first time takes some minutes)"
		mkdir -p "$cache/bin"
		go build -C tools -trimpath -o "$cache/bin/$1" "$2"
		echo "$stamp" >"$cache/bin/$1.for"
	fi
}

golangci() { tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint; }

# go_test NAME ARGS...: go test with a short report; failing tests are printed whole, all are counted.
go_test() {
	local name=$1
	shift
	mkdir -p "$cache/bin"
	go build -o "$cache/bin/testsum" ./scripts/testsum
	timed "$name" "$cache/bin/testsum" -counts "${PENSTOCK_TEST_COUNTS:-}" go test -json "$@"
}

# counted COMMAND...: runs it and adds one passed or failed test to the sum that .ci/run closes with.
counted() {
	local status=0
	"$@" || status=$?
	if [ -n "${PENSTOCK_TEST_COUNTS:-}" ]; then
		echo "$((status == 0)) $((status != 0)) 0" >>"$PENSTOCK_TEST_COUNTS"
	fi
	return "$status"
}

# has_web: the web workspace is in the tree.
has_web() { [ -f web/package.json ]; }

# node_deps FOLDER: node_modules as the lock file says, installed again only when the lock file changed.
node_deps() {
	local want
	want=$(cksum <"$1/package-lock.json")
	[ "$(cat "$1/node_modules/.lock-sum" 2>/dev/null)" = "$want" ] && return 0
	(cd "$1" && npm ci --no-audit --no-fund)
	echo "$want" >"$1/node_modules/.lock-sum"
}

web_deps() { node_deps web; }
