"""What every verb refuses: exit 2, the argument and the value named, nothing written or printed.

One table for the whole command line. `LINES` has a call of every verb that could be carried out;
what each of its options refuses by its type follows from the option itself. `REFUSALS` has what a
verb refuses by what the words mean. The sentences of messages are tested where they are made.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from selectllm.cli import cli
from tests.conftest import Command
from tests.support.cli_files import files

pytestmark = pytest.mark.usefixtures("workspace")

SUITE = "suites/scripted.yaml"
LINES = {
    "init": "new",
    "plan": SUITE,
    "select": "pool.jsonl --budget 3 --strategy first",
    "eval": "suites/grid.yaml",
    "ab": f"{SUITE} --a mock/random --b mock/oracle",
    "swap": f"{SUITE} --from mock/random --to mock/oracle",
    "regress": "suites/recorded.yaml --baseline baseline.json",
    "utility agree": "sets --results outcomes.jsonl",
    "utility ask": f"{SUITE} -o sheet.csv",
    "utility calibrate": f"{SUITE} --judge rating --human rating",
    "utility ifd": "pool.jsonl",
    "utility import": "pool.jsonl",
    "utility knn": "pool.jsonl --test test.jsonl",
    "utility student": "pool.jsonl --test test.jsonl",
    "utility validate": f"{SUITE} --test test.jsonl",
    "sets": "suites/sets.yaml",
    "student compare": "sets --pool pool.jsonl --test test.jsonl",
    "student score": "trained --test test.jsonl",
    "student train": "spread.jsonl -o new",
    "export": "sets --pool pool.jsonl -o new",
    "report": "runs/ab",
    "handover": "chosen.jsonl --to csv -o new.csv",
    "answers": "pool.jsonl answers.jsonl -o new.jsonl",
    "runs": "",
    "rounds": "rounds.jsonl",
    "view": "runs --no-browser --port 0",
    "aa": f"{SUITE} --model mock/random",
    "audit": f"{SUITE} --model mock/random",
    "verify": "runs/ab",
    "baseline set": "runs/asked -o new.json",
    "batch export": "suites/grid.yaml new.jsonl",
    "batch import": "suites/grid.yaml answers.jsonl",
    "optimize": "suites/grid.yaml --grid",
    "prompts check": "",
    "prompts diff": "short@1 rank@1",
    "prompts list": "",
    "prompts lock": "",
    "prompts new": "other",
    "prompts render": "short@1 pool.jsonl",
    "prompts show": "short@1",
    "models check": "mock/first",
    "models install": "smollm2-135m",
    "models list": "",
    "models serve": "smollm2-135m",
    "doctor": "",
    "cache clear": "--yes",
    "cache explain": SUITE,
    "cache export": "new.jsonl",
    "cache import": "new.jsonl",
    "cache prune": "--max-age 1 --yes",
    "cache ls": "",
    "cache stats": "",
    "cache verify": "",
    "log repair": "runs/asked",
}
"""A verb, and arguments with which it could go on."""
PICK = "select pool.jsonl --budget 3"
BY_MODEL = f"{PICK} --prompt short@1 --model mock/first"
AB = f"ab {SUITE} --a mock/random"
SWAP = f"swap {SUITE}"
GATE = "regress suites/recorded.yaml --baseline baseline.json"
TRAIN = "student train spread.jsonl -o new"
AUDIT = f"audit {SUITE} --model mock/random"
KNN = "utility knn pool.jsonl --test test.jsonl"
REFUSALS = f"""
init pool.jsonl                                     | pool.jsonl
init .                                              | prompts, cache
init new --pool nowhere.jsonl                       | nowhere.jsonl
init new --pool pool.jsonl --map instrction=a       | --map 'instrction' 'instruction'?
init new --map instruction=a                        | --map --pool

