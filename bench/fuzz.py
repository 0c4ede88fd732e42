"""Coverage-guided fuzzing of every reader of a stranger's file, with atheris; `docs/security.md` has the counts.

    pip install atheris
    python bench/fuzz.py --seconds 600 --out fuzzed

An input that brings anything but a valid read or an error of jacprobe's own is kept in the folder, once for each place
in the code and kind of error; the run goes on. What kills the process, as memory faults in a library, ends it.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

INSTRUMENTED = ["jacprobe", "tomllib", "yaml"]


def main() -> None:
    """Fuzz for a number of seconds and print executions by reader and outcome."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    asked.add_argument("--seconds", type=int, default=600)
    asked.add_argument("--out", type=Path, default=Path("fuzzed"))
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    for large in ("anndata", "pandas", "torch", "xarray", "zarr"):
        import_module(large)  # first, so that they are not instrumented, which takes minutes
    atheris: Any = import_module("atheris")  # no dependency of the suite's
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    with atheris.instrument_imports(include=INSTRUMENTED):
        from jacprobe import apart
        from tests.security.readers import attempt, readers_of, write_valid

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    apart.FEWEST_SECONDS = 10.0  # less than libFuzzer waits: HDF5 hangs on some files, which are refused then
    folder = write_valid(Path(tempfile.mkdtemp()))
    known = readers_of(folder)
    corpus = given.out / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for place, reader in enumerate(known):
        (corpus / f"valid-{place}").write_bytes(bytes([place]) + (folder / reader.file).read_bytes())
    counts: Counter[tuple[str, str]] = Counter()
    faults: Counter[str] = Counter()

    def one(data: bytes) -> None:
        if not data:
            return
        reader = known[data[0] % len(known)]
        try:
            outcome = attempt(reader, folder, data[1:])
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001 - every one is a finding
            last = traceback.extract_tb(error.__traceback__)[-1]
            name = f"{reader.name}-{type(error).__name__}-{Path(last.filename).stem}-{last.lineno}".replace("/", "_")
            if name not in faults:
                (given.out / name).write_bytes(data)
            faults[name] += 1
            outcome = "FAULT"
        counts[reader.name, outcome] += 1
        total = counts.total()
        if total % 1000 == 0:
            _tell(given.out, counts, faults)

    options = [f"-max_total_time={given.seconds}", f"-seed={given.seed}", "-timeout=30", "-rss_limit_mb=3000"]
    options += [
        "-max_len=40000",
        "-len_control=0",
        "-print_final_stats=1",
        f"-artifact_prefix={given.out}/",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], one)
    try:
        atheris.Fuzz()
    finally:
        _tell(given.out, counts, faults)


def _tell(out: Path, counts: Counter[tuple[str, str]], faults: Counter[str]) -> None:
    lines = [f"{counts.total()} executions, {len(faults)} kinds of fault"]
    lines += [f"{reader:24} {outcome:8} {n}" for (reader, outcome), n in sorted(counts.items())]
    lines += [f"FAULT {name}: {n}" for name, n in faults.most_common()]
    (out / "counts.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
