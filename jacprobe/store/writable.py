"""A store is tried before a run, which may compute for hours before it writes its first entry."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from jacprobe.errors import StoreError
from jacprobe.store.store import MARK

if TYPE_CHECKING:
    from jacprobe.store.store import Store


def require_writable(store: Store) -> None:
    """Make the store's folder and try it; a store that can only be read may yet hold all that is asked for.

    Raises
    ------
    StoreError
        Where it is no store yet, and cannot be made or written.
    """
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=store.root).close()
    except OSError as error:
        if (store.root / MARK).is_file():
            return
        raise StoreError(
            f"the store cannot be written ({error})", "a folder that can", "Give --store DIR.", store.root
        ) from error