plan nowhere.yaml                                   | nowhere.yaml
plan suites                                         | suites
plan {SUITE} --a short@1 --b rank@1                 | --a --for eval
plan {SUITE} --for ab --a short@1                   | --a --b
plan {SUITE} --for swap --to mock/random            | --to --from
plan {SUITE} --for ab --from x --to y               | --from ab
plan {SUITE} --for ab --a nope --b mock/random      | --a 'nope' mock/oracle
plan {SUITE} --for ab --a strategy:longst --b x     | --a strategy:longst 'longest'?
plan {SUITE} --for swap --from mock/randm --to x    | --from 'mock/randm' 'mock/random'?
plan {SUITE} --for ab --a mock/random --b mock/random | short@1 mock/random twice
plan {SUITE} --rating-cost nan                      | --rating-cost nan
plan {SUITE} --retain nan                           | --retain nan
plan {SUITE} --pilot nowhere                        | nowhere/run.json
plan {SUITE} --budget 5                             | --budget --for sets
plan {SUITE} --strategy longest                     | --strategy pool
plan pool.jsonl --budget 5 --strategy longst        | 'longst' 'longest'?
plan pool.jsonl --strategy longest                  | --budget
plan pool.jsonl --budget 5 --limit 3                | --limit suite
plan suites/sets.yaml --for sets --a short@1        | --a --for
plan suites/sets.yaml --for sets --only shrt        | --only 'shrt' short@1

select nowhere.jsonl --budget 3 --strategy first    | nowhere.jsonl
select suites --budget 3 --strategy first           | suites .jsonl
{PICK}                                              | --prompt --model --strategy
{PICK} --prompt short@1                             | --prompt --model
{PICK} --strategy first --prompt short@1 --model x  | --prompt --strategy
{PICK} --strategy first --threshold 2               | --budget --threshold
{PICK} --strategy longst                            | 'longst' 'longest'?
{PICK} --strategy first --distinct 2                | --distinct '2'
{PICK} --strategy first --prefilter longest         | --prefilter 'longest'
{PICK} --strategy first --prefilter longst:0.5      | 'longst' 'longest'?
{PICK} --strategy first --api-base http://x         | --api-base first
{PICK} --strategy first --map instrction=a          | --map 'instrction' 'instruction'?
{PICK} --strategy first --map instruction           | --map instruction
{PICK} --strategy first --map instruction=nope      | --map instruction=nope
{PICK} --strategy first --max-cost nan              | --max-cost nan
{PICK} --strategy first --env-file none.env         | --env-file none.env
{PICK} --strategy first -o out.csv                  | -o out.csv .jsonl
{PICK} --strategy first -o ./pool.jsonl             | -o pool.jsonl
{PICK} --strategy first -o pool.jsonl/x             | pool.jsonl
{PICK} --strategy centroid --encoder ./nowhere      | ./nowhere
{PICK} --strategy centroid --vectors none.npy       | --vectors none.npy
{PICK} --strategy first --given none.jsonl          | none.jsonl
{PICK} --strategy first --given pool.jsonl          | 160 annotated
{PICK} --strategy first --rounds pool.jsonl         | --rounds pool.jsonl
{PICK} --strategy first --given chosen.jsonl -o chosen.jsonl | -o chosen.jsonl read
{PICK} --strategy first --rounds r.jsonl -o r.jsonl  | -o r.jsonl read
{PICK} --strategy first --given chosen.jsonl --rounds chosen.jsonl | --rounds chosen.jsonl
{PICK} --strategy first --per topik                 | 'topik' 'topic'?
{PICK} --strategy per:topic                         | per:topic per:COLUMN:STRATEGY
{PICK} --strategy facility-location:longest         | longest perplexity-high
{PICK} --strategy margin:mock/first                 | mock/first log-probabilities
{PICK} --strategy token-uncertainty:anthropic/m     | anthropic/m log-probabilities
{PICK} --strategy task-confidence:topik             | 'topik' 'topic'?
{BY_MODEL} --per topic                              | --per --strategy
rounds none.jsonl                                   | none.jsonl
rounds pool.jsonl                                   | pool.jsonl
select pool.jsonl --strategy first                  | --budget --threshold
select pool.jsonl --strategy longest --threshold nan | --threshold nan
select pool.jsonl --budget 0 --strategy first       | --budget 0 160
select pool.jsonl --budget 161 --strategy first     | --budget 161 160
{PICK} --prompt shrt@1 --model mock/first           | 'shrt@1' 'short@1'?
{PICK} --prompt short@1 --model mock/frist          | mock/frist mock/first
{PICK} --prompt short@1 --model mock/oracle         | mock/oracle
{PICK} --prompt short@1 --model gpt-4o              | 'gpt-4o' openai/gpt-4o
{PICK} --prompt short@1 --model=                    | --prompt --model
{BY_MODEL} --cluster-size x                         | --cluster-size 'x'
{BY_MODEL} --cluster-size 1                         | --cluster-size 1
{BY_MODEL} --cluster-size \u00b2                    | --cluster-size '\u00b2'
{BY_MODEL} --prompt letters@1 --cluster-size 40     | 26 40
{BY_MODEL} --model-arg temprature=1                 | --model-arg 'temprature' 'temperature'?
{BY_MODEL} --model-arg temperature                  | --model-arg 'temperature' KEY=VALUE
{BY_MODEL} --model-arg temperature=hot              | --model-arg temperature: 'hot'
{BY_MODEL} --model-arg vote.order=3                 | --model-arg 'vote.order' 'vote.orders'?
{BY_MODEL} --model-arg vote.orders=1                | --model-arg vote 1
{BY_MODEL} --model-arg vote.by=borda                | --model-arg vote
{BY_MODEL} --model-arg vote.orders=0                | --model-arg vote.orders: 0
{BY_MODEL} --model-arg vote.orders=[2,7]            | --model-arg vote until: 0.8
{BY_MODEL} --model-arg vote.until=0.8               | --model-arg vote orders: [2, 3]
{BY_MODEL} --model-arg reasoning=off                | reasoning: off mock/ openai/
{BY_MODEL} --model-arg vote.orders=101              | --model-arg vote.orders: 101
{BY_MODEL} --model-arg vote.orders=true             | --model-arg vote.orders: True
{BY_MODEL} --model-arg vote.by=plurality            | --model-arg vote.by: 'plurality'
{BY_MODEL} --model-arg vote=3                       | --model-arg vote: 3
{BY_MODEL} --model-arg answer=letters               | --model-arg answer: 'letters'
{BY_MODEL} --prompts nowhere                        | nowhere
{BY_MODEL} --cache pool.jsonl/x                     | --cache pool.jsonl/x

