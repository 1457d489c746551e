"""A study whose options change what is read of its data: what is validated, planned, prepared and opened."""

import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from contrasweep.services.cluster.places import local_node
from contrasweep.services.data import plan
from contrasweep.services.data.plan import make_plan
from contrasweep.services.data.prepare import Prepared, find_prepared_each, prepare_each, versions_of
from contrasweep.services.data.resumed import check_training
from contrasweep.services.data.validate import check_table, validate_data
from contrasweep.services.screen.preparation import print_prepared
from contrasweep.services.screen.tables import print_plan
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec, Options
from contrasweep.services.sweep.reuse import seed_runs
from contrasweep.trainers.data.feeds.stream import StreamFeed
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.rehearsal import Rehearsal
from tests.services.data.forty_scans import of, scans

__all__ = ["scans"]

SMALL: dict[str, Any] = {"data": {"transforms": [{"Resize": {"spatial_size": [4, 4, 4]}}]}}
CHOICES: dict[str, Any] = {
    "size": {"full": {}, "small": SMALL},
    "people": {"all": {}, "some": {"data": {"train": {"size": 10}, "normalize": "training"}}},
}
FULL, FEW, COARSE, LEAST = [
    (("size", size), ("people", people)) for size in ("full", "small") for people in ("all", "some")
]


def options(scans: Path, choices: dict[str, Any] = CHOICES, **changes: Any) -> LoadedSpec:
    return of(scans, **{**changes, "search": {"choices": choices, **changes.get("search", {})}})


def prepared(loaded: LoadedSpec, ticks: list[str] | None = None) -> dict[Options, Prepared]:
    return prepare_each(loaded, loaded.base / "v", lambda step, *_: ticks.append(step) if ticks is not None else None)


def test_each_store_is_made_once_and_each_view_is_its_own(scans: Path) -> None:
    loaded, ticks = options(scans), list[str]()
    assert find_prepared_each(loaded, scans / "v") is None
    made = prepared(loaded, ticks)
    assert list(made) == [FULL, FEW, COARSE, LEAST] == list(loaded.readings)
    assert {step for step in ticks if step.endswith("preparing")} == {
        "size.full, people.all: preparing",
        "size.small, people.all: preparing",
    }
    assert [(one.store.image_shape, len(one.first.splits.train)) for one in made.values()] == [
        ((1, 8, 9, 10), 24),
        ((1, 8, 9, 10), 10),
        ((1, 4, 4, 4), 24),
        ((1, 4, 4, 4), 10),
    ]
    assert len({one.first.splits.test for one in made.values()}) == 1, "everybody is tested on the same"
    assert made[FEW].first.normalization != made[LEAST].first.normalization is not None
    assert made[FULL].first.normalization is None
    assert versions_of(made).split() == [made[FULL].store.manifest.version, made[COARSE].store.manifest.version]
    found = find_prepared_each(loaded, scans / "v")
    assert found is not None and [one.views for one in found.values()] == [one.views for one in made.values()]
    with pytest.raises(UserError, match="leaves other scans to train on"):
        splits = [view.splits for one in made.values() for view in one.views.values()]
        check_training(splits[:1], "study-1", check_training(splits, "study-1", ""))


PAIRS: dict[str, Any] = {"across": {}, "within": {"data": {"group": "sex"}}}
ACROSS, WITHIN = [(("pairs", option),) for option in PAIRS]


@pytest.fixture
def sexes(scans: Path) -> Path:
    """The scans, every second one of a woman."""
    table = scans / "participants.tsv"
    head, *lines = table.read_text().splitlines()
    rows = [f"{line}\t{'FM'[number % 2]}" for number, line in enumerate(lines)]
    table.write_text("\n".join([f"{head}\tsex", *rows, ""]))
    return scans


def test_an_option_may_form_pairs_inside_groups(sexes: Path) -> None:
    """SupReMix, Fig. 10: of the same people, with the same splits."""
    made = prepared(options(sexes, {"pairs": PAIRS}))
    across, within = (made[option] for option in (ACROSS, WITHIN))
    assert across.store.groups is None
    assert within.store.groups is not None and within.store.groups.tolist() == [0, 1] * 20
    assert across.store.manifest.version != within.store.manifest.version
    assert across.first.splits == within.first.splits
    plain, grouped = prepared(of(sexes)), prepared(of(sexes, data={"group": "sex"}))
    assert versions_of(made).split() == [versions_of(plain), versions_of(grouped)], "as where nothing is chosen from"
    for option, one in made.items():
        view = one.first
        feed = StreamFeed(one.store.folder, view.splits, view.normalization, view.covariates)
        batches = list(feed.epoch(0, seed=0, batch_size=8, rank=0, world_size=1))
        assert all((batch.groups is None) == (option == ACROSS) for batch in batches)


def test_a_scan_that_has_no_group_is_left_out_by_all_options_or_by_none(sexes: Path) -> None:
    table = sexes / "participants.tsv"
    table.write_text(table.read_text().replace("s03\t23\tM", "s03\t23\tn/a"))
    said = r"search.choices: pairs.within: rejects 1 scan that another option keeps \(s03\)"
    with pytest.raises(UserError, match=said):
        check_table(options(sexes, {"pairs": PAIRS}))
    known = {"where": {"sex": {"not": [None]}}}
    assert len(prepared(options(sexes, {"pairs": PAIRS}, data=known))[WITHIN].store.subjects) == 39


