"""Draws the sites of any instrument as a row of marks on a bar: for trying machinery on, and for nothing else.

A mark is a cleft that closes and a callus that grows as the site's score rises on its scale. Sites stand in the
instrument's order, eight in a row; the bar's thickness tells the view.
"""

import numpy as np

from rustk.datasets.phantom.cohort import PhantomPlan, image_stream, patient_stream
from rustk.datasets.phantom.rays import blend, chord, expose, plane, smooth_field
from rustk.vocabulary.instrument import Instrument

DRAWING = 1  # raised whenever the same arguments begin to draw other pixels

_SITES_A_ROW = 8
_WIDTH = 0.80  # of a row, as a fraction of the image's side


def draw(plan: PhantomPlan, instrument: Instrument, *, size: int, seed: int, signal: float = 1.0) -> np.ndarray:
    """Draw one image, uint8 [size, size]; a pure function of its arguments.

    `signal` from 0 to 1 is how much of the difference between scores shows: at 0 all look alike.
    """
    random, patient = image_stream(seed, plan.number), patient_stream(seed, plan.patient_number)
    bow, density = patient.uniform(-0.06, 0.06), patient.uniform(0.9, 1.1)
    u, v = plane(size, 1.0, random)
    v = v - bow * (u * u)
    texture = smooth_field(random, size, cells=40)
    sites = list(plan.drawn.items())
    rows = max(1, -(-len(sites) // _SITES_A_ROW))
    height = _WIDTH / rows  # of a row
    view = (instrument.views.index(plan.view) + 1) / len(instrument.views)
    half = height * (0.10 + 0.12 * view)

    attenuation = np.zeros_like(u)
    for row in range(rows):
        middle = height * (row - (rows - 1) / 2)
        shown = sites[row * _SITES_A_ROW : (row + 1) * _SITES_A_ROW]
        step = _WIDTH / max(1, len(shown))
        bar = 4.0 * density * chord((v - middle) * (0.12 / half), 0.12) * blend(_WIDTH / 2 + 0.04 - np.abs(u), 0.01)
        for place, (site, score) in enumerate(shown):
            scores = instrument.site(site).scores
            level = 0.5 + signal * (scores.index(score) / (len(scores) - 1) - 0.5)
            level = float(np.clip(level + random.normal(0.0, 0.04), 0.0, 1.0))
            along = u - step * (place - (len(shown) - 1) / 2)
            bar = bar * (1.0 - (1.0 - level) * np.exp(-((along / (0.10 * step)) ** 4)))
            reach = half * (0.6 + 1.2 * level)
            lump = blend(reach - np.abs(v - middle), 0.15 * half) * np.exp(-((along / (0.30 * step)) ** 2))
            bar = bar + 0.9 * level * lump * np.clip(1.0 + 0.2 * texture, 0.3, 1.7)
        attenuation = attenuation + bar
    tissue = smooth_field(random, size, cells=7)
    return expose(attenuation + (0.5 + 0.05 * tissue) * chord(v, 0.48), random)