eval nowhere.yaml                                   | nowhere.yaml
eval suites                                         | suites
eval {SUITE} --model-arg temperature=1              | --model-arg 3
eval {SUITE} --api-base http://x                    | --api-base 3
eval suites/asked.yaml --model-arg temprature=1     | --model-arg 'temprature' 'temperature'?
eval {SUITE} --max-cost nan                         | --max-cost nan
eval {SUITE} --encoder ./nowhere                    | ./nowhere
eval {SUITE} -o runs/ab                             | -o runs/ab
eval {SUITE} -o pool.jsonl/run                      | -o pool.jsonl/run
eval {SUITE} --record pool.jsonl                    | --record pool.jsonl
eval {SUITE} --record pool.jsonl/x                  | --record pool.jsonl/x
eval {SUITE} --record {SUITE}                       | --record {SUITE}
eval {SUITE} --report markdown                      | --report markdown FORMAT=FILE
eval {SUITE} --report markdwon=a.md                 | --report markdwon=a.md 'markdown'?
eval {SUITE} --report junit=a.xml                   | --report junit=a.xml
eval {SUITE} --report markdown=.                    | --report markdown=.
eval {SUITE} --report markdown=pool.jsonl           | --report markdown=pool.jsonl
eval {SUITE} --report json=cache/replies/cache.db   | --report json=cache/replies/cache.db
eval {SUITE} --report json=prompts/LOCK.yaml        | --report json=prompts/LOCK.yaml

