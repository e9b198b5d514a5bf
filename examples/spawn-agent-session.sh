#!/bin/sh
# The command "orchestrator.spawn-agent-session", walked through part by part, from the command line and over HTTP:
#
#     examples/spawn-agent-session.sh                  from a checkout
#     DROVER=drover examples/spawn-agent-session.sh    with an installed one
#
# It starts a Drover of its own in a temporary directory, with the real CLI and a scripted model: no account, no cost.
# Each answer is printed and checked; the first that is not as it should be ends the script with 1.
# Beside Drover it needs a POSIX shell and Node ≥ 22.
set -eu

here=$(cd "$(dirname "$0")" && pwd -P)
DROVER=${DROVER:-"$here/../drover"}
dir=$(mktemp -d)
mkdir "$dir/shop"
cd "$dir/shop"
unset DROVER_CONFIG REDIS_URL DROVER_TOKEN DROVER_SESSION_ID
export DROVER_WORKSPACE_ROOTS="$dir/shop"
# A busy machine is no reason to wait, here; section 8 is about room.
export DROVER_MIN_FREE_CPU_PERCENT=0 DROVER_MIN_FREE_MEMORY_MB=0
running=

# ---------------------------------------------------------------------------------------------------------- helpers

stop_drover() {
  [ -z "$running" ] || { kill "$running" 2>/dev/null && wait "$running"; } || true
  running=
}
trap 'stop_drover; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

title() { printf '\n== %s\n' "$*"; }
fail() {
  printf '\nNOT AS IT SHOULD BE: %s\n' "$*" >&2
  exit 1
}

# start_drover <name> [options…]: `drover up` with a data directory of its own; DROVER_URL is its address.
start_drover() {
  name=$1
  shift
  export DROVER_DATA_DIR="$dir/$name"
  # shellcheck disable=SC2086 # DROVER may be a command with arguments.
  $DROVER --json up --port 0 "$@" >"$dir/$name.json" 2>"$dir/$name.log" &
  running=$!
  until [ -s "$dir/$name.json" ]; do
    kill -0 "$running" 2>/dev/null || fail "drover up: $(cat "$dir/$name.log")"
    sleep 0.1
  done
  answer=$(cat "$dir/$name.json")
  DROVER_URL=$(get url)
  export DROVER_URL
}

# cli <exit code> <arguments…>: runs a command; its JSON document is in $answer.
cli() {
  wanted=$1
  shift
  printf '\n$ drover %s\n' "$*"
  code=0
  # shellcheck disable=SC2086
  answer=$($DROVER --json "$@" 2>"$dir/stderr") || code=$?
  printf '%s\n' "$answer"
  [ "$code" = "$wanted" ] || fail "exit code $code, not $wanted: $(cat "$dir/stderr")"
}

