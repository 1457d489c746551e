"""The papers' data sets at full scale: each spec can be planned on a folder that is laid out as its data set is."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from nibabel.cifti2.cifti2_axes import BrainModelAxis, ParcelsAxis, SeriesAxis

from contrasweep.services.spec.spec import load_spec
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.trainers.data.phantom import PHANTOM_IMAGE, write_phantom
from contrasweep.trainers.rehearsal import SUSTAINED_TFLOPS, forward_flops
from tests.services.data import layouts
from tests.services.data.command_line import Ended, contrasweep

__all__ = ["contrasweep"]

FOLDER = Path(__file__).parents[2] / "search_spaces" / "studies" / "full"
PEOPLE = layouts.PEOPLE
SMALL = {
    "model": {"width": 0.0625, "head_hidden": 16},
    "training": {"batch_size": 4, "gpus_per_worker": 0, "cpus_per_worker": 1, "precision": "fp32"},
}
"""What is made smaller to be planned by a machine without GPUs; the epochs stay."""


def stiffness(folder: Path) -> None:
    write_phantom(folder, subjects=PEOPLE, shape=(16, 18, 16))


def ukb(folder: Path) -> None:
    """Zips of brains without skull."""
    stiffness(folder)
    (folder / "bulk").mkdir()
    for number in range(PEOPLE):
        with zipfile.ZipFile(folder / f"bulk/{1000011 + number}_20252_2_0.zip", "w") as archive:
            brain = folder / PHANTOM_IMAGE.format(participant_id=f"sub-{number + 1:04d}")
            archive.write(brain, "T1/T1_unbiased_brain.nii.gz")
    rows = [[1000011 + number, number % 2, 45 + number] for number in range(PEOPLE)]
    layouts.table(folder / "ukb.csv", "eid,31-0.0,21003-2.0", rows)


def hcp(folder: Path) -> None:
    vertices = BrainModelAxis.from_mask(np.ones(12), name="cortex_left")
    regions = ParcelsAxis.from_brain_models([(f"region {n}", vertices[2 * n : 2 * n + 2]) for n in range(6)])
    for number in range(PEOPLE):
        made = folder / f"HCA{6002236 + number}_V1_MR"
        made.mkdir(parents=True)
        values = layouts.RNG.random((60, 6), dtype=np.float32)
        image = nib.Cifti2Image(values, (SeriesAxis(0, 0.8, 60), regions))
        nib.save(image, made / "rfMRI_REST1_AP_Schaefer400.ptseries.nii")
    rows = [[f"HCA{6002236 + number}", 36 + 2 * number, "MF"[number % 2]] for number in range(PEOPLE)]
    layouts.table(folder / "participants.tsv", "src_subject_id\tage\tsex", rows, "\t")


def rhpe(folder: Path) -> None:
    layouts.rhpe(folder)
    for number in range(6):
        layouts.picture(folder / f"RHPE_val/{101 + number:05d}.png")
    rows = [[101 + number, number % 2, 30 + 20 * number] for number in range(6)]
    layouts.table(folder / "RHPE_Boneage_val.csv", "ID,Male,Boneage", rows)


LAYOUTS: Mapping[str, Callable[[Path], None]] = {
    "a4": layouts.a4,
    "echonet": layouts.echonet,
    "hcp": hcp,
    "rhpe": rhpe,
    "rsna": layouts.rsna,
    "stiffness": stiffness,
    "ukb": ukb,
}


def test_there_is_one_for_each_data_set() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == LAYOUTS.keys()


@pytest.mark.parametrize(
    "name", [name if name == "hcp" else pytest.param(name, marks=pytest.mark.slow) for name in LAYOUTS]
)
def test_it_is_planned_on_a_folder_as_it_is_downloaded(
    name: str, tmp_path: Path, contrasweep: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
    LAYOUTS[name](tmp_path)
    document = load_mapping((FOLDER / f"{name}.yaml").read_bytes(), name)
    small = {section: document.get(section, {}) | changes for section, changes in SMALL.items()}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(document | small, sort_keys=False))
    ended = contrasweep("plan", str(tmp_path / "study.yaml"))
    assert (ended.code, ended.err) == (0, "")
    search, epochs = document["search"], 50 if name == "stiffness" else 200
    runs = search["trials"] * len(search["seeds"])
    planned = f"{search['trials']} configurations x {len(search['seeds'])} seeds = {runs} runs of {epochs} epochs"
    assert planned in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("name", "shape", "trained"),
    [
        ("a4", (1, 100, 100, 100), 3486),
        ("echonet", (3, 32, 112, 112), 7465),
        ("hcp", (400, 478), 456),
        ("rhpe", (1, 520, 400), 4394),
        ("rsna", (1, 520, 400), 10593),
        ("stiffness", (1, 91, 109, 91), 199),
        ("ukb", (1, 100, 100, 100), 19509),
    ],
)
def test_the_hours_that_it_names_are_those_that_are_reckoned(name: str, shape: tuple[int, ...], trained: int) -> None:
    """Of an image there are so many operations forward, and twice as many back, for each of its views."""
    spec = load_spec(FOLDER / f"{name}.yaml").spec
    training, runs = spec.training, spec.search.trials * len(spec.search.seeds)
    seen = trained // training.batch_size * training.batch_size * training.views * training.epochs * runs
    hours = 3 * forward_flops(spec.model, shape) * seen / (SUSTAINED_TFLOPS * 1e12) / 3600
    assert (
        f"\n# About {hours:.3g} GPU-hours, reckoned at {SUSTAINED_TFLOPS:g} TFLOPS"
        in (FOLDER / f"{name}.yaml").read_text()
    )