{AB} --b mock/randm                                 | --b 'mock/randm' mock/random
{AB} --b strategy:longst                            | --b strategy:longst 'longest'?
{AB} --b mock/random                                | --a --b twice
{AB} --b mock/oracle --prompt rank@1                | --prompt 'rank@1' short@1
{AB} --b strategy:first --model gpt                 | --model 'gpt' mock/oracle
ab {SUITE} --a short@1 --b strategy:first           | --a 'short@1' --model
ab nowhere.yaml --a x --b y                         | nowhere.yaml
{AB} --b mock/oracle --record pool.jsonl            | --record pool.jsonl

{SWAP} --from mock/randm --to mock/oracle           | --from 'mock/randm' 'mock/random'?
{SWAP} --from mock/random --to mock/orcle           | --to 'mock/orcle' 'mock/oracle'?
{SWAP} --from mock/random --to mock/random          | --from --to 'mock/random'
{SWAP} --from mock/random --to voting --retain nan  | --retain nan
{SWAP} --from mock/random --to voting --prompt x    | --prompt 'x' short@1
swap nowhere.yaml --from x --to y                   | nowhere.yaml

regress suites/recorded.yaml --baseline none.json   | none.json
regress suites/recorded.yaml --baseline runs/ab/results.json | runs/ab/results.json
regress {SUITE} --baseline baseline.json            | baseline.json "scripted" "asked"
{GATE} --junit pool.jsonl | --junit pool.jsonl
{GATE} --junit baseline.json | --junit baseline.json
{GATE} --markdown replies.jsonl | --markdown replies.jsonl
{GATE} --markdown pool.jsonl/x | --markdown pool.jsonl/x
{GATE} --junit a --markdown a                       | --markdown a

utility agree nowhere --results pool.jsonl          | nowhere
utility agree sets --results nowhere.jsonl          | nowhere.jsonl
utility agree sets --results pool.jsonl             | pool.jsonl:1

utility ask {SUITE} -o sheet.csv --sample 999           | --sample 999
utility calibrate nowhere.yaml                      | nowhere.yaml
utility calibrate {SUITE} --human nobody             | --human 'nobody'
utility calibrate {SUITE} --human rating --judge raitng | --judge 'raitng' 'rating'?
utility calibrate {SUITE} --human rating --judge slot:1 | --judge slot:1
utility ask nowhere.yaml -o sheet.csv               | nowhere.yaml
utility ask {SUITE} -o sheet.txt                    | sheet.txt .csv
utility ask {SUITE} -o sheet.csv --differing        | --differing {SUITE}
utility ask {SUITE} -o sheet.csv --rubric none.txt  | --rubric none.txt
utility ask {SUITE} -o sheet.csv --rated none.jsonl | none.jsonl
utility ask {SUITE} -o sheet.csv --range 5 1        | [5, 1]

utility ifd nowhere.jsonl                           | nowhere.jsonl
utility ifd pool.jsonl --name=                      | --name ''
utility ifd pool.jsonl -o pool.jsonl                | -o pool.jsonl
utility ifd pool.jsonl --model local/nope           | 'nope' smollm2-135m

utility import nowhere.csv                          | nowhere.csv
utility import pool.jsonl                           | pool.jsonl --ask
utility import pool.jsonl --ask none.json           | none.json
utility import pool.jsonl --arm strategy:first      | --arm --export
utility import pool.jsonl --training-seed 3         | --training-seed --export
utility import pool.jsonl --export training --partial | --partial --export
utility import pool.jsonl --export training --add x | --add --export
utility import pool.jsonl --export training --budget 4 | --budget --arm
utility import pool.jsonl --export training -o pool.jsonl | -o pool.jsonl
utility import pool.jsonl --export sets             | sets/manifest.json

utility knn nowhere.jsonl --test pool.jsonl         | nowhere.jsonl
utility knn pool.jsonl --test nowhere.jsonl         | nowhere.jsonl
{KNN} --name=                                       | --name ''
{KNN} -o near.csv                                   | -o near.csv
{KNN} -o pool.jsonl                                 | -o pool.jsonl
{KNN} --map response=nope                           | --map response=nope
{KNN} --vectors none.npy                            | --vectors none.npy

