"""Draws radiograph-like tibiae whose healing shows at each cortex: to try studies on, not to learn medicine from.

A picture is built as a radiograph is: path lengths through hollow cylinders of bone, callus, soft tissue and metal
add up to an attenuation, which exposure, blur and noise turn into grey values. What a score shows follows the
definition of RUST (Whelan et al., J Trauma 2010): 1 no callus, fracture line visible; 2 callus, line visible; 3
bridging callus, line still visible; 4 remodelled, line not visible. Nothing else in a picture depends on a score.
"""

from dataclasses import dataclass, fields

import numpy as np

from rustk.datasets.phantom.cohort import PhantomPlan, image_stream, patient_stream
from rustk.datasets.phantom.proportions import MRUST_VIEWS
from rustk.datasets.phantom.rays import blend, chord, expose, jag, plane, smooth_field
from rustk.vocabulary.instrument import Instrument

DRAWING = 1  # raised whenever the same arguments begin to draw other pixels


@dataclass(frozen=True)
class Healing:
    """How one cortex looks. Lengths are fractions of the image's side."""

    line_depth: float  # 0: no fracture line, 1: the cortex is cut through
    line_width: float
    callus_height: float  # beyond the cortex
    callus_length: float  # along the shaft, to each side of the fracture
    callus_density: float  # of cortical bone's
    cleft: float  # 1: the callus leaves the fracture gap open, 0: it bridges
    roughness: float  # of the callus's texture


HEALING = {
    1: Healing(1.00, 0.0130, 0.000, 0.040, 0.00, 1.0, 0.0),
    2: Healing(0.90, 0.0110, 0.045, 0.070, 0.45, 1.0, 0.9),
    3: Healing(0.55, 0.0080, 0.075, 0.095, 0.80, 0.0, 0.5),
    4: Healing(0.00, 0.0080, 0.050, 0.130, 1.15, 0.0, 0.1),
}


@dataclass(frozen=True)
class _Anatomy:
    """What the images of one patient have in common. Lengths are fractions of the image's side."""

    radius: float
    cortex: float
    fibula_radius: float
    fibula_offset: float
    soft_tissue: float
    bow: float
    fracture_height: float
    fracture_slope: float
    displacement: float
    implant: str


def draw(
    plan: PhantomPlan, _instrument: Instrument | None = None, *, size: int, seed: int, signal: float = 1.0
) -> np.ndarray:
    """Draw one image, uint8 [size, size]; a pure function of its arguments.

    `signal` from 0 to 1 is how much of the difference between scores shows: at 0 all look alike.
    """
    random = image_stream(seed, plan.number)
    anatomy = _anatomy(patient_stream(seed, plan.patient_number))
    mirrored = 1.0 if random.random() < 0.5 else -1.0
    u, v = plane(size, mirrored, random)
    ap = plan.view == "ap"
    # Along u the first cortex of the view lies at the negative edge: medial (the fibula is lateral) or anterior.
    first, second = (_healing(plan.drawn[cortex], signal, random) for cortex in MRUST_VIEWS[plan.view])

    side = blend(u / anatomy.radius, 0.35)  # 0 at the first cortex, 1 at the second
    height = anatomy.fracture_height + (0.0 if ap else 0.02)
    slope = anatomy.fracture_slope if ap else -0.6 * anatomy.fracture_slope
    fracture = height + slope * u + 0.012 * jag(u, random)
    along = v - fracture
    u = u - anatomy.bow * (v * v)
    around, u = (
        u,
        u - anatomy.displacement * blend(along, 0.012),
    )  # what lies around the bone stays whole where that breaks

    widening = 1.0 + 0.9 * np.abs(v) ** 3 * (1.4 if ap else 1.0)
    outer = anatomy.radius * widening
    inner = (anatomy.radius - anatomy.cortex * (1.0 - 0.6 * np.abs(v))) * widening
    cortical = chord(u, outer) - chord(u, inner)
    marrow = chord(u, inner)

    depth = first.line_depth * (1.0 - side) + second.line_depth * side
    width = first.line_width * (1.0 - side) + second.line_width * side
    whole = 1.0 - 0.92 * depth * np.exp(-((along / width) ** 4))
    trabeculae = smooth_field(random, size, cells=70)
    bone = (3.4 * cortical + (0.75 + 0.12 * trabeculae) * marrow) * whole

    texture = 0.7 * smooth_field(random, size, cells=24) + 0.5 * smooth_field(random, size, cells=52)
    for sign, healing in ((-1.0, first), (1.0, second)):
        bone = bone + _callus(sign * u, along, outer, healing, texture)

    attenuation = bone + _fibula(around, v, anatomy, ap) + _soft_tissue(around, v, anatomy, ap, random, size)
    attenuation = attenuation + _implant(around, v, anatomy, ap)
    return expose(attenuation, random)


