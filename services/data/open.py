"""How trials get at the data: decoded once for the whole sweep, or streamed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import ray
from upath import UPath

from contrasweep.services.data.prepare import Prepared, View
from contrasweep.services.settings import Settings
from contrasweep.services.spec.checks import check_against_data, check_image_shapes
from contrasweep.services.spec.readings import naming_options
from contrasweep.services.spec.replicate import Fold
from contrasweep.services.spec.spec import LoadedSpec, Options
from contrasweep.trainers.data.feeds import Feed, choose_feed
from contrasweep.trainers.data.feeds.base import Parts
from contrasweep.trainers.data.feeds.resident import ResidentData, ResidentFeed, decode
from contrasweep.trainers.data.feeds.stream import StreamFeed


@dataclass(frozen=True)
class Resident:
    """Opens a feed on the decoded volumes in the node's object store."""

    decoded: ray.ObjectRef
    parts: Parts

    def __call__(self) -> Feed:
        """A feed over memory that all trials of a node share."""
        return ResidentFeed(ResidentData(ray.get(self.decoded), self.parts))


@dataclass(frozen=True)
class Streamed:
    """Opens a feed that streams the volume store."""

    store: UPath
    view: View

    def __call__(self) -> Feed:
        """A feed in bounded memory."""
        return StreamFeed(self.store, self.view.splits, self.view.normalization, self.view.covariates)


OpenFeed: TypeAlias = Callable[[], Feed]
Reads: TypeAlias = tuple[Options, Fold]
"""What a run reads: as the options say that choose it, and the fold that it is validated on."""


def open_data(loaded: LoadedSpec, settings: Settings, prepared: Mapping[Options, Prepared]) -> dict[Reads, OpenFeed]:
    """How workers open each of the views: each store decoded once for the sweep, or streamed where that is too much."""
    check_image_shapes(loaded, {options: one.store.image_shape for options, one in prepared.items()})
    views = {
        (options, fold): (one.store, view) for options, one in prepared.items() for fold, view in one.all_views.items()
    }
    stores = {store.folder: store for store, _ in views.values()}
    opened: dict[Reads, OpenFeed]
    nbytes = sum(store.nbytes for store in stores.values())
    if choose_feed(loaded.spec.data.feed, nbytes, settings.resident_limit_bytes) == "resident":
        read = {folder: [view.splits for store, view in views.values() if store.folder == folder] for folder in stores}
        decoded = {folder: ray.put(decode(stores[folder], *splits)) for folder, splits in read.items()}
        opened = {
            reads: Resident(decoded[store.folder], Parts.of(store, view.splits, view.normalization, view.covariates))
            for reads, (store, view) in views.items()
        }
    else:
        opened = {reads: Streamed(store.folder, view) for reads, (store, view) in views.items()}
    readings = loaded.readings
    for (options, _), open_feed in opened.items():
        feed = open_feed()
        with naming_options(options, loaded.path):
            check_against_data(readings[options], feed.train_size, feed.unlabelled_size, feed.label_range)
    return opened
