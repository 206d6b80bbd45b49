"""Baseline files: written, read back, and refused when they or the suite's data are others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.codec import sha256_json
from selectllm.core.errors import RunError
from selectllm.core.types import Cluster, Decision, Item, Pool, Status
from selectllm.evaluation.comparison.baseline import (
    Baseline,
    Entry,
    agreed,
    check_pool,
    read_baseline,
    write_baseline,
)
from selectllm.utility.utility import Utility

STATUSES: tuple[Status, ...] = ("ok", "repaired", "partial", "invalid", "refused")
SCHEMA = Path(__file__).parents[3] / "selectllm" / "report" / "schemas" / "baseline.json"
ids = st.text("abcé\n\"'\\ ", min_size=1, max_size=5)
values = st.floats(-1e6, 1e6) | st.integers(0, 5).map(float)


@st.composite
def baselines(draw: st.DrawFn) -> Baseline:
    """Two pairs on up to three clusters, one of which may be picked whole, and two orders."""
    items = sorted(draw(st.sets(ids, min_size=6, max_size=9)))
    groups = draw(st.none() | st.just("g"))
    cuts = (items[:2], items[2:4], items[4:])
    clusters = tuple(Cluster(row, tuple(members), groups) for row, members in enumerate(cuts))
    utility = Utility(
        "u", "ratings", "human", {item: draw(values) for item in items}, rater=draw(st.none() | ids)
    )

    def decision(cluster: Cluster, prompt: str, order: int) -> Decision:
        return Decision(
            cluster=cluster.id,
            order=order,
            repeat=0,
            round=0,
            shown=cluster.members,
            picks=draw(st.sampled_from([(), cluster.members[:1]])),
            status=draw(st.sampled_from(STATUSES)),
            prompt=prompt,
            prompt_sha256="a" * 64,
            model="m",
        )

    entries = tuple(
        Entry(
            prompt=prompt,
            prompt_sha256="a" * 64,
            model="m",
            spec={"id": "mock/m", "temperature": 0},
            decisions=tuple(decision(c, prompt, order) for c in clusters for order in range(2)),
            gain={c.id: draw(st.floats(0, 1)) for c in clusters[: draw(st.integers(0, 3))]},
        )
        for prompt in ("p@1", "q@draft")
    )
    settings_ = {"picks": 1, "orders": 2, "repeats": 1, "seed": 0, "clusters": {"by": "random"}}
    return Baseline("s", "b" * 64, settings_, clusters, utility, entries)


def made() -> Baseline:
    """A small one: items a to f of utilities 0 to 5 in two clusters."""
    clusters = (Cluster(0, ("a", "b", "c")), Cluster(1, ("d", "e", "f")))
    utility = Utility(
        "u", "ratings", "human", {item: float(n) for n, item in enumerate("abcdef")}, range=(0, 5)
    )
    decisions = tuple(
        Decision(c.id, 0, 0, 0, c.members, c.members[:1], "ok", "p@1", "a" * 64, "m")
        for c in clusters
    )
    entry = Entry("p@1", "a" * 64, "m", {"id": "mock/m"}, decisions, {0: 0.0, 1: 0.0})
    return Baseline("s", pool().sha256, {"picks": 1}, clusters, utility, (entry,))


def pool(items: str = "abcdef", sha256: str = "b" * 64) -> Pool:
    return Pool(tuple(Item(item, "text") for item in items), sha256, "pool.jsonl")


class TestTheFile:
    """Holds all that comparing needs, and a hash of itself."""

    @given(baselines())
    def test_reads_back_as_it_was_written(
        self, tmp_path_factory: pytest.TempPathFactory, baseline: Baseline
    ) -> None:
        path = tmp_path_factory.mktemp("b") / "baseline.json"
        write_baseline(path, baseline)
        found = read_baseline(path)
        assert found == baseline
        assert found.sha256 == baseline.sha256
        jsonschema.validate(json.loads(path.read_bytes()), json.loads(SCHEMA.read_bytes()))

    def test_has_a_cluster_on_a_line_so_that_a_change_can_be_reviewed(self, tmp_path: Path) -> None:
        path = tmp_path / "baseline.json"
        write_baseline(path, made())
        before = path.read_text("utf-8").splitlines()
        (entry,) = made().entries
        other = replace(entry.decisions[1], picks=("e",))
        changed = replace(entry, decisions=(entry.decisions[0], other), gain={0: 0.0, 1: 0.5})
        write_baseline(path, replace(made(), entries=(changed,)))
        after = path.read_text("utf-8").splitlines()
        assert len(before) == len(after)
        lines = [new for old, new in zip(before, after, strict=True) if old != new]
        assert len(lines) == 2  # the cluster's, and the hash
        assert '"e"' in lines[0]
        assert '"sha256"' in lines[1]

    @given(baselines())
    def test_its_hash_does_not_depend_on_the_order_of_the_decisions(
        self, baseline: Baseline
    ) -> None:
        turned = [replace(entry, decisions=entry.decisions[::-1]) for entry in baseline.entries]
        assert replace(baseline, entries=tuple(turned)).sha256 == baseline.sha256


class TestRefusedFiles:
    """Name the file and what is wrong with it."""

    def refused(self, path: Path) -> str:
        with pytest.raises(RunError) as error:
            read_baseline(path)
        assert str(error.value).startswith(str(path))
        return str(error.value)

    def test_a_missing_one_says_how_to_make_it(self, tmp_path: Path) -> None:
        assert "selectllm baseline set" in self.refused(tmp_path / "b.json")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "cannot be read as JSON"),
            ("[]", "is not a baseline"),
            ('{"format": 1}', "is not a baseline"),
        ],
    )
    def test_another_file(self, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / "b.json").write_text(content, encoding="utf-8")
        assert message in self.refused(tmp_path / "b.json")

    def changed(self, path: Path, change: Callable[[Any], object], rehash: bool) -> Path:
        """A baseline file edited by hand, or by a program that also knows of the hash."""
        write_baseline(path, made())
        content = json.loads(path.read_bytes())
        change(content)
        if rehash:
            del content["sha256"]
            content["sha256"] = sha256_json(content)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def test_one_of_another_format(self, tmp_path: Path) -> None:
        path = self.changed(tmp_path / "b.json", lambda c: c.update(format=2), rehash=True)
        assert "not a baseline of format 1 (format: 2)" in self.refused(path)

    @pytest.mark.parametrize(
        "change",
        [
            lambda c: c["entries"][0]["clusters"][0]["decisions"][0].__setitem__(3, ["b"]),
            lambda c: c["clusters"][0]["utility"].__setitem__(0, 9),
            lambda c: c.update(suite="t"),
            lambda c: c.pop("sha256"),
        ],
    )
    def test_one_that_was_edited(self, tmp_path: Path, change: Callable[[Any], object]) -> None:
        path = self.changed(tmp_path / "b.json", change, rehash=False)
        assert "its sha256 does not fit its content" in self.refused(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: c["clusters"][0].pop("members"), "not a baseline (KeyError"),
            (lambda c: c["clusters"][0]["utility"].pop(), "not a baseline (ValueError"),
            (lambda c: c.update(entries=[7]), "not a baseline (TypeError"),
            (lambda c: c["entries"][0]["clusters"].pop(), "decisions on 1 of the baseline's 2"),
        ],
    )
    def test_one_whose_hash_fits_but_nothing_else(
        self, tmp_path: Path, change: Callable[[Any], object], message: str
    ) -> None:
        path = self.changed(tmp_path / "b.json", change, rehash=True)
        assert message in self.refused(path)


class TestThePool:
    """Must be the one of the baseline's run."""

    def test_the_same_is_accepted(self) -> None:
        check_pool(made(), pool())

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (pool("abcd"), "2 of its items are gone: e, f"),
            (pool("abcdefg", "c" * 64), "the ids fit, but texts or their order differ"),
        ],
    )
    def test_another_is_refused(self, other: Pool, message: str) -> None:
        with pytest.raises(RunError) as error:
            check_pool(made(), other)
        assert str(error.value).startswith("pool.jsonl is not the pool")
        assert message in str(error.value)