utility student nowhere.jsonl --test test.jsonl     | nowhere.jsonl
utility student pool.jsonl --test nowhere.jsonl     | nowhere.jsonl
utility student pool.jsonl --test test.jsonl --learning-rate -1 | --learning-rate -1.0

utility validate nowhere.yaml --test test.jsonl     | nowhere.yaml
utility validate {SUITE} --test nowhere.jsonl       | nowhere.jsonl
utility validate {SUITE} --test test.jsonl --utility ratng | --utility ratng rating

sets nowhere.yaml                                   | nowhere.yaml
sets suites                                         | suites
sets suites/sets.yaml --only shrt                   | --only 'shrt' short@1
sets suites/sets.yaml --budget 999                  | 999 160 --budget
sets suites/sets.yaml --pool nowhere.jsonl          | nowhere.jsonl
sets suites/sets.yaml --report junit=a              | --report junit=a
sets suites/sets.yaml --markdown pool.jsonl         | --markdown pool.jsonl
sets suites/sets.yaml --markdown pool.jsonl/x       | --markdown pool.jsonl/x

student compare nowhere --pool pool.jsonl --test test.jsonl | nowhere
student compare sets --pool nowhere.jsonl --test test.jsonl | nowhere.jsonl
student compare sets --pool pool.jsonl --test nowhere.jsonl | nowhere.jsonl
student compare sets --pool pool.jsonl --test test.jsonl --only shrt | shrt short@1

student score nowhere --test test.jsonl             | nowhere
student score --test nowhere.jsonl                  | nowhere.jsonl

student train nowhere.jsonl -o new                  | nowhere.jsonl
{TRAIN} --test nowhere.jsonl | nowhere.jsonl
{TRAIN} --learning-rate -1 | --learning-rate -1.0
{TRAIN} --epochs 0        | --epochs 0
{TRAIN} --model ./nowhere | ./nowhere
{TRAIN} --map response    | --map response
{TRAIN} --test pool.jsonl --dev pool.jsonl --learning-rate 1 | --dev --learning-rate

export nowhere -o new                               | nowhere
export sets -o new                                  | sets --pool
export sets --pool nowhere.jsonl -o new             | nowhere.jsonl

{PICK} --strategy first --to csv -o out.jsonl       | -o out.jsonl .csv
{PICK} --strategy first --to excel                  | --to excel xlsx
{PICK} --strategy first --to jsonl -o ./pool.jsonl  | -o pool.jsonl
handover nowhere.jsonl --to csv                     | nowhere.jsonl
handover pool.jsonl --to csv                        | pool.jsonl select
handover suites --to csv                            | suites/run.json
handover chosen.jsonl --to csv -o new.json          | -o new.json .csv
handover chosen.jsonl --to jsonl -o chosen.jsonl    | -o chosen.jsonl
handover chosen.jsonl --to csv --arm short@1        | --arm chosen.jsonl
handover chosen.jsonl --to csv --pool nowhere.jsonl | nowhere.jsonl
handover spread.jsonl --to csv --pool chosen.jsonl  | --pool chosen.jsonl
handover runs/asked --to csv --arm short@9          | --arm 'short@9'

answers nowhere.jsonl pool.jsonl -o new.jsonl       | nowhere.jsonl
answers pool.jsonl nowhere.jsonl -o new.jsonl       | nowhere.jsonl
answers pool.jsonl chosen.jsonl -o new.jsonl        | chosen.jsonl:1 answer
answers pool.jsonl suites/asked.yaml -o new.jsonl   | suites/asked.yaml .yaml
answers pool.jsonl chosen.jsonl -o pool.jsonl       | -o pool.jsonl

runs nowhere                                        | nowhere
view nowhere                                        | nowhere
view runs --port 70000                              | --port 70000

report nowhere                                      | nowhere selectllm runs
report suites                                       | suites selectllm runs
report runs/ab runs/ab                              | runs/ab twice
report runs/ab runs/asked runs/recorded             | --each --html
report runs/ab runs/asked --each                    | --each --html -o
report runs/ab nowhere                              | nowhere
report runs/ab --as markdwon                        | --as markdwon 'markdown'?
report runs/asked --as junit                        | --as junit
report runs/ab --json --as markdown                 | --json --as

