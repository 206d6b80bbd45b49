#!/bin/sh
# What a difference looks like, in seconds: `ab`, `swap` and `regress` about two simulated pickers.
#
#   sh eval/simulated.sh SELECTLLM FOLDER     # the command to run, and a new folder for its runs
#
# `make demo` ends with it. It stops, with the command's exit code, where a verdict is not the expected
# one: 1 is an answer here, and everything else is a failure.
set -eu
selectllm=$1 runs=$2 suites=$(dirname "$0")/suites

run() { # run EXIT_CODE COMMAND...: print the command and its output
    expected=$1 code=0
    shift
    printf '\n$ selectllm %s\n' "$*"
    "$selectllm" "$@" --quiet || code=$?
    [ "$code" -eq "$expected" ] || exit "$code"
}

mkdir -p "$runs"
cat <<'END'

What a difference looks like (SIMULATED: no model is asked)
The two pickers that follow look the ratings up. Of 10 clusters, `skilled` picks the best item in 9 and
a random one in 1, on average; `careless` picks the best in 2. So they capture about 0.9 and 0.2.
Both see the same 60 clusters of 3 items (eval/suites/simulated.yaml) and pick 1 in each.
END

run 0 ab "$suites/simulated.yaml" --a careless --b skilled -o "$runs/ab"
cat <<'END'
What this says: BETTER, since the whole interval of the difference lies above 0. Chance alone would
lead to that word in at most 5 of 100 comparisons. Exit code 0.
END

run 1 swap "$suites/simulated.yaml" --from skilled --to careless -o "$runs/swap"
cat <<'END'
What this says: NOT SAFE, since `careless` would keep less than 90 percent of what `skilled` gains over
random picks. Exit code 1: a script that asks before it changes the model would stop here.
END

"$selectllm" baseline set "$runs/ab" -o "$runs/baseline.json" >"$runs/baseline.txt"
run 1 regress "$suites/simulated-after.yaml" --baseline "$runs/baseline.json" -o "$runs/regress"
cat <<'END'
What this says: the baseline holds what both picked above. Since then somebody put a picker of skill 0.2
behind the name `skilled` (eval/suites/simulated-after.yaml), so it is a FAIL: it got worse. `careless`
picks as before, which is a PASS. Exit code 1: in CI this check would be red.
END
rm "$runs/baseline.txt"
printf '\nFor all figures of a verdict, run: selectllm report %s\n' "$runs/ab"
if [ -e "$runs/quickstart/results.json" ]; then # the model's run, which `make demo` puts there
    echo "What the embedded model and the simulated pickers did, on one page; open it in a browser:"
    "$selectllm" report "$runs/quickstart" "$runs/ab" --each --html -o "$runs/report.html"
else
    echo 'Both simulated pickers on one page; open it in a browser:'
    "$selectllm" report "$runs/ab" --html -o "$runs/report.html"
fi
