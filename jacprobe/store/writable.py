"""A store is tried before a run, which may compute for hours before it writes its first entry."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from jacprobe.errors import StoreError

if TYPE_CHECKING:
    from jacprobe.store.store import Store


def require_writable(store: Store) -> None:
    """Make the store's folder and try it.

    Raises
    ------
    StoreError
        Where it cannot be made or written.
    """
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=store.root).close()
    except OSError as error:
        raise StoreError(
            f"the store cannot be written ({error})", "a folder that can", "Give --store DIR.", store.root
        ) from error
