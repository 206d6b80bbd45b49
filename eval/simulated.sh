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
The following two pickers can see the ratings. On average, `skilled` picks the best item in 9 of 10
clusters and a random one in the other, and `careless` picks the best item in 2 of 10 clusters. So they
capture about 0.9 and 0.2. Both see the same 60 clusters of 3 items and pick 1 item from each
(eval/suites/simulated.yaml).
END

run 0 ab "$suites/simulated.yaml" --a careless --b skilled -o "$runs/ab"
cat <<'END'
What this says: BETTER, because the whole interval of the difference lies above 0. Chance alone would
give this verdict in at most 5 of 100 comparisons. The exit code is 0.
END

run 1 swap "$suites/simulated.yaml" --from skilled --to careless -o "$runs/swap"
cat <<'END'
What this says: NOT SAFE, because `careless` would keep less than 90 percent of what `skilled` gains over
random picks. The exit code is 1, so a script that replaces the model only after this check stops here.
END

"$selectllm" baseline set "$runs/ab" -o "$runs/baseline.json" >"$runs/baseline.txt"
run 1 regress "$suites/simulated-after.yaml" --baseline "$runs/baseline.json" -o "$runs/regress"
cat <<'END'
What this says: the baseline holds what both pickers picked above. Since then, somebody has put a picker
with skill 0.2 behind the name `skilled` (eval/suites/simulated-after.yaml). It became worse, so the verdict
is FAIL. `careless` picks as before, so its verdict is PASS. The exit code is 1, so this check fails in CI.
END
rm "$runs/baseline.txt"
printf '\nFor all figures of a verdict, run: selectllm report %s\n' "$runs/ab"
if [ -e "$runs/quickstart/results.json" ]; then # the model's run, which `make demo` puts there
    echo "The results of the embedded model and the simulated pickers are on one page. Open it in a browser:"
    "$selectllm" report "$runs/quickstart" "$runs/ab" --each --html -o "$runs/report.html"
else
    echo 'The results of both simulated pickers are on one page. Open it in a browser:'
    "$selectllm" report "$runs/ab" --html -o "$runs/report.html"
fi
