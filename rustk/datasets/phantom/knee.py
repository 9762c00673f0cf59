"""Draws schematic knees whose osteoarthritis shows its Kellgren-Lawrence grade: to try studies on, not to learn from.

What a grade shows follows its definition (Kellgren & Lawrence, Ann Rheum Dis 1957): 0 none; 1 doubtful narrowing of the
joint space, possible lipping; 2 definite osteophytes, possible narrowing; 3 moderate osteophytes, definite narrowing,
some sclerosis; 4 large osteophytes, marked narrowing, severe sclerosis. Nothing else in a picture depends on a grade.
"""

from dataclasses import dataclass, fields

import numpy as np

from rustk.datasets.phantom.cohort import PhantomPlan, image_stream, patient_stream
from rustk.datasets.phantom.rays import blend, chord, expose, plane, smooth_field
from rustk.vocabulary.instrument import Instrument

DRAWING = 1  # raised whenever the same arguments begin to draw other pixels


@dataclass(frozen=True)
class Arthritis:
    """How a joint looks. Lengths are fractions of the image's side."""

    medial_space: float  # between femur and tibia, where it narrows first
    lateral_space: float
    osteophytes: float  # how far they stand out beside the joint
    sclerosis: float  # of the bone below the joint's surface, as a part of cortical bone's density


GRADES = (
    Arthritis(0.044, 0.046, 0.000, 0.00),
    Arthritis(0.039, 0.044, 0.010, 0.04),
    Arthritis(0.033, 0.041, 0.024, 0.12),
    Arthritis(0.020, 0.035, 0.034, 0.45),
    Arthritis(0.005, 0.024, 0.048, 0.90),
)


def draw(
    plan: PhantomPlan, _instrument: Instrument | None = None, *, size: int, seed: int, signal: float = 1.0
) -> np.ndarray:
    """Draw one image, uint8 [size, size]; a pure function of its arguments.

    `signal` from 0 to 1 is how much of the difference between grades shows: at 0 all look alike.
    """
    random, patient = image_stream(seed, plan.number), patient_stream(seed, plan.patient_number)
    shaft, condyle = patient.uniform(0.085, 0.105), patient.uniform(0.20, 0.24)
    joint, tissue = patient.uniform(-0.05, 0.05), patient.uniform(0.28, 0.34)
    bow = patient.uniform(-0.08, 0.08)
    mirrored = 1.0 if random.random() < 0.5 else -1.0
    u, v = plane(size, mirrored, random)
    (grade,) = plan.drawn.values()
    looks = _look(grade, signal, random)

    u = u - bow * (v * v)
    lateral = blend(u, 0.05)  # 0 at the medial edge, 1 at the lateral one, where the fibula is
    space = looks.medial_space * (1.0 - lateral) + looks.lateral_space * lateral
    edge = np.abs(u) / condyle
    notch = 0.055 * np.exp(-((u / 0.045) ** 2))
    femur_end = joint - space / 2 - notch - 0.05 * edge**6
    tibia_end = joint + space / 2 - 0.35 * notch + 0.025 * edge**8
    femur_side = shaft + (condyle - shaft) * blend(v - (joint - 0.17), 0.075)
    tibia_side = shaft + (0.96 * condyle - shaft) * blend((joint + 0.15) - v, 0.065)
    trabeculae = smooth_field(random, size, cells=70)

    attenuation = np.zeros_like(u)
    for side, depth in ((femur_side, femur_end - v), (tibia_side, v - tibia_end)):
        inside = blend(depth, 0.004)
        shell = chord(u, side) - chord(u, side - 0.022)
        spongy = (1.0 + 0.14 * trabeculae) * chord(u, side - 0.022)
        plate = 0.35 * np.exp(-((depth / 0.010) ** 2))
        dense = looks.sclerosis * np.exp(-((depth / 0.035) ** 2)) * (1.1 - 0.6 * lateral)
        width = blend(side - np.abs(u), 0.008)
        attenuation = attenuation + inside * (2.6 * shell + spongy + (plate + dense) * width)
        attenuation = attenuation + _osteophytes(u, depth, side, looks.osteophytes)
    attenuation = attenuation + _patella(u, v, joint) + _fibula(u, v, joint, condyle)
    muscle = smooth_field(random, size, cells=7)
    return expose(attenuation + (0.55 + 0.05 * muscle) * chord(u, tissue), random)


def _look(grade: int, signal: float, random: np.random.Generator) -> Arthritis:
    """The look of a grade, between the mean look of all (signal 0) and its own (1), with the spread that cases have."""
    values = {}
    for field in fields(Arthritis):
        mean = sum(getattr(look, field.name) for look in GRADES) / len(GRADES)
        value = mean + signal * (getattr(GRADES[grade], field.name) - mean)
        values[field.name] = value * float(np.clip(random.normal(1.0, 0.10), 0.75, 1.25))
    return Arthritis(**values)


def _osteophytes(u: np.ndarray, depth: np.ndarray, side: np.ndarray, length: float) -> np.ndarray:
    """Attenuation of the spurs at both margins of one bone's end."""
    if length <= 0:
        return np.zeros_like(u)
    outwards = (np.abs(u) - side) / length  # 0 at the margin, 1 where a spur ends
    along = (depth - 0.012) / (0.010 + 0.35 * length)
    return 0.55 * blend(1.0 - outwards, 0.15) * blend(outwards + 0.4, 0.15) * np.exp(-(along**2))


def _patella(u: np.ndarray, v: np.ndarray, joint: float) -> np.ndarray:
    # It lies in front of the femur, and shows as a faint disc through it.
    radius = np.sqrt((u / 1.1) ** 2 + (v - (joint - 0.15)) ** 2)
    return 0.5 * chord(radius, 0.09)


def _fibula(u: np.ndarray, v: np.ndarray, joint: float, condyle: float) -> np.ndarray:
    across = u - 0.80 * condyle
    return 1.6 * chord(across, 0.035) * blend(v - (joint + 0.12), 0.012)
