"""Suites: the YAML file that says what is evaluated. Unknown keys are errors.

A suite names a pool, utilities, how the pool is divided and how much of it is picked, prompts and
models (all their pairs are evaluated), strategies, and the gate that decides verdicts. Paths are
relative to the file; an unknown key is told with the closest one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
)

from selectllm.core.errors import SuiteError
from selectllm.core.files import real
from selectllm.core.names import closest
from selectllm.core.shown import shortened
from selectllm.core.strict import DIALECT, WHOLE, Count, Name, Strict, Whole, reason_of
from selectllm.core.yaml_text import YamlFault, load_yaml
from selectllm.evaluation.suite_entries import (
    BudgetEntry,
    ClustersEntry,
    Gate,
    ModelEntry,
    PriceEntry,
    SetsEntry,
    SevereEntry,
    VoteEntry,
    off_of,
)
from selectllm.evaluation.suite_keys import check_keys
from selectllm.evaluation.suite_paths import check_inside
from selectllm.models.model import ModelSpec
from selectllm.utility.entries import (
    NO_SOURCE,
    OWN,
    SOURCES,
    IfdEntry,
    ImportEntry,
    KnnEntry,
    OwnEntry,
    PairwiseEntry,
    RatingsEntry,
    UtilityEntry,
    no_source,
)


def _bare_id(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


class Suite(Strict):
    """A suite file. Its paths are relative to the file and are kept as they are written.

    `source` is the file that the suite was loaded from, and a changed copy keeps it. It is None for
    a suite made in Python, whose paths are relative to the current folder.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="The name of the suite. Run folders are named after it."
    )
    pool: Name = Field(description="The pool file, or a folder or pattern of Parquet files.")
    columns: Mapping[str, str] = Field(
        default={},
        description="Which columns of the pool are the instruction, input and so on, such as "
        "{instruction: question}. `turns` (first, last or all) says which user "
        "turns of a chat are the instruction.",
    )
    encoder: Name | None = Field(
        default=None,
        description="The name or folder of a sentence-transformers model, if the command names "
        "none.",
    )
    utilities: tuple[UtilityEntry, ...] = Field(
        default=(),
        description="What measures how good the picks are. Without any, the agreement cannot be "
        "measured.",
    )
    clusters: ClustersEntry = Field(
        default=ClustersEntry(), description="How the pool is divided into clusters."
    )
    picks: Count = Field(default=1, description="How many items are picked from each cluster.")
    orders: Count = Field(default=1, description="In how many orders each cluster is shown.")
    repeats: Count = Field(default=1, description="How often each question is asked.")
    reask: Annotated[int, Field(ge=0), WHOLE] = Field(
        default=2, description="How often a question is asked again if the reply cannot be used."
    )
    seed: Whole = Field(
        default=0, description="The seed of clusters, orders and everything else that is random."
    )
    structured: Annotated[
        Literal["auto", "off"],
        BeforeValidator(off_of, json_schema_input_type=Literal["auto", "off", False]),
    ] = Field(
        default="auto",
        description="auto: send a JSON schema to models that take one. off: never send one.",
    )
    replies: str | None = Field(
        default=None, description="A file of recorded replies, which is read before the cache."
    )
    prompts: tuple[str, ...] = Field(
        default=(),
        description="The prompts: NAME@VERSION, NAME@latest, or a path. All are combined with "
        "all models.",
    )
    models: tuple[
        Annotated[ModelEntry, BeforeValidator(_bare_id, json_schema_input_type=Name | ModelEntry)],
        ...,
    ] = Field(
        default=(),
        description="The models: ids such as openai/gpt-4o-mini, or entries with more settings.",
    )
    strategies: tuple[str, ...] | None = Field(
        default=None,
        description="Strategies that pick without a prompt, for comparison. By default, a few "
        "simple ones.",
    )
    gate: Gate = Field(default=Gate(), description="The rules for verdicts.")
    sets: SetsEntry | None = Field(default=None, description="What `selectllm sets` selects.")
    budget: BudgetEntry | None = Field(
        default=None, description="A budget that several commands share."
    )
    _source: Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> Path | None:
        """The file that it was loaded from, as it was named."""
        return self._source

    @property
    def folder(self) -> Path:
        """What its paths are relative to: the file's folder."""
        return Path.cwd() if self._source is None else real(self._source).parent

    def at(self, path: str) -> Path:
        """Where a path of the suite leads."""
        return self.folder / path

    @property
    def encoder_name(self) -> str | None:
        """The encoder: a folder beside the suite, or a name as it is."""
        if self.encoder is None or not self.at(self.encoder).is_dir():
            return self.encoder
        return str(self.at(self.encoder))

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON Schema of suite files, as their types say it now; for editors."""
        return {"$schema": DIALECT, **cls.model_json_schema()}

    def specs(self) -> tuple[ModelSpec, ...]:
        """The suite's models."""
        return tuple(entry.spec() for entry in self.models)


