"""Images a second into a training loop, and what it costs: `python tests/benchmarks/bench_data.py`.

All hand out shuffled batches of 32 volumes 1 x 64 x 64 x 64 as float32 tensors, from the same 256 NIfTI files; peers
are read warm, as is the page cache. Then: how long a ResNet-18 waits, prepare beside a process pool, memory.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

from contrasweep.services.cluster.environment import set_ray_environment
from contrasweep.services.cluster.parallel import ordered_context
from contrasweep.services.data.prepare import Prepared, prepare
from contrasweep.services.settings import Settings
from contrasweep.trainers.config import DataConfig, RunConfig
from contrasweep.trainers.data.feeds import Feed, arriving
from contrasweep.trainers.data.feeds.resident import ResidentFeed, load_resident
from contrasweep.trainers.data.feeds.stream import StreamFeed
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import Volume, VolumeStore

SIDE, COUNT, BATCH, EPOCHS = 64, 256, 32, 4
LARGE_SIDE, LARGE_COUNT = 128, 320
NORMALIZE: list[dict[str, Any]] = [{"NormalizeIntensity": {"nonzero": True}}]
RESAMPLE: list[dict[str, Any]] = [{"Spacing": {"pixdim": [2.0, 2.0, 2.0]}}, *NORMALIZE]
CPU = torch.device("cpu")

Batches = Callable[[int], Iterable[torch.Tensor]]


def write_scans(folder: Path, side: int = SIDE, count: int = COUNT, different: int = COUNT) -> None:
    """Smooth noise inside a ball, as brains are, gzipped, the last ones copies; and the participants table."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    ball = ((np.indices([side] * 3) - side / 2 + 0.5) ** 2).sum(axis=0) < (0.44 * side) ** 2
    lines = ["participant_id\tage"]
    for number in range(count):
        path = folder / f"s{number:04d}.nii.gz"
        lines.append(f"s{number:04d}\t{20 + number % 61}")
        if number >= different:
            shutil.copyfile(folder / f"s{number % different:04d}.nii.gz", path)
            continue
        volume = (gaussian_filter(rng.standard_normal(ball.shape), 1.0) * 100 + 500) * ball
        nib.save(nib.Nifti1Image(volume.astype(np.float32), np.diag([1.5, 1.5, 1.5, 1])), path)
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")


def config(dtype: str = "float32", transforms: Iterable[Any] = NORMALIZE) -> DataConfig:
    document = {"participants": "participants.tsv", "image": "{participant_id}.nii.gz", "label": "age"}
    return DataConfig.model_validate(document | {"dtype": dtype, "transforms": list(transforms)})


def everyone(store: VolumeStore) -> Splits:
    """All but one scan to train on, so that every peer has as many."""
    ids = [subject.id for subject in store.subjects]
    return Splits(train=tuple(ids), validation=(ids[0],), test=())


def of_feed(feed: Feed) -> Batches:
    def batches(epoch: int) -> Iterator[torch.Tensor]:
        for batch in arriving(feed.epoch(epoch, seed=0, batch_size=BATCH, rank=0, world_size=1), CPU, None):
            yield batch.images

    return batches