def _anatomy(random: np.random.Generator) -> _Anatomy:
    return _Anatomy(
        radius=random.uniform(0.105, 0.145),
        cortex=random.uniform(0.034, 0.046),
        fibula_radius=random.uniform(0.028, 0.040),
        fibula_offset=random.uniform(0.075, 0.11),
        soft_tissue=random.uniform(0.17, 0.26),
        bow=random.uniform(-0.10, 0.10),
        fracture_height=random.uniform(-0.16, 0.16),
        fracture_slope=random.uniform(-0.9, 0.9),
        displacement=random.uniform(-0.02, 0.02),
        implant=str(random.choice(["none", "nail", "plate"], p=[0.62, 0.26, 0.12])),
    )


def _healing(score: int, signal: float, random: np.random.Generator) -> Healing:
    """The look of a score, between the mean look of all (signal 0) and its own (1), with the spread that cases have."""
    spread = dict(zip((field.name for field in fields(Healing)), random.normal(1.0, 0.09, size=7), strict=True))
    values = {}
    for field in fields(Healing):
        mean = sum(getattr(look, field.name) for look in HEALING.values()) / len(HEALING)
        value = mean + signal * (getattr(HEALING[score], field.name) - mean)
        values[field.name] = value * float(np.clip(spread[field.name], 0.75, 1.25))
    return Healing(**{**values, "line_depth": min(values["line_depth"], 1.0), "cleft": min(values["cleft"], 1.0)})


def _callus(u: np.ndarray, along: np.ndarray, outer: np.ndarray, healing: Healing, texture: np.ndarray) -> np.ndarray:
    """Attenuation of the callus at the cortex where u is positive."""
    extent = np.exp(-(np.abs(along / healing.callus_length) ** 2.5))
    gap = np.exp(-((along / (2.2 * healing.line_width)) ** 2))
    extent = extent * (1.0 - healing.cleft * gap)
    lumps = 1.0 + 0.22 * healing.roughness * texture
    edge = outer + healing.callus_height * extent * lumps
    # The cuff is thickest just beside the cortex, thins out over the shaft and ends softly outside.
    outside = blend(edge - u, 0.008 + 0.012 * healing.roughness)
    inside = blend(u - 0.70 * outer, 0.030)
    density = healing.callus_density * np.clip(1.0 + 0.45 * healing.roughness * texture, 0.2, 1.8)
    return 0.5 * density * outside * inside * np.sqrt(extent)


def _fibula(u: np.ndarray, v: np.ndarray, anatomy: _Anatomy, ap: bool) -> np.ndarray:
    # From the front the fibula stands clear of the tibia; from the side it lies behind and overlaps the posterior edge.
    offset = anatomy.radius + anatomy.fibula_offset + 0.10 * v * v if ap else 0.80 * anatomy.radius + 0.16 * v
    radius = anatomy.fibula_radius
    across = u - offset
    return 3.6 * (chord(across, radius) - chord(across, 0.6 * radius)) + 1.2 * chord(across, 0.6 * radius)


def _soft_tissue(
    u: np.ndarray, v: np.ndarray, anatomy: _Anatomy, ap: bool, random: np.random.Generator, size: int
) -> np.ndarray:
    # Calf muscles lie behind: from the side the shin is near the skin and the calf bulges on the other edge.
    front = anatomy.radius + (0.6 * anatomy.soft_tissue if ap else 0.045)
    back = anatomy.radius + (1.0 if ap else 1.35) * anatomy.soft_tissue * (1.0 - 0.9 * (v + 0.15) ** 2)
    middle, half = (back - front) / 2.0, (back + front) / 2.0
    muscle = smooth_field(random, size, cells=7)
    return (0.62 + 0.06 * muscle) * chord(u - middle, half)


def _implant(u: np.ndarray, v: np.ndarray, anatomy: _Anatomy, ap: bool) -> np.ndarray:
    if anatomy.implant == "none":
        return np.zeros_like(u)
    if anatomy.implant == "nail":
        rod = chord(u, 0.30 * anatomy.radius) * blend(v + 0.46, 0.004)
        screws = sum(blend(0.010 - np.abs(v - place), 0.003) for place in (-0.40, 0.36, 0.42))
        return 7.0 * rod + 0.5 * screws * blend(1.15 * anatomy.radius - np.abs(u), 0.004)
    # A plate with screws: seen from its edge in the AP view, flat in the lateral one.
    where, half = (1.10 * anatomy.radius, 0.012) if ap else (0.0, 0.045)
    plate = blend(half - np.abs(u - where), 0.003) * blend(0.30 - np.abs(v), 0.004)
    screws = sum(blend(0.008 - np.abs(v - place), 0.002) for place in (-0.27, -0.21, -0.15, 0.15, 0.21, 0.27))
    if ap:
        shafts = screws * blend(u + 0.9 * anatomy.radius, 0.004) * blend(1.1 * anatomy.radius - u, 0.004)
        return 0.9 * plate + 0.5 * shafts
    return 0.7 * plate + 0.5 * plate * screws