def load_suite(path: Path) -> Suite:
    """Read and check a suite. Raises SuiteError naming file, key, value and fix."""
    try:
        content = load_yaml(path.read_text(encoding="utf-8"), like_numbers=True)
    except OSError as error:
        raise SuiteError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SuiteError(f"{path} is not UTF-8. Save it as UTF-8") from None
    except YamlFault as fault:
        raise SuiteError(f"{path} is not YAML ({fault})") from None
    if not isinstance(content, dict):
        raise SuiteError(f"{path}: a suite consists of keys and values. Begin it with `name:`")
    try:
        suite = Suite.model_validate(content)
    except ValidationError as error:
        problems = [_problem(content, dict(problem)) for problem in error.errors()]
        raise SuiteError(f"{path}: " + "; ".join(dict.fromkeys(problems))) from None
    suite._source = path
    check_keys(suite)  # first: whatever else is wrong can be put right meanwhile
    check_inside(suite)
    _check(path, suite)
    return suite


def _problem(content: Mapping[str, Any], error: Mapping[str, Any]) -> str:
    """One pydantic error in our words: key, value, fix."""
    loc = error["loc"]
    place = [
        part for before, part in zip((None, *loc), loc, strict=False) if not _tag(before, part)
    ]
    where = ".".join(str(part) for part in place) or "the suite"
    if error["type"] == "extra_forbidden":
        known = _keys_at(loc[:-1])
        match = closest(str(place[-1]), known)
        hint = f"Did you mean {match!r}? " if match else ""
        return f"unknown key {where!r}. {hint}The keys here are: {', '.join(sorted(known))}"
    if error["type"] == "missing":
        return f"{where!r} is missing"
    if error["type"] == NO_SOURCE:
        return no_source(where, error["input"])
    return f"{where}: {shortened(error['input'])} {reason_of(error)}"


def _tag(before: Any, part: Any) -> bool:
    """Whether `part` is no key: pydantic puts a utility's source behind its number."""
    return isinstance(before, int) and part in (*SOURCES, OWN)


def _keys_at(location: Sequence[Any]) -> list[str]:
    """The keys that a suite knows at `location`."""
    models: dict[str, type[BaseModel]] = {
        "clusters": ClustersEntry,
        "gate": Gate,
        "severe": SevereEntry,
        "sets": SetsEntry,
        "budget": BudgetEntry,
        "models": ModelEntry,
        "price": PriceEntry,
        "vote": VoteEntry,
        "ratings": RatingsEntry,
        "knn": KnnEntry,
        "import": ImportEntry,
        "pairwise": PairwiseEntry,
        "ifd": IfdEntry,
        OWN: OwnEntry,
    }
    names = [part for part in location if isinstance(part, str) and part in models]
    return list((models[names[-1]] if names else Suite).model_fields)


def _check(path: Path, suite: Suite) -> None:
    """What the types cannot say: names are unique, and the gate's utility exists."""
    named = {
        "utilities": [entry.name for entry in suite.utilities],
        "models": [entry.name or entry.id for entry in suite.models],
        "prompts": list(suite.prompts),
        "strategies": list(suite.strategies or ()),
    }
    for key, names in named.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SuiteError(
                f"{path}: {key}: Two entries have the name {twice[0]!r}. Give each its own name"
            )
    if bool(suite.prompts) != bool(suite.models):
        lacking = "models" if suite.prompts else "prompts"
        raise SuiteError(
            f"{path}: {lacking} is empty. Name at least one prompt and one model, or leave out both"
        )
    if not suite.prompts and not suite.strategies:
        raise SuiteError(
            f"{path}: There is nothing to evaluate. Name prompts and models, or strategies"
        )
    utilities = named["utilities"]
    if suite.gate.utility is not None and suite.gate.utility not in utilities:
        raise SuiteError(
            f"{path}: gate.utility: {suite.gate.utility!r} is none of the suite's utilities "
            f"({', '.join(utilities) or 'it has none'})"
        )
    if suite.gate.severe is not None and suite.clusters.group is not None:
        raise SuiteError(
            f"{path}: gate.severe: This guard assumes that clusters are independent, and "
            "clusters.group says that they are not. Leave one of the two out"
        )
    _check_assisted(path, suite.gate, utilities)
    if suite.clusters.file is None and suite.picks >= suite.clusters.size:
        raise SuiteError(
            f"{path}: picks: {suite.picks} items cannot be chosen from clusters of "
            f"{suite.clusters.size}, because nothing would be left out. Make picks smaller "
            "than clusters.size"
        )


def _check_assisted(path: Path, gate: Gate, utilities: Sequence[str]) -> None:
    """A judge is another utility of the suite than the one that it stands in for."""
    judge = gate.assisted_by
    if judge is None:
        return
    if judge not in utilities:
        raise SuiteError(
            f"{path}: gate.assisted_by: {judge!r} is none of the suite's utilities "
            f"({', '.join(utilities) or 'it has none'})"
        )
    if gate.utility is None:
        raise SuiteError(
            f"{path}: gate.assisted_by: {judge!r} is to help people, but gate.utility is "
            "missing. Set gate.utility to the utility that people rated"
        )
    if judge == gate.utility:
        raise SuiteError(
            f"{path}: gate.assisted_by: {judge!r} cannot help itself. Set gate.utility to "
            "the utility that people rated, and gate.assisted_by to that of the judge"
        )