def through_ray(store: VolumeStore) -> Batches:
    """The same batches out of Ray Data's read tasks, as many at a time as there are cores, 64 MB to a task."""

    def batches(epoch: int) -> Iterator[torch.Tensor]:
        import ray.data

        order = np.random.default_rng(epoch).permutation(len(store.subjects))
        reads = np.array_split(order, max(1, store.nbytes // (64 * 2**20)))
        with ray.data.DataContext.current(ordered_context()):
            dataset = ray.data.from_items([{"rows": rows.tolist()} for rows in reads], override_num_blocks=len(reads))
            read = dataset.map_batches(_read, batch_size=1, fn_kwargs={"folder": str(store.folder)}, num_cpus=1)
        for batch in read.iter_batches(batch_size=BATCH, prefetch_batches=2, drop_last=True):
            yield torch.from_numpy(np.array(batch["image"])).float()

    return batches


def _read(reads: dict[str, Any], *, folder: str) -> Iterator[dict[str, NDArray[Any]]]:
    (rows,) = (np.asarray(rows, dtype=np.int64) for rows in reads["rows"])
    images = VolumeStore.open_unchecked(folder).read_rows(rows)
    for start in range(0, len(rows), BATCH):
        yield {"image": images[start : start + BATCH]}


def rows_per_s(store: VolumeStore) -> float:
    """(a): the same Parquet, row group by row group, in one thread and nothing else; the fastest of some passes."""
    times = []
    for _ in range(EPOCHS + 1):
        start = time.perf_counter()
        for shard in store.manifest.shards:
            file = pq.ParquetFile(str(store.folder / shard.file), page_checksum_verification=True)
            for group in range(file.num_row_groups):
                file.read_row_group(group, use_threads=False)
        times.append(time.perf_counter() - start)
    return len(store.subjects) / min(times)


def peers(folder: Path, images: NDArray[np.float32]) -> dict[str, Batches]:
    """(b), (c), (d): what people use instead, each behind torch's DataLoader."""
    from monai.data.dataset import CacheDataset, Dataset, PersistentDataset
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, NormalizeIntensity
    from torch.utils.data import DataLoader

    paths = sorted(str(path) for path in folder.glob("*.nii.gz"))
    steps = Compose([LoadImage(image_only=True), EnsureChannelFirst(), NormalizeIntensity(nonzero=True)])
    arrays = folder / "npy"
    arrays.mkdir()
    for number, image in enumerate(images):
        np.save(arrays / f"{number:04d}.npy", image)

    class Mapped(torch.utils.data.Dataset[torch.Tensor]):
        files = sorted(arrays.iterdir())

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, index: int) -> torch.Tensor:
            return torch.from_numpy(np.array(np.load(self.files[index], mmap_mode="r")))

    datasets = {
        "(b) MONAI CacheDataset": CacheDataset(paths, steps, progress=False, num_workers=2),
        "(b) MONAI PersistentDataset": PersistentDataset(paths, steps, cache_dir=folder / "persistent"),
        "(c) .npy memory maps": Mapped(),
        "(d) NIfTI decoded every epoch": Dataset(paths, steps),
    }

    def batches(dataset: Any) -> Batches:
        return lambda epoch: DataLoader(dataset, batch_size=BATCH, shuffle=True, drop_last=True)

    return {name: batches(dataset) for name, dataset in datasets.items()}


def images_per_s(batches: Batches, epochs: int) -> float:
    """From the fastest of `epochs`, after one to warm up where there is time for it: the machine may be shared."""
    best, first = 0.0, 1 if epochs > 1 else 0
    for epoch in range(epochs + first):
        start = time.perf_counter()
        count = sum(len(images) for images in batches(epoch))
        best = max(best, count / (time.perf_counter() - start)) if epoch >= first else best
    return best


def speeds(folder: Path, made: dict[str, Prepared], console: Console) -> None:
    """The table of images a second."""
    table = Table("source", "images/s", "x (a)", "x CacheDataset", "x NIfTI", title="into a training loop")
    store = made["float32"].store
    found: dict[str, float] = {}
    for dtype, prepared in made.items():
        split = everyone(prepared.store)
        found[f"resident, {dtype}"] = images_per_s(of_feed(ResidentFeed(load_resident(prepared.store, split))), EPOCHS)
        found[f"stream, {dtype}"] = images_per_s(of_feed(StreamFeed(prepared.store.folder, split)), EPOCHS)
        found[f"Ray Data's read tasks, {dtype}"] = images_per_s(through_ray(prepared.store), EPOCHS)
        found[f"(a) pyarrow alone, {dtype}"] = rows_per_s(prepared.store)
    images = store.load([subject.id for subject in store.subjects]).images
    for name, batches in peers(folder, images).items():
        found[name] = images_per_s(batches, 1 if "(d)" in name else EPOCHS)
    for name, rate in found.items():
        plain = found[f"(a) pyarrow alone, {'float16' if 'float16' in name else 'float32'}"]
        others = rate / found["(b) MONAI CacheDataset"], rate / found["(d) NIfTI decoded every epoch"]
        table.add_row(name, f"{rate:,.0f}", f"{rate / plain:.2f}", *(f"{other:.2f}" for other in others))
    console.print(table)


def waiting(feed: Feed, threads: int) -> float:
    """The share of a training epoch's time that a ResNet-18 (width 0.25) waits for its batches."""
    from contrasweep.trainers.model import build_model

    document = {"model": {"width": 0.25}, "training": {"batch_size": BATCH, "views": 1}}
    run = RunConfig.model_validate(document | {"method": {"name": "exponential"}})
    torch.set_num_threads(threads)
    model = build_model(run, feed)
    optimizer = torch.optim.Adam(model.parameters())
    batches = arriving(feed.epoch(0, seed=0, batch_size=BATCH, rank=0, world_size=1), CPU, None)
    next(batches)
    waited, began = 0.0, time.perf_counter()
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - start
        if batch is None:
            return waited / (time.perf_counter() - began)
        optimizer.zero_grad()
        model.network(batch.images).output.square().mean().backward()
        optimizer.step()


@cache
def _steps() -> Any:
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, NormalizeIntensity, Spacing

    torch.set_num_threads(1)
    first = [LoadImage(image_only=True), EnsureChannelFirst(), Spacing(pixdim=(2.0, 2.0, 2.0))]
    return Compose([*first, NormalizeIntensity(nonzero=True)])


def _pooled(path: Path) -> None:
    _steps()(path)


def preparing(folder: Path, volumes: Path, console: Console) -> None:
    """Scans a second: `prepare`, checksums and writing included, and the same transforms in a pool of processes."""
    write_scans(folder, LARGE_SIDE, LARGE_COUNT, different=8)
    paths, times = sorted(folder.glob("*.nii.gz")), []
    start = time.perf_counter()
    prepare(config(transforms=RESAMPLE), folder, volumes, lambda *_: None)
    times.append(time.perf_counter() - start)
    start = time.perf_counter()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_pooled, paths))
    times.append(time.perf_counter() - start)
    ours, theirs = (len(paths) / taken for taken in times)
    console.print(f"prepare {ours:.1f} scans/s, process pool {theirs:.1f}: {ours / theirs:.2f} x")


