#!/usr/bin/env bash
# Runs libFuzzer on targets, a line for each, and puts what reaches new code into the corpus.
#
#     fuzz.sh FUZZER FOLDER [TARGET ...]     all targets where none is named
#
# FUZZ_SECONDS: how long each target is tried (60). FUZZ_JOBS: how many at a time (2).
# Ends with 1 where a target was broken: FOLDER/findings then has the inputs.
set -u
fuzzer=$1 folder=$2
shift 2
seconds=${FUZZ_SECONDS:-60} jobs=${FUZZ_JOBS:-2}
findings=$folder/findings work=$folder/work
mkdir -p "$findings" "$work"
[ $# -gt 0 ] || set -- $("$fuzzer" --list)
# The signal handlers of libFuzzer keep the input; Swift's backtrace comes with `fuzzer TARGET FILE`.
export SWIFT_BACKTRACE=enable=no

try() {
    local name=$1 log=$work/$1.log inputs=$work/$1 merged=$work/$1.merged
    rm -rf "$inputs" "$merged"
    "$fuzzer" --unpack "$name" "$inputs" && "$fuzzer" --seeds "$name" "$merged" || return 1
    # -timeout: an input that takes longer is a finding. -rss_limit_mb: so is one that takes more memory.
    "$fuzzer" "$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -len_control=20 \
        -use_value_profile=1 -print_final_stats=1 -artifact_prefix="$findings/$name-" "$inputs" "$merged" >"$log" 2>&1
    local status=$?
    # Only what reaches code that neither the seeds nor other inputs reach.
    "$fuzzer" "$name" -merge=1 -use_counters=0 -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$work/$name-merge-" \
        "$merged" "$inputs" >"$log.merge" 2>&1
    local kept coverage runs
    kept=$("$fuzzer" --pack "$name" "$merged")
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    [ -n "$runs" ] || runs=$(grep -o '^#[0-9]*' "$log" | tail -1 | tr -d '#')
    if [ $status = 0 ]; then
        printf '%-26s %9s runs  %-11s %4s inputs kept\n' "$name" "${runs:-0}" "${coverage:-}" "$kept"
    else
        printf '%-26s %9s runs  %-11s BROKEN\n' "$name" "${runs:-0}" "${coverage:-}"
        for file in "$findings/$name-"*; do
            [ -e "$file" ] || continue
            printf '    again: %s %s %s\n    input: %s\n' "$fuzzer" "$name" "$file" "$("$fuzzer" --show "$name" "$file" | cut -c1-400)"
        done
        grep -m3 -E 'Fatal error|ERROR: libFuzzer|SUMMARY' "$log" | sed 's/^/    /'
        touch "$work/broken"
    fi
}

rm -f "$work/broken"
for name in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    try "$name" &
done
wait
[ ! -e "$work/broken" ]
