"""How trials get at the data: decoded once for the whole sweep, or streamed."""

from collections.abc import Callable
from dataclasses import dataclass

import ray
from upath import UPath

from services.data.prepare import Prepared
from services.settings import Settings
from services.spec.checks import check_against_data, check_image_shape
from services.spec.spec import LoadedSpec
from trainers.covariates import Covariates
from trainers.data.feeds import Feed, choose_feed
from trainers.data.feeds.resident import ResidentFeed, load_resident
from trainers.data.feeds.stream import StreamFeed
from trainers.data.splits import Splits
from trainers.normalization import Normalization


@dataclass(frozen=True)
class Resident:
    """Opens a feed on the decoded volumes in the node's object store."""

    data: ray.ObjectRef

    def __call__(self) -> Feed:
        """A feed over memory that all trials of a node share."""
        return ResidentFeed(ray.get(self.data))


@dataclass(frozen=True)
class Streamed:
    """Opens a feed that streams the volume store."""

    store: UPath
    splits: Splits
    normalization: Normalization | None
    covariates: Covariates | None

    def __call__(self) -> Feed:
        """A feed in bounded memory."""
        return StreamFeed(self.store, self.splits, self.normalization, self.covariates)


def open_data(loaded: LoadedSpec, settings: Settings, prepared: Prepared) -> Callable[[], Feed]:
    """How workers open the data: decoded once for the sweep, or streamed where they are too large for that."""
    store, splits, fitted = prepared.store, prepared.splits, (prepared.normalization, prepared.covariates)
    check_image_shape(loaded, store.image_shape)
    resident = choose_feed(loaded.spec.data.feed, store.nbytes, settings.resident_limit_bytes) == "resident"
    opened: Callable[[], Feed]
    if resident:
        opened = Resident(ray.put(load_resident(store, splits, *fitted)))
    else:
        opened = Streamed(store.folder, splits, *fitted)
    feed = opened()
    check_against_data(loaded, feed.train_size, feed.unlabelled_size, feed.label_range)
    return opened