def peak_memory(folder: str) -> None:
    """In a process of its own: print what streaming an epoch adds to the resident set, in bytes."""
    store = VolumeStore.open_unchecked(folder)
    feed = StreamFeed(folder, everyone(store))
    before = psutil.Process().memory_info().rss
    for _ in of_feed(feed)(0):
        pass
    peak_kib = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak_kib
    print(int(peak_kib[1]) * 1024 - before)


def memory(store: VolumeStore, folder: Path, console: Console) -> None:
    """What streaming takes of memory, as the store grows."""
    sys.path.insert(0, os.getcwd())
    from tests.trainers.data.small_store import write_store

    images = store.load([subject.id for subject in store.subjects]).images
    for times in (1, 8):
        volumes = [Volume(f"s{n:05d}", float(n), None, images[n % COUNT]) for n in range(times * COUNT)]
        large = write_store(folder / f"times-{times}", volumes, per_shard=64)
        told = subprocess.run(
            [sys.executable, __file__, "--peak-memory", str(large.folder)], check=True, capture_output=True, text=True
        )
        console.print(
            f"stream of {large.nbytes / 1e6:,.0f} MB adds {int(told.stdout.split()[-1]) / 1e6:,.0f} MB to a worker"
        )


def sharing(prepared: Prepared, console: Console) -> None:
    """What three trials on one node hold of the decoded data."""
    import ray

    data = load_resident(prepared.store, everyone(prepared.store))
    nbytes = data.decoded.images.nbytes
    before = _store_used()
    reference = ray.put(data)
    trials = [ray.remote(Trial).options(num_cpus=0).remote() for _ in range(3)]
    own = ray.get([trial.read.remote([reference]) for trial in trials])
    used = _store_used() - before
    told = ", ".join(f"{one / nbytes:.2f}" for one in own)
    console.print(
        f"three trials on {nbytes / 1e6:,.0f} MB: object store {used / nbytes:.2f} x, each of its own {told} x"
    )


def _store_used() -> float:
    import ray

    return float(
        ray.cluster_resources().get("object_store_memory", 0) - ray.available_resources().get("object_store_memory", 0)
    )


class Trial:
    """An actor that reads an epoch from what the node shares."""

    def read(self, reference: list[Any]) -> int:
        """Bytes of memory that are this process's alone, above what they were before."""
        import ray

        before = psutil.Process().memory_full_info().uss
        feed = ResidentFeed(ray.get(reference[0]))
        for _ in of_feed(feed)(0):
            pass
        return int(psutil.Process().memory_full_info().uss - before)


def main() -> None:
    """Print the tables."""
    console = Console(highlight=False)
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        set_ray_environment(Settings(home=folder / "home"))
        import ray  # it reads its environment when it is imported

        ray.init("local", num_cpus=cores + 1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        write_scans(folder / "scans")
        made = {
            dtype: prepare(config(dtype), folder / "scans", folder / "volumes", lambda *_: None)
            for dtype in ("float32", "float16")
        }
        for dtype, prepared in made.items():
            size = sum(shard.bytes for shard in prepared.store.manifest.shards)
            console.print(f"{dtype}: {size / prepared.store.nbytes:.2f} of the decoded size on disk")
        speeds(folder / "scans", made, console)
        store = made["float16"].store
        feeds = {"resident": ResidentFeed(load_resident(store, everyone(store)))}
        for kind, feed in (feeds | {"stream": StreamFeed(store.folder, everyone(store))}).items():
            console.print(f"{kind}: a ResNet-18 waits {100 * waiting(feed, cores):.1f} % of its time")
        preparing(folder / "large", folder / "volumes", console)
        sharing(made["float32"], console)
        memory(made["float32"].store, folder, console)


if __name__ == "__main__":
    if "--peak-memory" in sys.argv:
        peak_memory(sys.argv[-1])
    else:
        main()