aa {SUITE}                                          | --model mock/oracle
aa {SUITE} --model mock/randm                       | --model 'mock/randm' mock/random
aa {SUITE} --model mock/random --prompt shrt        | --prompt 'shrt' short@1
aa nowhere.yaml                                     | nowhere.yaml
audit {SUITE}                                       | --model mock/oracle
audit {SUITE} --model mock/randm                    | --model 'mock/randm' mock/random
audit nowhere.yaml                                  | nowhere.yaml
{AUDIT} --prompt shrt                               | --prompt 'shrt' short@1
{AUDIT} --probe ordr                                | --probe 'ordr' 'order'?
{AUDIT} --compare-prompt shrt@1                     | 'shrt@1' 'short@1'?
{AUDIT} --compare-prompt short@1                    | --compare-prompt short@1
{AUDIT} --baseline nowhere.json                     | nowhere.json
{AUDIT} --baseline baseline.json                    | baseline.json
{AUDIT} --report junit=suites                       | --report suites

verify nowhere                                      | nowhere/run.json
verify pool.jsonl                                   | pool.jsonl/run.json

batch export nowhere.yaml new.jsonl                 | nowhere.yaml
batch export suites/grid.yaml pool.jsonl            | pool.jsonl
batch export suites/grid.yaml new.jsonl --model no  | --model 'no'
batch import suites/grid.yaml nowhere.jsonl         | nowhere.jsonl
batch import suites/grid.yaml pool.jsonl            | pool.jsonl custom_id
eval suites/grid.yaml --batch --offline             | --batch --offline

baseline set nowhere -o new.json                    | nowhere/results.json
baseline set runs/asked -o new.json --prompt shrt   | --prompt 'shrt' mine@1
baseline set runs/asked -o runs/asked/results.json  | -o runs/asked/results.json
baseline set runs/asked -o pool.jsonl/x             | -o pool.jsonl/x

optimize nowhere.yaml                               | nowhere.yaml
optimize suites/grid.yaml --prompt other@1          | --prompt 'other@1' toned@1
optimize suites/grid.yaml --model gpt               | --model 'gpt' mock/random
optimize suites/grid.yaml --grid --teacher mock/first | --teacher --grid

prompts check --prompts nowhere                     | nowhere
prompts list --prompts nowhere                      | nowhere
prompts lock --prompts nowhere                      | nowhere
prompts diff shrt@1 rank@1                          | 'shrt@1' 'short@1'?
prompts diff short@1 rank@1 --pool nowhere.jsonl    | nowhere.jsonl
prompts new Bad/Name                                | 'Bad/Name'
prompts new mine --from nowhere.jinja               | nowhere.jinja
prompts render shrt@1 pool.jsonl                    | 'shrt@1' 'short@1'?
prompts render short@1 nowhere.jsonl                | nowhere.jsonl
prompts show shrt@1                                 | 'shrt@1' 'short@1'?
prompts show short@9                                | 'short@9' 'short@1'?

models check nowhere.yaml                           | nowhere.yaml
models check {SUITE} --prompt shrt@1                | --prompt 'shrt@1' 'short@1'?
models check mock/nope                              | mock/nope mock/first
models check mock/first --model-arg reasoning=low   | reasoning: low mock/ openai/
models check mock/first --model-arg reasoning=loud  | --model-arg reasoning: 'loud'
models install nope                                 | 'nope' smollm2-135m
models serve nope                                   | 'nope' smollm2-135m

