# Sourced by the scripts that run tests: runs a command in a session of its own (setsid(2)), by which everything that it leaves behind is
# found. A process stays in the session of whoever started it, also when that one has ended and whatever it was started for.
# Usage: run_alone COMMAND...; and end_sessions when the script ends, however it ends.
# shellcheck shell=bash

sessions="$(mktemp -d)"

# Prints the processes of a session that run.
members() {
    local file line pid state session
    for file in /proc/[0-9]*/stat; do
        { read -r line <"$file"; } 2>/dev/null || continue
        pid="${line%% *}"
        # Behind the name, in which anything may stand: state, parent, group, session.
        read -r state _ _ session _ <<<"${line##*) }"
        [ "$session" = "$1" ] && [ "$state" != Z ] && [ "$state" != X ] && printf '%s\n' "$pid"
    done
    return 0
}

# Kills what a session has left, and says what that was: a line that begins with the mark of a failed test, then a line for each.
end_session() {
    local pid left=()
    # Whoever was just killed has still to go.
    for _ in {1..50}; do
        mapfile -t left < <(members "$1")
        [ ${#left[@]} -eq 0 ] && return 0
        sleep 0.1
    done
    echo "✘ Left running after the tests:"
    for pid in "${left[@]}"; do
        printf '  %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
    done
    kill -KILL "${left[@]}" 2>/dev/null || true
    return 1
}

# Status of the command; 1 when it succeeded and left a process.
run_alone() {
    local list status=0
    list="$(mktemp "$sessions/XXXXXX")"
    # shellcheck disable=SC2016
    setsid --wait bash -c 'echo $$ >"$0"; exec "$@"' "$list" "$@" || status=$?
    end_session "$(<"$list")" || [ "$status" -ne 0 ] || status=1
    rm -f "$list"
    return "$status"
}

# Kills what runs in sessions whose command has not ended.
end_sessions() {
    local list
    for list in "$sessions"/*; do
        [ -s "$list" ] && members "$(<"$list")" | xargs -r kill -KILL 2>/dev/null
    done
    rm -rf "$sessions"
}
