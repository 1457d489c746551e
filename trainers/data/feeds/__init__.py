"""Feeds: batches of the training and validation splits, from memory or streamed, the same either way."""

from typing import Literal

from contrasweep.trainers.data.feeds.arrival import arriving
from contrasweep.trainers.data.feeds.base import Batch, Feed

__all__ = ["Batch", "Feed", "arriving", "choose_feed"]


def choose_feed(
    feed: Literal["auto", "resident", "stream"], nbytes: int, limit_bytes: int
) -> Literal["resident", "stream"]:
    """`auto` is resident where `nbytes` of decoded images fit into `limit_bytes`.

    >>> choose_feed("auto", nbytes=10, limit_bytes=100)
    'resident'
    """
    if feed != "auto":
        return feed
    return "resident" if nbytes <= limit_bytes else "stream"