def test_seed_runs_are_known_by_what_they_read(scans: Path) -> None:
    settings = Settings(home=scans / "home")
    both, alone = options(scans), of(scans, data={"train": {"size": 10}, "normalize": "training"})
    runs = seed_runs(both.spec, settings, prepared(both), None)
    assert len({of_one.data for of_one in runs.values()}) == 4
    assert seed_runs(alone.spec, settings, prepared(alone), None)[(), None].data == runs[FEW, None].data


def test_the_labels_that_are_taught_span_what_an_option_leaves(scans: Path) -> None:
    """Ages are 20 to 59: what is below 40 is dropped of those that are trained on."""
    old = {"all": {}, "old": {"data": {"train": {"drop": [[0, 40]]}}}, "one": {"data": {"train": {"bins": 2}}}}
    whole, dropped, binned = [one.label_range for one in prepared(options(scans, {"people": old})).values()]
    assert dropped < 20 < binned < whole


def test_all_options_leave_the_same_scans(scans: Path) -> None:
    """An image that only one pipeline can make anything of."""
    longer = np.random.default_rng(1).random((8, 9, 12), dtype=np.float32)
    nib.save(nib.Nifti1Image(longer, np.eye(4)), scans / "s03.nii.gz")
    loaded = options(scans)
    said = r"search.choices: size.full, people.all: rejects 1 scan that another option keeps \(s03\); all options must"
    for check in (lambda: prepared(loaded), lambda: validate_data(loaded, Console(file=io.StringIO()))):
        with pytest.raises(UserError, match=said):
            check()


def test_what_is_wrong_with_one_option_is_told_with_it(scans: Path) -> None:
    many = {"all": {}, "more": {"data": {"train": {"size": 25}}}}
    said = r"search.choices: people.more: data.train.size: 25 is not allowed: 24 subjects"
    for check in (check_table, prepared):
        with pytest.raises(UserError, match=said):
            check(options(scans, {"people": many}))
    few = {"all": {}, "few": {"data": {"train": {"size": 6}}}}
    with pytest.raises(UserError, match=r"study.yaml: search.choices: people.few: training.batch_size: 8 is not"):
        check_table(options(scans, {"people": few}))


def test_validate_tells_of_each_option(scans: Path) -> None:
    file = io.StringIO()
    validate_data(options(scans), Console(file=file, width=60, highlight=False))
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert [line for line in lines if line.startswith("search.choices")] == [
        "search.choices: size.full, people.all",
        "search.choices: size.full, people.some",
        "search.choices: size.small, people.all",
        "search.choices: size.small, people.some",
    ]
    assert lines.count("training  10 of 24 scans") == 2
    assert len([line for line in lines if line.startswith("subjects")]) == 2, "once for each store"


def test_a_flat_option_needs_a_flat_encoder(scans: Path) -> None:
    flat = {"data": {"transforms": [{"Resize": {"spatial_size": [8, 9, 1]}}, {"SqueezeDim": {"dim": 3}}]}}
    said = r"search.choices: size.flat: model.spatial_dims: 3 is not allowed: prepared images \[1, 8, 9\] have 2"
    with pytest.raises(UserError, match=said):
        validate_data(options(scans, {"size": {"full": {}, "flat": flat}}), Console(file=io.StringIO()))
    two = {**flat, "model": {"spatial_dims": 2}}
    validate_data(options(scans, {"size": {"full": {}, "flat": two}}), Console(file=io.StringIO()))


def test_the_plan_looks_at_every_option(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of 4 configurations of one seed train for 2 epochs, half for 6; steps take 1 s where images are large."""
    steps = {8: Rehearsal(1.0, 0, 0.0)}
    monkeypatch.setattr(plan, "rehearse", lambda model, training, shape: steps.get(shape[1], Rehearsal(0.5, 0, 0.0)))
    choices = {**CHOICES, "length": {"short": {}, "long": {"training": {"epochs": 6}}}}
    loaded = options(scans, choices, search={"trials": 4, "seeds": [0]})
    planned = make_plan(loaded, Settings(home=scans / "home"), [local_node()])
    assert (planned.fewest_epochs, planned.epochs) == (2, 6)
    assert planned.epoch_s == pytest.approx((3 * 1.0 + 1 * 1.0 + 3 * 0.5 + 1 * 0.5) / 4)
    assert planned.hours == pytest.approx(planned.epoch_s * 4 * 4 / planned.concurrent / 3600)
    assert planned.decoded_gb == pytest.approx(40 * 4 * (8 * 9 * 10 + 4 * 4 * 4) / 1e9)
    file = io.StringIO()
    print_plan(Console(file=file, width=60, highlight=False), planned)
    assert "size.small, people.some: [1, 4, 4, 4], 10 to train on" in file.getvalue()
    assert "4 runs of 2 to 6 epochs" in file.getvalue()


def test_a_cohort_is_prepared_as_each_option_says(scans: Path) -> None:
    cohort = {"name": "young", "participants": "participants.tsv", "image": "{participant_id}.nii.gz"}
    made = prepared(options(scans, data={"external": [{**cohort, "where": {"age": {"max": 29}}}]}))
    assert [one.external["young"].store.image_shape for one in made.values()] == [
        one.store.image_shape for one in made.values()
    ]
    file = io.StringIO()
    print_prepared(Console(file=file, width=60), made, 1.0)
    lines = file.getvalue().splitlines()
    assert len([line for line in lines if line.endswith("external: young")]) == 2, "each store is told once"