class TestTheUtility:
    """Must say the same, up to what another machine computes differently."""

    spread = 5.0

    def moved(self, by: float, **changes: Any) -> Utility:
        ours = made().utility
        return replace(ours, values=dict(ours.values) | {"c": ours.values["c"] + by}, **changes)

    @pytest.mark.parametrize("by", [0.0, 0.9e-6 * 5, -0.9e-6 * 5])
    def test_values_within_a_millionth_of_their_spread_agree(self, by: float) -> None:
        assert agreed(self.moved(by), made()) == made().utility  # the recorded values are used

    @pytest.mark.parametrize("by", [1.1e-6 * 5, -1.1e-6 * 5, 1.0])
    def test_values_further_apart_are_named(self, by: float) -> None:
        with pytest.raises(
            RunError, match="its values differ from the baseline's for 1 items: 'c'"
        ):
            agreed(self.moved(by), made())

    def test_values_that_are_all_equal_must_stay_what_they_are(self) -> None:
        flat = replace(made().utility, values=dict.fromkeys("abcdef", 2.0))
        baseline = replace(made(), utility=flat)
        assert agreed(flat, baseline) == flat
        with pytest.raises(RunError):
            agreed(replace(flat, values=dict(flat.values) | {"a": 2.0 + 1e-9}), baseline)

    def test_items_that_it_lacks_are_named_up_to_five(self) -> None:
        with pytest.raises(RunError) as error:
            agreed(made().utility.of(""), made())
        assert "for 6 items: 'a', 'b', 'c', 'd', 'e' and 1 more." in str(error.value)

    def test_items_outside_the_clusters_do_not_matter(self) -> None:
        more = replace(made().utility, values=dict(made().utility.values) | {"z": 7.0})
        assert agreed(more, made()) == made().utility

    @pytest.mark.parametrize(
        ("name", "value"), [("name", "v"), ("source", "knn"), ("kind", "proxy"), ("range", (0, 4))]
    )
    def test_another_kind_of_utility_is_refused(self, name: str, value: Any) -> None:
        with pytest.raises(RunError) as error:
            agreed(self.moved(0, **{name: value}), made())
        assert f"its {name} is {value!r}, and the baseline's" in str(error.value)

    def test_another_rater_is_no_other_utility(self) -> None:
        assert agreed(self.moved(0, rater="someone else"), made()) == made().utility
