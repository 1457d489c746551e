"""How trials get at the data: decoded once for the whole sweep, or streamed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import ray
from upath import UPath

from services.data.prepare import Prepared, View
from services.settings import Settings
from services.spec.checks import check_against_data, check_image_shape
from services.spec.replicate import Fold
from services.spec.spec import LoadedSpec
from trainers.data.feeds import Feed, choose_feed
from trainers.data.feeds.base import Parts
from trainers.data.feeds.resident import ResidentData, ResidentFeed, decode
from trainers.data.feeds.stream import StreamFeed


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


def open_data(loaded: LoadedSpec, settings: Settings, prepared: Prepared) -> dict[Fold, OpenFeed]:
    """How workers open each of the views: decoded once for the sweep, or streamed where that is too much."""
    store, views = prepared.store, prepared.all_views
    check_image_shape(loaded, store.image_shape)
    opened: dict[Fold, OpenFeed]
    if choose_feed(loaded.spec.data.feed, store.nbytes, settings.resident_limit_bytes) == "resident":
        decoded = ray.put(decode(store, *(view.splits for view in views.values())))
        opened = {
            fold: Resident(decoded, Parts.of(store, view.splits, view.normalization, view.covariates))
            for fold, view in views.items()
        }
    else:
        opened = {fold: Streamed(store.folder, view) for fold, view in views.items()}
    for fold in opened:
        feed = opened[fold]()
        check_against_data(loaded, feed.train_size, feed.unlabelled_size, feed.label_range)
    return opened