evla suites/asked.yaml                              | 'evla' 'eval'?
utility vaildate x                                  | 'vaildate' 'validate'?
prompts shw short@1                                 | 'shw' 'show'?
cache clera                                         | 'clera' 'clear'?
cache clear --pool nowhere.jsonl                    | nowhere.jsonl
cache clear --pool pool.jsonl --budget team         | --budget --pool
cache clear --pool pool.jsonl --map instrction=a    | --map 'instrction' 'instruction'?
cache clear --unknown                               | --pool
cache explain nowhere.yaml                          | nowhere.yaml
cache explain {SUITE}                               | --model mock/
cache explain {SUITE} --prompt shrt@1               | --prompt 'shrt@1' 'short@1'?
cache explain {SUITE} --model mock/randm            | --model 'mock/randm' 'mock/random'?
cache export pool.jsonl                             | pool.jsonl
cache export new.jsonl --model nope                 | --model 'nope'
cache export new.jsonl --suite nowhere.yaml         | nowhere.yaml
cache import nowhere.jsonl                          | nowhere.jsonl
cache import pool.jsonl                             | pool.jsonl:1
cache prune                                         | --max-bytes --max-age

log repair nowhere.jsonl                            | nowhere.jsonl
log repair suites                                   | suites .jsonl
log repair pool.jsonl                               | pool.jsonl
log repir runs/asked                                | 'repir' 'repair'?
"""
"""A call, and the words of its error: the argument, the value, the closest name."""
ROWS = [
    (call.split(), named.split())
    for call, mark, named in (line.partition("|") for line in REFUSALS.splitlines())
    if mark
]
NO_ROWS = {"doctor", "models list", "cache ls", "cache stats", "cache verify"}
"""They take nothing that has a meaning of its own."""


def verbs(group: click.Group = cli, *words: str) -> Iterator[tuple[str, click.Command]]:
    """Every verb of the command line."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from verbs(command, *words, name)
        else:
            yield " ".join((*words, name)), command


VERBS = dict(verbs())


def test_every_verb_has_a_call_and_refusals() -> None:
    assert set(LINES) == set(VERBS)
    refusing = {
        verb for verb in VERBS for words, _ in ROWS if verb.split() == words[: len(verb.split())]
    }
    assert refusing == set(VERBS) - NO_ROWS


def assert_named(
    selectllm: Command, before: dict[str, bytes], words: list[str], *named: str
) -> None:
    """The call is bad input: it says so with these words, and all files are as they were before."""
    told = selectllm(*words)
    assert (told.code, told.out) == (2, ""), words
    for word in named:
        assert word in told.err, words
    assert "Traceback" not in told.err
    assert files() == before, words


@pytest.mark.parametrize("verb", dict.fromkeys(words[0] for words, _ in ROWS))
def test_what_the_words_mean_is_refused(selectllm: Command, verb: str) -> None:
    before = files()
    for words, named in ROWS:
        if words[0] == verb:
            assert_named(selectllm, before, words, *named)


def wrong(option: click.Parameter) -> str | None:
    """A value that the option's type does not take; None if it takes any text."""
    if isinstance(option, click.Option) and option.is_flag:
        return None
    if isinstance(option.type, click.Choice):
        return "nonesuch"
    if isinstance(option.type, click.Path):
        kinds = option.type.file_okay, option.type.dir_okay
        return {(True, False): "suites", (False, True): "pool.jsonl"}.get(kinds)
    return None if option.type is click.STRING else "x1y"


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_refuses_what_is_not_of_its_type(selectllm: Command, verb: str) -> None:
    call, before = [*verb.split(), *LINES[verb].split()], files()
    assert_named(selectllm, before, [*call, "--nonesuch"], "--nonesuch")
    for option in (each for each in VERBS[verb].params if isinstance(each, click.Option)):
        flag, value = option.opts[-1], wrong(option)
        assert_named(selectllm, before, [*call, flag[:-1] + "\u00e9"], flag[:-1] + "\u00e9")
        if value is not None:
            values = [value] * option.nargs
            assert_named(selectllm, before, [*call, flag, *values], flag, value)


REQUIRING = {
    verb: required
    for verb, command in VERBS.items()
    if (required := [each for each in command.params if each.required])
}


@pytest.mark.parametrize("verb", REQUIRING)
def test_what_is_required_is_named(selectllm: Command, verb: str) -> None:
    told = selectllm(*verb.split())
    assert (told.code, told.out) == (2, "")
    names = [name for each in REQUIRING[verb] for name in (each.human_readable_name, *each.opts)]
    assert any(f"{name}'" in told.err for name in names)
