"""A made-up clinic's folder of images and table of labels, for tests of building a dataset from them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rustk.datasets.building import BuildOptions
from rustk.datasets.imaging import Preparation
from rustk.datasets.mapping import LabelMapping
from rustk.datasets.phantom.cohort import plan_cohort
from rustk.datasets.phantom.drawing import draw
from rustk.vocabulary.instrument import Instrument
from tests.datasets.dicom_files import as_bytes, dicom
from tests.instruments import MRUST

SALT = b"a salt of the tests"


class Clinic:
    """`rows` may be changed before `write_table`; row i of them is row i + 2 of the table."""

    def __init__(self, folder: Path, images: int = 24, instrument: Instrument = MRUST) -> None:
        self.instrument = instrument
        self.folder = folder / "images"
        self.table = folder / "labels.csv"
        self.header = ["image", "patient", "view", "visit", *instrument.site_names]
        self.rows: list[list[str]] = []
        for plan in plan_cohort(instrument, images, seed=5):
            name = f"ward{plan.patient_number % 2}/Doe_{plan.patient_number}_{plan.number}"
            pixels = draw(plan, instrument, size=40, seed=5)
            path = self.folder / f"{name}{('.png', '.dcm', '.jpg')[plan.number % 3]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".dcm":
                path.write_bytes(as_bytes(dicom(pixels.astype(np.uint16) * 16, bits=12)))
            else:
                Image.fromarray(pixels).save(path)
            scores = ["" if (s := plan.scores.get(site)) is None else str(s) for site in instrument.site_names]
            image = path.relative_to(self.folder).as_posix()
            self.rows.append([image, f"MRN-{plan.patient_number}", plan.view, f"2019-0{1 + plan.number % 9}", *scores])
        self.write_table()

    def write_table(self) -> None:
        with self.table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.header, *self.rows])

    def path(self, place: int) -> Path:
        """The file of row `place`, counted from 0."""
        return self.folder / self.rows[place][0]

    def options(self, work_dir: Path, **changes: Any) -> BuildOptions:
        given: dict[str, Any] = {
            "folder": self.folder,
            "table": self.table,
            "mapping": LabelMapping(),
            "instrument": self.instrument,
            "size": 32,
            "preparation": Preparation.STRETCH,
            "test_fraction": None,
            "seed": 0,
            "salt": SALT,
            "work_dir": work_dir,
            "processes": 1,
        }
        return BuildOptions(**(given | changes))