# http <status> <method> <path> [body]: the same over HTTP.
http() {
  printf '\n> %s /api/v1%s %s\n' "$2" "$3" "${4-}"
  answer=$(node -e '
    const [status, method, url, body] = process.argv.slice(1)
    const headers = body ? { "content-type": "application/json" } : {}
    fetch(url, { method, headers, body }).then(async (response) => {
      console.log(await response.text())
      if (String(response.status) !== status) throw new Error(`HTTP ${response.status}, not ${status}`)
    })' "$1" "$2" "$DROVER_URL/api/v1$3" ${4:+"$4"}) || { printf '%s\n' "$answer"; fail "$2 $3"; }
  printf '%s\n' "$answer"
}

# holds <JavaScript…>: each must be true; the members of $answer are its variables.
holds() {
  node -e '
    const [answer, ...rules] = process.argv.slice(1)
    for (const rule of rules) {
      const found = new Function("answer", `with (answer) { return (${rule}) }`)(JSON.parse(answer))
      if (found !== true) throw new Error(`${rule} is ${JSON.stringify(found)}`)
    }' "$answer" "$@" || fail "$*"
}

# get <JavaScript>: a member of $answer.
get() {
  node -p 'new Function("answer", `with (answer) { return (${process.argv[2]}) }`)(JSON.parse(process.argv[1]))' \
    "$answer" "$1"
}

# ------------------------------------------------------------------------------------------------------------------

# What the "agents" do: the architect needs two seconds; the developer writes down the environment that it was given
# and then thinks for longer than this script takes.
cat >"$dir/play.yaml" <<'YAML'
description: An architect who is done soon, a developer who is not.
agents:
  architect:
    - text: 'COMPLETE: the specification is written.'
      latency_ms: 2000
  code_developer:
    - text: I note what I was given.
      tools:
        - name: Bash
          input: { command: env > agent.env }
    - text: 'COMPLETE: it is implemented.'
      latency_ms: 300000
YAML
start_drover data --rehearse="$dir/play.yaml"

title '1. Task validation'
# It must exist …
cli 2 spawn code_developer --task-id TASK-99-9
holds 'success === false' 'error === "task_not_found"' 'task_id === "TASK-99-9"'
http 404 POST /sessions '{"agent_type": "code_developer", "task_id": "TASK-99-9"}'
holds 'error === "task_not_found"'

# … and what it depends on must be completed.
cli 0 tasks add architect 'Write docs/SPEC.md' --task-id TASK-31-0
cli 0 tasks add code_developer 'Implement docs/SPEC.md' --task-id TASK-31-1 --depends-on TASK-31-0
cli 4 spawn code_developer --task-id TASK-31-1 --on-busy fail
holds 'error === "dependencies_incomplete"' 'waiting_for.join() === "TASK-31-0"'
http 409 POST /sessions '{"agent_type": "code_developer", "task_id": "TASK-31-1", "on_busy": "fail"}'
holds 'error === "dependencies_incomplete"'

title '2. Spawn: waits for the dependency, then until the agent has confirmed its start'
cli 0 spawn code_developer --task-id TASK-31-1 --orchestrator-id orch-20251026-001 --timeout 3600
holds 'success === true' 'agent_type === "code_developer"' 'task_id === "TASK-31-1"' 'status === "running"' \
  '/^code-developer-\d{8}-001$/.test(agent_id)' 'pid > 0' 'timeout_seconds === 3600' 'created_at <= started_at' \
  'Date.parse(expected_completion) === Date.parse(started_at) + 3600_000'
agent=$(get agent_id)
session=$(get session_id)
pid=$(get pid)
kill -0 "$pid" || fail "no process $pid"

# The record of the agent, and its task.
http 200 GET "/agents/$agent"
holds 'agent.status === "running"' "agent.pid === $pid" 'agent.task_id === "TASK-31-1"' 'agent.completed_at === null'
http 200 GET /tasks/TASK-31-1
holds 'task.status === "running"' "task.assigned_agent === '$agent'" 'task.started_at !== null'

# A directory of its own, for its user only.
holds "(process.getBuiltinModule('node:fs').statSync('$dir/data/sessions/$session').mode & 0o777) === 0o700"

# The environment that its tools see.
until [ -s agent.env ]; do sleep 0.1; done
for variable in TASK_ID=TASK-31-1 ORCHESTRATOR_ID=orch-20251026-001 ORCHESTRATOR_INSTANCE_ID=orch-20251026-001 \
  AGENT_TYPE=code_developer "AGENT_ID=$agent" "DROVER_SESSION_ID=$session"; do
  grep -qx "$variable" agent.env || fail "$variable is not in the agent's environment"
  printf '%s\n' "$variable"
done

title '3. The singleton: one agent of a type'
cli 4 spawn code_developer 'Something else' --on-busy fail
holds 'error === "singleton_violation"' "message === 'code_developer already running (PID: $pid)'" \
  'agent_type === "code_developer"' "existing_agent_id === '$agent'"
http 409 POST /sessions '{"agent_type": "code_developer", "prompt": "Something else", "on_busy": "fail"}'
holds 'error === "singleton_violation"' "existing_agent_id === '$agent'"

# Without it a session waits in line and says its place; the more urgent one goes first.
cli 0 spawn code_developer 'Something else' --wait accepted --idempotency-key something-else
holds 'status === "queued"' 'queue_position === 1' 'repeated === false'
waiting=$(get session_id)
http 202 POST /sessions '{"agent_type": "code_developer", "prompt": "Urgent", "priority": 1}'
holds 'status === "queued"' 'queue_position === 1'
urgent=$(get session_id)
# Asked for twice under one key it is one session; another request under the key is refused.
cli 0 spawn code_developer 'Something else' --wait accepted --idempotency-key something-else
holds "session_id === '$waiting'" 'repeated === true' 'queue_position === 2'
cli 4 spawn code_developer 'Something different' --wait accepted --idempotency-key something-else
holds 'error === "idempotency_conflict"' "session_id === '$waiting'"

title '4. Health monitoring'
cli 0 monitor --agent-id "$agent"
holds 'agents_checked === 1' 'agents_healthy === 1' 'agents[0].health_status === "healthy"' \
  'agents[0].process_alive' "agents[0].pid === $pid" 'agents[0].seconds_since_heartbeat < 60'
http 200 GET /monitor
holds 'agents_stalled === 0' 'agents_dead === 0' "agents.some((one) => one.agent_id === '$agent')"

title '5. Kill and restart'
cli 0 kill "$waiting"
holds 'agent_id === null' 'kill_signal === null'
http 200 POST "/sessions/$urgent/kill" '{}'
cli 0 kill "$agent" --grace 5
holds 'action === "graceful_kill"' "pid === $pid" 'kill_signal === "SIGTERM"' 'task_id === "TASK-31-1"' \
  'grace_period_seconds === 5' 'killed_gracefully' 'processes_killed >= 1'
http 200 GET /tasks/TASK-31-1
holds 'task.status === "cancelled"'
cli 0 monitor --agent-id "$agent"
holds 'agents[0].health_status === "failed"' 'agents[0].process_alive === false'

# A session that has ended stays as it is: a new one goes on from it, and its task runs again.
cli 0 restart "$session"
holds 'action === "restart"' "old_agent_id === '$agent'" "restart_of === '$session'" 'task_id === "TASK-31-1"' \
  'retry_count === 1' 'max_retries === 3'
http 200 POST "/sessions/$(get session_id)/kill" '{"force": true}'
holds 'action === "force_kill"'

title '6. Timeout: bounds a session as a whole'
cli 1 spawn code_developer 'This takes too long' --timeout 1 --wait completed
holds 'success === false' 'error === "session_failed"' 'failure_reason === "timeout"' 'timeout_seconds === 1'

# What was theirs alone is removed as soon as all of it is recorded.
while [ -d "$dir/data/sessions/$session" ]; do sleep 0.1; done
stop_drover

title '7. An agent that does not start'
# Instead of the CLI: the reviewer's never confirms, everybody else's ends at once.
cat >"$dir/broken-claude" <<'SH'
#!/bin/sh
if [ "$1" = --version ]; then echo '2.1.329 (Claude Code)'; exit; fi
if [ "$AGENT_TYPE" = code_reviewer ]; then exec sleep 60; fi
echo 'There is no such model.' >&2
exit 1
SH
chmod +x "$dir/broken-claude"
# If nothing is said: 10 s to confirm, 2, 4 and 8 s between the tries, 10 s between SIGTERM and SIGKILL.
export DROVER_STARTUP_TIMEOUT_MS=500 DROVER_RESTART_BACKOFF_MS=20 DROVER_KILL_GRACE_MS=200
DROVER_CLAUDE_PATH="$dir/broken-claude" start_drover broken

cli 1 spawn code_developer 'Do it' --no-auto-restart
holds 'error === "spawn_failed"' 'agent_type === "code_developer"' 'stderr.includes("There is no such model.")'
http 200 GET "/sessions/$(get session_id)"
holds 'session.restarts === 0'
http 500 POST /sessions '{"agent_type": "code_developer", "prompt": "Do it", "wait": "started"}'
holds 'error === "spawn_failed"'
# That one was tried again, three times.
http 200 GET "/sessions/$(get session_id)"
holds 'session.restarts === 3' 'agents.length === 4' 'session.failure_reason === "spawn_failed"'

cli 1 spawn code_reviewer 'Review it' --no-auto-restart
holds 'error === "startup_timeout"' '/^code-reviewer-\d{8}-001$/.test(agent_id)'
http 504 POST /sessions '{"agent_type": "code_reviewer", "prompt": "Review it", "wait": "started", "auto_restart": false}'
holds 'error === "startup_timeout"'
stop_drover

title '8. No room: less memory than an agent must have'
DROVER_MIN_FREE_MEMORY_MB=100000000 start_drover full --rehearse="$dir/play.yaml"
cli 4 spawn architect 'Design it' --on-busy fail
holds 'error === "resource_exhaustion"' 'agent_type === "architect"' \
  '/MB of memory free, 100000000 are needed/.test(pods[0].why)' 'retry_after_seconds > 0'
http 503 POST /sessions '{"agent_type": "architect", "prompt": "Design it", "on_busy": "fail"}'
holds 'error === "resource_exhaustion"'
http 200 GET /pods
holds 'pods[0].state === "no_room"'
# Without --on-busy fail it waits for room.
cli 0 spawn architect 'Design it' --wait accepted
holds 'status === "queued"' 'queue_position === 1'

title 'Everything is as it should be'
